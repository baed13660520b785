import { getTableConfig, PgTable } from "drizzle-orm/pg-core";
import pg from "pg";
import * as machinery from "../../src/storage/machinery.ts";
import * as schema from "../../src/storage/schema.ts";

/** What an organisation's own statements say of every table they read or change. COPY takes no parameters. */
const predicate = /"?\w+"?\."?org_id"? = (\$\d+|current_setting\('codespar\.run_org'\))/g;

const names = [...Object.values(schema), ...Object.values(machinery)]
  .filter((value) => value instanceof PgTable)
  .map(getTableConfig)
  .filter(({ columns }) => columns.some(({ name }) => name === "org_id"))
  .map(({ name }) => name);

/** A table of data, wherever it is named; not in a literal. Calls of the database's functions name none. */
const table = new RegExp(`(?<!['\\w])(?:${names.join("|")})(?!['\\w])`, "g");

/** The columns of an insert, and those by which it meets a row: the only places left for the organisation's column. */
const columnList = /\("?org_id"?, /g;

/** A pool that breaks every statement it sends, and what came through it. */
export interface PoolWithoutPredicates {
  readonly pool: pg.Pool;
  /** Texts of the statements on data that came. */
  readonly seen: ReadonlySet<string>;
  /** Those that lost all their predicates, one for each table they name. */
  readonly broken: ReadonlySet<string>;
  /**
   * Ends the pool.
   *
   * @throws Error when a statement on data kept a predicate, or never had one: then nothing was shown about it
   */
  close(): Promise<void>;
}

/** What the wire of a connection is asked to send. */
interface Wire {
  parse(query: { readonly text: string }, more?: boolean): void;
  query(text: string): void;
}

/**
 * A statement without what keeps it to its organisation, as a forgotten predicate would leave it.
 *
 * @returns `isData`: whether it names a table of data; `isBroken`: whether each of these had a predicate, and none is left
 */
export function withoutPredicates(text: string): {
  readonly text: string;
  readonly isData: boolean;
  readonly isBroken: boolean;
} {
  const tables = text.match(table)?.length ?? 0;
  const predicates = text.match(predicate)?.length ?? 0;
  // A parameter has to be named somewhere, or its type isn't known.
  const changed = text.replace(predicate, (_, bound: string) =>
    bound.startsWith("$") ? `(${bound}::text IS NOT NULL)` : "true",
  );
  const isLeft = changed.replace(columnList, "(").includes("org_id");
  return {
    text: changed,
    isData: tables > 0,
    isBroken: tables === predicates && !isLeft,
  };
}

/**
 * A pool whose connections turn each statement's `org_id` predicate into one that always holds. What then keeps organisations apart is
 * the database alone.
 */
export function poolWithoutPredicates(connectionString: string): PoolWithoutPredicates {
  const seen = new Set<string>();
  const broken = new Set<string>();
  function rewritten(text: string): string {
    const result = withoutPredicates(text);
    if (result.isData) {
      seen.add(text);
      if (result.isBroken) broken.add(text);
    }
    return result.text;
  }
  class CarelessClient extends pg.Client {
    constructor(config: pg.ClientConfig) {
      super(config);
      const wire = (this as unknown as { readonly connection: Wire }).connection;
      const parse = wire.parse.bind(wire);
      const query = wire.query.bind(wire);
      wire.parse = (statement, more) =>
        parse({ ...statement, text: rewritten(statement.text) }, more);
      wire.query = (text) => query(rewritten(text));
    }
  }
  const pool = new pg.Pool({ connectionString, max: 10, Client: CarelessClient as never });
  pool.on("error", () => undefined);
  return {
    pool,
    seen,
    broken,
    async close() {
      await pool.end();
      const unbroken = [...seen].filter((text) => !broken.has(text));
      if (unbroken.length > 0)
        throw new Error(`sent with a predicate, or never had one:\n${unbroken.join("\n")}`);
    },
  };
}

import { sql } from "drizzle-orm";
import { getTableConfig, type PgTable } from "drizzle-orm/pg-core";
import { aborted, throwIfAborted } from "../abort.ts";
import type { CallContext, Erasure } from "../backend.ts";
import { auditOpenIntents, auditParts, auditTiles } from "../machinery.ts";
import { auditLog } from "../schema.ts";
import { tableNames } from "../tables.ts";
import { type Connections, PipelineFailure } from "./connections.ts";
import type { Call } from "./pipeline.ts";
import { drizzleTables, texts } from "./record-sql.ts";
import type { Session } from "./session.ts";
import { isTransient } from "./sql-state.ts";
import type { Statements } from "./statements.ts";
import { arrayParameter, type WireRow } from "./wire.ts";

/** Erases parts of entries. Sent as the role that may. */
export function eraseParts(
  statements: Statements,
  org: string,
  erasures: readonly Erasure[],
): Call {
  return statements.call(
    "audit_erase",
    () =>
      sql`SELECT codespar.audit_erase(${sql.placeholder("org")}::text, ${texts("seqs")}::bigint[], ${texts("names")})`,
    {
      org,
      seqs: arrayParameter(erasures.map(({ seq }) => String(seq))),
      names: arrayParameter(erasures.map(({ name }) => name)),
    },
  );
}

const rowsAtFirst = 256;
const fewestRows = 64;
const mostRows = 16_384;
/** Rows differ in size by a factor of thousands: a step takes as many as it erases in about this time. */
const stepMs = 500;

/** In the order in which they are erased: API keys first, so that nobody comes back in, and the trail last. What is left then goes with its head. */
const erasedTables = [
  ...tableNames.filter((name) => name === "api_keys"),
  ...tableNames.filter((name) => name !== "api_keys"),
].map((name) => nameOf(drizzleTables[name]));
const trailTables = [auditParts, auditTiles, auditOpenIntents, auditLog].map(nameOf);

/** Erases what a database holds of organisations. */
export class Eraser {
  readonly #session: Session;
  readonly #connections: Connections;
  readonly #statements: Statements;

  constructor(session: Session, connections: Connections, statements: Statements) {
    this.#session = session;
    this.#connections = connections;
    this.#statements = statements;
  }

  /** As `Backend.eraseOrganisation`: each step is a transaction. */
  async organisation(
    orgId: string,
    { signal }: CallContext,
    onStep: (table: string, rows: number) => void,
  ): Promise<void> {
    throwIfAborted(signal);
    const tell = (table: string, rows: number) => {
      if (rows > 0) onStep(table.replace(/^.*\./, ""), rows);
    };
    for (const table of [...erasedTables, ...trailTables]) {
      let limit = rowsAtFirst;
      let last: readonly string[] | null = null;
      do {
        const start = performance.now();
        const step = await this.#rows(orgId, table, last, limit);
        ({ last } = step);
        tell(table, step.rows);
        if (signal?.aborted)
          throw aborted(signal, "between two steps; the same call goes on where it ended");
        const quick = performance.now() - start < stepMs;
        limit = quick ? Math.min(limit * 2, mostRows) : Math.max(limit / 2, fewestRows);
      } while (last !== null);
    }
    for (const [table, rows] of await this.#head(orgId)) tell(table, rows);
  }

  async #rows(org: string, table: string, after: readonly string[] | null, limit: number) {
    const call = this.#statements.call(
      "erase_rows",
      () =>
        sql`SELECT e.erased, to_json(e.last) FROM codespar.erase_rows(${sql.placeholder("org")}::text, ${sql.placeholder("table")}::text, ${texts("after")}, ${sql.placeholder("limit")}::integer) AS e`,
      { org, table, after: after && arrayParameter(after), limit: String(limit) },
    );
    const [row] = await this.#run(org, call);
    const [rows, last] = row ?? [];
    return { rows: Number(rows), last: last == null ? null : (JSON.parse(last) as string[]) };
  }

  async #head(org: string): Promise<[table: string, rows: number][]> {
    const call = this.#statements.call(
      "erase_head",
      () =>
        sql`SELECT e.erased_table, e.erased FROM codespar.erase_head(${sql.placeholder("org")}::text) AS e`,
      { org },
    );
    return (await this.#run(org, call)).map(([table, rows]) => [table ?? "", Number(rows)]);
  }

  async #run(org: string, call: Call): Promise<readonly WireRow[]> {
    for (;;) {
      try {
        const [rows] = await this.#session.runErasing(org, [], [call]);
        return rows ?? [];
      } catch (error) {
        // Who writes meanwhile locks rows in another order.
        if (!(error instanceof PipelineFailure && isTransient(error.cause)))
          throw this.#connections.storageError(error);
      }
    }
  }
}

function nameOf(table: PgTable): string {
  const { schema = "public", name } = getTableConfig(table);
  return `${schema}.${name}`;
}

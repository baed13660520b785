import { sql } from "drizzle-orm";
import { StorageError } from "../../errors/storage-error.ts";
import { type Connections, PipelineFailure } from "./connections.ts";
import { readMigrations } from "./migrations/journal.ts";
import {
  appliedMigrationsSql,
  compareState,
  missingError,
  pendingError,
} from "./migrations/state.ts";
import type { Call } from "./pipeline.ts";
import { databaseError, isMissingSchema } from "./sql-state.ts";
import type { Statements } from "./statements.ts";
import type { Parameter, WireRow } from "./wire.ts";

/** What a database is like, as far as sessions on it must know. */
export interface DatabaseFacts {
  readonly migrations: { readonly applied: number; readonly pending: number };
  /** Row-level security under a role of its own, or under the tables' owner; `null` while there is none to speak of. */
  readonly isolation: "roles" | "policies" | null;
  readonly synchronousCommit: string;
  /** Whether the login passes row-level security by, with no role to put on instead. */
  readonly bypassesPolicies: boolean;
  /** Whether the login may erase: by the role for it, or as the tables' owner. */
  readonly mayErase: boolean;
  /** Whom the login logs in as. */
  readonly user: string;
  /** Whether the login has the rights of the tables' owner. */
  readonly isOwner: boolean;
}

/** Server-side share of the statement timeout: the server should give up first, so that the connection can be kept. */
const serverShare = 0.9;

/** Whether the login may become a role. */
const mayBecome = (role: string) =>
  sql`coalesce((SELECT pg_has_role(current_user, r.oid, CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) FROM pg_roles AS r WHERE r.rolname = ${sql.raw(`'${role}'`)}), false)`;

const facts = sql`SELECT
  pg_get_userbyid(c.relowner),
  ${mayBecome("codespar_app")},
  ${mayBecome("codespar_maintenance")},
  (SELECT r.rolsuper OR r.rolbypassrls FROM pg_roles AS r WHERE r.rolname = current_user),
  current_setting('synchronous_commit'),
  current_setting('default_transaction_isolation'),
  current_user,
  coalesce(pg_has_role(current_user, c.relowner, 'USAGE'), false) OR (SELECT r.rolsuper OR r.rolbypassrls FROM pg_roles AS r WHERE r.rolname = current_user)
  FROM (SELECT 1) AS one LEFT JOIN pg_class AS c ON c.oid = to_regclass('public.agent_memory')`;

/** What every transaction sets for itself. Built once: it opens every call. */
const settings = sql`set_config('codespar.org_id', ${sql.placeholder("org")}, true), set_config('statement_timeout', ${sql.placeholder("timeout")}, true), set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true)`;

/** Looks at a database once, and from then on opens its transactions. */
export class Session {
  readonly #connections: Connections;
  readonly #statements: Statements;
  readonly #timeout: string;
  #facts: DatabaseFacts | null = null;
  #looking: Promise<DatabaseFacts> | null = null;

  constructor(connections: Connections, statements: Statements, statementTimeoutMs: number) {
    this.#connections = connections;
    this.#statements = statements;
    this.#timeout = String(Math.ceil(statementTimeoutMs * serverShare));
  }

  /**
   * Runs calls for an organisation: one transaction that puts on the application's role and names the organisation first.
   *
   * @throws PipelineFailure, and StorageError `SCHEMA_PENDING`, `SCHEMA_DRIFT`, `UNAVAILABLE`
   */
  async run(org: string, calls: readonly Call[]): Promise<WireRow[][]> {
    const { isolation } = this.#facts ?? (await this.#ready());
    const [, ...rows] = await this.#send([this.#opening(isolation, org), ...calls]);
    return rows;
  }

  /**
   * As {@link Session.run}, and then, in the same transaction, calls that erase: as the role that may.
   *
   * @throws StorageError `UNSUPPORTED` when the login may not put that role on
   */
  async runErasing(
    org: string,
    calls: readonly Call[],
    erasing: readonly Call[],
  ): Promise<WireRow[][]> {
    const isolation = await this.#mayErase();
    // What was put on at the beginning doesn't matter: PostgreSQL asks whether the login is a member.
    const roleOn = this.#statements.call(
      "erasing",
      () => sql`SELECT set_config('role', 'codespar_maintenance', true)`,
      {},
    );
    const between = isolation === "roles" ? [roleOn] : [];
    try {
      const sent = [this.#opening(isolation, org), ...calls, ...between, ...erasing];
      const [, ...rows] = await this.#send(sent);
      return [...rows.slice(0, calls.length), ...rows.slice(calls.length + between.length)];
    } catch (error) {
      const denied =
        error instanceof PipelineFailure && databaseError(error.cause).code === "42501";
      // What was granted may have been revoked since, which is worth saying.
      if (denied) await this.#mayErase("look again");
      throw error;
    }
  }

  /** @returns how organisations are kept apart, in a database where the login may erase */
  async #mayErase(again?: "look again"): Promise<DatabaseFacts["isolation"]> {
    if (again) this.#facts = null;
    const { mayErase, isolation, user } = await this.#factsWith("mayErase");
    if (mayErase) return isolation;
    throw new StorageError(
      "UNSUPPORTED",
      `PostgreSQL ${this.#connections.label}: ${user} may not erase. As an administrator: GRANT codespar_maintenance TO ${user}`,
    );
  }

  /** Looks again where the login lacked a right: it may have been granted since. */
  async #factsWith(right: "mayErase" | "isOwner"): Promise<DatabaseFacts> {
    const found = await this.#ready();
    if (found[right]) return found;
    this.#facts = null;
    return this.#ready();
  }

  async #send(calls: readonly Call[]): Promise<WireRow[][]> {
    try {
      return await this.#connections.run(calls);
    } catch (error) {
      if (!lacksSchema(error)) throw error;
    }
    // The database was replaced under us, or rolled back: look again, which says what is missing.
    this.#facts = null;
    await this.#ready();
    try {
      // It may have been migrated in between.
      return await this.#connections.run(calls);
    } catch (error) {
      throw lacksSchema(error) ? missingError(this.#connections.label, error.cause) : error;
    }
  }

  /**
   * Runs calls as the login itself, with the rights of the tables' owner. Only sealing anew takes them; whatever else concerns all organisations,
   * functions tell the application.
   *
   * @param org - whom functions act for that ask for one
   * @throws StorageError `UNSUPPORTED` when the login hasn't got them
   */
  async runAsOwner(calls: readonly Call[], org = ""): Promise<WireRow[][]> {
    const { isOwner, user } = await this.#factsWith("isOwner");
    if (!isOwner) {
      throw new StorageError(
        "UNSUPPORTED",
        `PostgreSQL ${this.#connections.label}: ${user} may not seal stored secrets anew. Use the URL of the user that migrates; or, as an administrator: GRANT codespar_owner TO ${user}, and when it is done REVOKE codespar_owner FROM ${user}`,
      );
    }
    const opening = this.#statements.call(
      "maintenance",
      () =>
        sql`SELECT set_config('codespar.maintenance', 'on', true), set_config('codespar.org_id', ${sql.placeholder("org")}, true)`,
      { org },
    );
    const [, ...rows] = await this.#send([opening, ...calls]);
    return rows;
  }

  /** What the database is like now. @throws StorageError as {@link Session.run}, but not for pending migrations */
  async look(): Promise<DatabaseFacts> {
    const applied = await this.#applied();
    const { applied: done, pending } = compareState(applied, readMigrations());
    const migrations = { applied: done.length, pending: pending.length };
    const call = this.#statements.call("facts", () => facts, {});
    const rows = await this.#query([call]);
    const [owner, hasRole, mayErase, superuser, synchronousCommit, isolationLevel, user, isOwner] =
      rows[0]?.[0] ?? [];
    if (isolationLevel !== "read committed") {
      throw new StorageError(
        "UNAVAILABLE",
        `PostgreSQL ${this.#connections.label}: default_transaction_isolation is "${isolationLevel}". Set it back for the user of DATABASE_URL: ALTER ROLE … SET default_transaction_isolation = 'read committed'`,
      );
    }
    const ownedByRole = owner === "codespar_owner";
    if (ownedByRole && hasRole !== "t") {
      throw new StorageError(
        "UNAVAILABLE",
        `PostgreSQL ${this.#connections.label}: ${user} may not become codespar_app. As an administrator: GRANT codespar_app TO ${user}`,
      );
    }
    const isolation = ownedByRole ? "roles" : "policies";
    return {
      migrations,
      // The policies come with the migrations.
      isolation: owner === null || pending.length > 0 ? null : isolation,
      synchronousCommit: synchronousCommit ?? "",
      bypassesPolicies: owner !== null && !ownedByRole && superuser === "t",
      mayErase: !ownedByRole || mayErase === "t",
      user: user ?? "",
      isOwner: isOwner === "t",
    };
  }

  #ready(): Promise<DatabaseFacts> {
    if (this.#facts) return Promise.resolve(this.#facts);
    // One look for all who wait; a failed one isn't remembered.
    this.#looking ??= this.look()
      .then((found) => {
        if (found.migrations.pending > 0)
          throw pendingError(this.#connections.label, found.migrations.pending);
        this.#facts = found;
        return found;
      })
      .finally(() => {
        this.#looking = null;
      });
    return this.#looking;
  }

  async #applied() {
    const statement = { name: "", text: appliedMigrationsSql };
    try {
      const [rows] = await this.#connections.run([{ statement, values: [] }]);
      return (rows ?? []).map(([hash, createdAt]) => ({
        hash: hash ?? "",
        createdAt: Number(createdAt),
      }));
    } catch (error) {
      if (lacksSchema(error)) return [];
      throw this.#connections.storageError(error);
    }
  }

  async #query(calls: readonly Call[]): Promise<WireRow[][]> {
    try {
      return await this.#connections.run(calls);
    } catch (error) {
      throw this.#connections.storageError(error);
    }
  }

  /**
   * Plans are held to walks along an index, made once: connections keep their plans, and one made while a table was empty would go on
   * reading and sorting all of it while it grows. Planning each call for its own values took half of an append.
   */
  #opening(isolation: DatabaseFacts["isolation"], org: string): Call {
    const values: Record<string, Parameter> = { org, timeout: this.#timeout };
    return isolation === "roles"
      ? this.#statements.call(
          "open:roles",
          () => sql`SELECT set_config('role', 'codespar_app', true), ${settings}`,
          values,
        )
      : this.#statements.call("open:policies", () => sql`SELECT ${settings}`, values);
  }
}

function lacksSchema(error: unknown): error is PipelineFailure {
  return error instanceof PipelineFailure && isMissingSchema(error.cause);
}

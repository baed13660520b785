import { sql } from "drizzle-orm";
import type { Leaf } from "../../audit/leaf.ts";
import { leafHash } from "../../audit/leaf.ts";
import { projectionOf } from "../../audit/projection.ts";
import { StorageError } from "../../errors/storage-error.ts";
import { type AuditRow, type StoredRecord, UniqueViolation } from "../backend.ts";
import type { TableName } from "../tables.ts";
import { importEntries } from "./audit-sql.ts";
import { type Connections, PipelineFailure } from "./connections.ts";
import { importRecords } from "./record-writes.ts";
import type { Session } from "./session.ts";
import { databaseError, ownStates } from "./sql-state.ts";
import type { Statements } from "./statements.ts";

/** Takes over what another store holds, as it is. */
export class Importer {
  readonly #session: Session;
  readonly #connections: Connections;
  readonly #statements: Statements;

  constructor(session: Session, connections: Connections, statements: Statements) {
    this.#session = session;
    this.#connections = connections;
    this.#statements = statements;
  }

  /** As `Backend.importAudit`. */
  async audit(orgId: string, rows: readonly AuditRow[]): Promise<void> {
    const [first] = rows;
    if (first === undefined) return;
    const entries = rows.map((row) => {
      const leaf = readLeaf(row);
      return { ...row, projection: projectionOf(leaf), log: leaf.log };
    });
    const log = entries[0]?.log ?? "";
    if (entries.some((entry) => entry.log !== log))
      throw refused(first.seq, "they belong to different trails");
    try {
      await this.#session.run(orgId, [importEntries(this.#statements, orgId, log, entries)]);
    } catch (error) {
      const cause = error instanceof PipelineFailure ? databaseError(error.cause) : null;
      if (cause?.code === ownStates.importRefused) throw refused(first.seq, cause.message, error);
      throw this.#connections.storageError(error);
    }
  }

  /** As `Backend.importRecords`. */
  async records(orgId: string, table: TableName, records: readonly StoredRecord[]): Promise<void> {
    if (records.length === 0) return;
    const calls = [importRecords(this.#statements, orgId, table, records)];
    if (table === "slack_installations") calls.push(this.#claimRoutes(orgId));
    try {
      await this.#session.run(orgId, calls);
    } catch (error) {
      const cause = error instanceof PipelineFailure ? databaseError(error.cause) : null;
      if (cause?.code === ownStates.routeTaken)
        throw new UniqueViolation("slack_installations", "route");
      throw this.#connections.storageError(error);
    }
  }

  #claimRoutes(org: string) {
    return this.#statements.call(
      "claim_routes",
      () =>
        sql`SELECT codespar.slack_route(${sql.placeholder("org")}::text, ARRAY(SELECT s.route::text FROM slack_installations AS s WHERE s.org_id = ${sql.placeholder("org")}), '{}')`,
      { org },
    );
  }
}

function readLeaf(row: AuditRow): Leaf {
  const text = Buffer.from(row.leaf).toString("utf8");
  if (leafHash(row.leaf) !== row.hash) throw refused(row.seq, "its hash is not its bytes'");
  try {
    return JSON.parse(text) as Leaf;
  } catch (error) {
    throw refused(row.seq, "its bytes are not JSON", error);
  }
}

function refused(seq: number, why: string, cause?: unknown): StorageError {
  return new StorageError(
    "CORRUPTION",
    `The audit entries from ${seq} on can't be taken over: ${why}. Verify the source: codespar audit verify`,
    { cause },
  );
}

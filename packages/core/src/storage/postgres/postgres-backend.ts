import { sql } from "drizzle-orm";
import type { KeyRing } from "../../crypto/key-ring.ts";
import type { AuditFailure } from "../../domain/audit-proofs.ts";
import { aborted, throwIfAborted, unlessAborted } from "../abort.ts";
import type {
  AuditHead,
  AuditQuery,
  AuditRow,
  Backend,
  CallContext,
  Commit,
  CommitResult,
  CountRow,
  KeyRange,
  OpenIntent,
  OrganisationPage,
  RecordQuery,
  RecordRef,
  StoredRecord,
  TreeTile,
} from "../backend.ts";
import type { Health } from "../health.ts";
import type { KeyState, ResealStep, SealedCount } from "../secrets-port.ts";
import { keyIdOf } from "../stored-keys.ts";
import type { TableName } from "../tables.ts";
import { isRun, type ReadRun, readRun } from "./audit-pages.ts";
import { listEntries, pageOf } from "./audit-search.ts";
import { entryOf, findEntry, headOf, trailHead } from "./audit-sql.ts";
import { findStrays, listOpenIntents, strayOf } from "./audit-strays.ts";
import { readTiles, tilesOf } from "./audit-tiles.ts";
import { type ConnectionOptions, Connections } from "./connections.ts";
import { Eraser } from "./erasure.ts";
import { checkHealth } from "./health.ts";
import { Importer } from "./importer.ts";
import { KeyStore } from "./key-store.ts";
import type { Call } from "./pipeline.ts";
import { Reader } from "./reader.ts";
import { Reclaimer } from "./reclaim.ts";
import { listRecords } from "./record-listing.ts";
import { agentsWithMemory, countOf, countRecords, recordOf } from "./record-reads.ts";
import { specOf } from "./record-sql.ts";
import { Resealer } from "./resealer.ts";
import { Session } from "./session.ts";
import { Statements } from "./statements.ts";
import type { WireRow } from "./wire.ts";
import { Writer } from "./writer.ts";

/** What a PostgreSQL backend is made of. */
export interface PostgresBackendOptions extends ConnectionOptions {
  /** Lets concurrent calls of one organisation share a statement. */
  readonly coalesce: boolean;
  readonly encryptionKey?: string | undefined;
  readonly clock: () => number;
}

/** Records and trails in PostgreSQL, each organisation's kept apart by row-level security besides its queries. */
export class PostgresBackend implements Backend {
  readonly kind = "postgres";
  readonly #connections: Connections;
  readonly #statements: Statements;
  readonly #session: Session;
  readonly #reader: Reader;
  readonly #writer: Writer;
  readonly #importer: Importer;
  readonly #eraser: Eraser;
  readonly #keys: KeyStore;
  readonly #resealer: Resealer;
  readonly #reclaimer: Reclaimer;
  /** Calls under way. Counted rather than kept: a set that calls come and go in is what a garbage collector keeps longest. */
  #underWay = 0;
  #idle: (() => void) | null = null;
  #closing: Promise<void> | null = null;

  /** @throws StorageError `VALIDATION` when the URL can't be used */
  constructor(options: PostgresBackendOptions) {
    const { coalesce, encryptionKey, statementTimeoutMs } = options;
    this.#connections = new Connections(options);
    this.#statements = new Statements();
    this.#session = new Session(this.#connections, this.#statements, statementTimeoutMs);
    this.#reader = new Reader(this.#session, this.#connections, this.#statements, coalesce);
    this.#writer = new Writer(this.#session, this.#connections, this.#statements, coalesce);
    this.#importer = new Importer(this.#session, this.#connections, this.#statements);
    this.#eraser = new Eraser(this.#session, this.#connections, this.#statements);
    this.#keys = new KeyStore(this.#reader, this.#statements, encryptionKey);
    this.#resealer = new Resealer(this.#session, this.#connections, this.#statements);
    this.#reclaimer = new Reclaimer(this.#session, this.#statements);
  }

  read(
    orgId: string,
    refs: readonly RecordRef[],
    context: CallContext,
  ): Promise<(StoredRecord | null)[]> {
    return this.#call(context, () => this.#reader.read(orgId, refs, context));
  }

  async list(orgId: string, query: RecordQuery, context: CallContext): Promise<StoredRecord[]> {
    const width = specOf(query.table).key.length;
    const rows = await this.#query(
      orgId,
      context,
      listRecords(this.#statements, orgId, query, context.now),
    );
    return rows.map((row) =>
      recordOf(
        query.table,
        row.slice(0, width).map((part) => part ?? ""),
        row,
        width,
      ),
    );
  }

  async countBy(
    orgId: string,
    table: TableName,
    columns: readonly string[],
    context: CallContext,
  ): Promise<CountRow[]> {
    const call = countRecords(this.#statements, orgId, table, columns, context.now);
    return (await this.#query(orgId, context, call)).map((row) => countOf(table, columns, row));
  }

  async agentsWithMemory(orgId: string, query: KeyRange, context: CallContext): Promise<string[]> {
    const call = agentsWithMemory(this.#statements, orgId, query, context.now);
    return (await this.#query(orgId, context, call)).map(([agentId]) => agentId ?? "");
  }

  async commit(orgId: string, commit: Commit, context: CallContext): Promise<CommitResult> {
    throwIfAborted(context.signal);
    const result = await this.#track(this.#writer.commit(orgId, commit, context));
    this.#reclaimer.nudge(context.now);
    return result;
  }

  async listAudit(orgId: string, query: AuditQuery, context: CallContext): Promise<AuditRow[]> {
    const read = isRun(query) ? await this.#run(orgId, query, context) : null;
    const run = read?.rows ?? [];
    if (run.length === query.limit || read?.isFull === true) return run;
    // A run ends where an entry was removed. What stands behind it is found by searching.
    const rest = {
      ...query,
      after: run.at(-1)?.seq ?? query.after,
      limit: query.limit - run.length,
    };
    const call = listEntries(this.#statements, orgId, rest);
    return [...run, ...pageOf(await this.#query(orgId, context, call), query.order)];
  }

  async #run(orgId: string, query: AuditQuery, context: CallContext): Promise<ReadRun> {
    const run = readRun(this.#statements, orgId, query);
    await this.#queries(orgId, context, run.calls);
    return run.read();
  }

  async findAudit(orgId: string, id: string, context: CallContext): Promise<AuditRow | null> {
    const [row] = await this.#query(orgId, context, findEntry(this.#statements, orgId, id));
    return row === undefined ? null : entryOf(row);
  }

  async auditHead(orgId: string, context: CallContext): Promise<AuditHead> {
    const [row] = await this.#query(orgId, context, trailHead(this.#statements, orgId));
    return headOf(row);
  }

  async eraseOrganisation(
    orgId: string,
    context: CallContext,
    onStep: (table: string, rows: number) => void,
  ): Promise<boolean> {
    await this.#track(this.#eraser.organisation(orgId, context, onStep));
    return false;
  }

  async treeTiles(
    orgId: string,
    tiles: readonly TreeTile[],
    context: CallContext,
  ): Promise<Uint8Array[]> {
    if (tiles.length === 0) return [];
    const rows = await this.#query(orgId, context, readTiles(this.#statements, orgId, tiles));
    return tilesOf(rows, tiles);
  }

  async openIntents(
    orgId: string,
    page: { readonly after: number; readonly limit: number },
    context: CallContext,
  ): Promise<OpenIntent[]> {
    const call = listOpenIntents(this.#statements, orgId, page);
    const rows = await this.#query(orgId, context, call);
    return rows.map(([seq, correlationId]) => ({
      seq: Number(seq),
      correlationId: correlationId ?? "",
    }));
  }

  async strayInTrail(orgId: string, context: CallContext): Promise<AuditFailure | null> {
    return strayOf(await this.#query(orgId, context, findStrays(this.#statements, orgId)));
  }

  async findApiKey(orgId: string, id: string, context: CallContext): Promise<StoredRecord | null> {
    const [record] = await this.read(orgId, [{ table: "api_keys", key: [id] }], context);
    return record ?? null;
  }

  async hasApiKeys(context: CallContext): Promise<boolean> {
    const call = this.#statements.call(
      "has_api_keys",
      () => sql`SELECT codespar.has_api_keys()`,
      {},
    );
    // No organisation's matter; transactions name one all the same.
    const [row] = await this.#query("", context, call);
    return row?.[0] === "t";
  }

  keyRing(use?: "open" | "seal"): Promise<KeyRing> {
    return this.#track(this.#keys.ring(use));
  }

  keyState(): Promise<KeyState> {
    return this.#track(this.#keys.keyState());
  }

  sealedCounts(): Promise<readonly SealedCount[]> {
    return this.#track(this.#resealer.counts());
  }

  reseal(orgId: string, step: ResealStep, nowMs: number): Promise<void> {
    return this.#track(this.#resealer.reseal(orgId, step, nowMs));
  }

  beginRotation(): Promise<KeyRing> {
    return this.keyRing("seal");
  }

  async sealCanary(): Promise<void> {
    const ring = await this.keyRing();
    const { canary } = await this.keyState();
    if (canary === null || keyIdOf(canary) !== ring.activeKeyId)
      await this.#track(this.#resealer.keepCanary(ring.canary()));
  }

  /** The keys are the environment's. */
  async dropEarlierKeys(): Promise<void> {}

  health(timeoutMs: number): Promise<Health> {
    return checkHealth(this.#session, this.#keys, this.#connections, timeoutMs);
  }

  async organisations(context: CallContext, page?: OrganisationPage): Promise<string[]> {
    const { after, limit } = page ?? { after: "", limit: Number.POSITIVE_INFINITY };
    const found: string[] = [];
    for (;;) {
      const most = Math.min(limit - found.length, mostOrganisations);
      const call = organisationsBehind(this.#statements, found.at(-1) ?? after, most);
      // No organisation's matter; transactions name one all the same.
      const rows = await this.#query("", context, call);
      for (const [orgId] of rows) found.push(orgId ?? "");
      if (rows.length < most || found.length === limit) return found;
    }
  }

  importAudit(orgId: string, rows: readonly AuditRow[], context: CallContext): Promise<void> {
    return this.#call(context, () => this.#importer.audit(orgId, rows));
  }

  importRecords(
    orgId: string,
    table: TableName,
    records: readonly StoredRecord[],
    context: CallContext,
  ): Promise<void> {
    return this.#call(context, () => this.#importer.records(orgId, table, records));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#underWay > 0) await new Promise<void>((resolve) => (this.#idle = resolve));
    await this.#reclaimer.settled();
    await this.#connections.close();
  }

  async #query(orgId: string, context: CallContext, call: Call): Promise<readonly WireRow[]> {
    const [rows] = await this.#queries(orgId, context, [call]);
    return rows ?? [];
  }

  #queries(orgId: string, context: CallContext, calls: readonly Call[]): Promise<WireRow[][]> {
    return this.#call(context, () => this.#reader.query(orgId, calls));
  }

  #call<Result>({ signal }: CallContext, work: () => Promise<Result>): Promise<Result> {
    throwIfAborted(signal);
    return unlessAborted(this.#track(work()), signal, (fired) =>
      aborted(fired, "after it was sent; outcome unknown"),
    );
  }

  #track<Result>(work: Promise<Result>): Promise<Result> {
    this.#underWay += 1;
    work.then(this.#settled, this.#settled);
    return work;
  }

  readonly #settled = (): void => {
    this.#underWay -= 1;
    if (this.#underWay === 0) this.#idle?.();
  };
}

/** As many as `codespar.organisations` gives at once. */
const mostOrganisations = 1000;

/** Some who have anything, in the order of their ids, behind one. */
function organisationsBehind(statements: Statements, after: string, limit: number): Call {
  return statements.call(
    "organisations",
    () =>
      sql`SELECT o FROM codespar.organisations(${sql.placeholder("after")}::text, ${sql.placeholder("limit")}::integer) AS o`,
    { after, limit: String(limit) },
  );
}

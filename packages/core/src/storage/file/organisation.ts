import type { StorageError } from "../../errors/storage-error.ts";
import { throwIfAborted } from "../abort.ts";
import {
  type AuditRow,
  type Commit,
  type CommitResult,
  type Erasure,
  type StoredRecord,
  UniqueViolation,
} from "../backend.ts";
import type { ResealStep } from "../secrets-port.ts";
import { type TableName, tableNames } from "../tables.ts";
import { bodyBytes, type ErasedPart } from "./audit-parts.ts";
import type { AuditTrail } from "./audit-trail.ts";
import { chunksOf } from "./chunks.ts";
import { runAll, unavailable } from "./failures.ts";
import { frameBytes, GroupCommit } from "./group-commit.ts";
import { sortKey } from "./key-order.ts";
import { encodeAudit, encodePut } from "./operations.ts";
import { type Plan, planCommit } from "./plan.ts";
import { sizeOf } from "./record-codec.ts";
import { type Recovered, recover } from "./recovery.ts";
import { planReseal } from "./reseal.ts";
import { Snapshots } from "./snapshots.ts";
import type { StoreContext } from "./store-context.ts";
import type { Table } from "./table.ts";

/** One organisation: its state in memory, and the group commit that changes it. */
export class Organisation {
  readonly orgId: string;
  readonly folder: string;
  readonly tables: Readonly<Record<TableName, Table>>;
  readonly trail: AuditTrail;
  readonly warnings: readonly string[];
  readonly #store: StoreContext;
  readonly #state: Recovered;
  readonly #snapshots: Snapshots;
  readonly #commits: GroupCommit;

  private constructor(store: StoreContext, orgId: string, folder: string, state: Recovered) {
    this.#store = store;
    this.orgId = orgId;
    this.folder = folder;
    this.#state = state;
    this.tables = state.tables;
    this.trail = state.trail;
    this.warnings = state.warnings;
    this.#snapshots = new Snapshots(store, orgId, folder, state, () => this.#commits.wake());
    this.#commits = new GroupCommit(store, folder, state, this.#snapshots);
    this.#snapshots.resume();
  }

  static async open(store: StoreContext, orgId: string, folder: string): Promise<Organisation> {
    const { fs, usage } = store;
    const state = await recover({ fs, folder, usage, writable: store.writable });
    return new Organisation(store, orgId, folder, state);
  }

  /** Why it can't be written any more until it is reopened, or `null`. */
  get failure(): StorageError | null {
    return this.#state.journal.failure;
  }

  /** Trouble with the latest snapshot, in words, or `null`. */
  get snapshotWarning(): string | null {
    return this.#snapshots.warning;
  }

  /** Whether it holds no record and no entry of the trail. */
  get isEmpty(): boolean {
    return this.#counts().size === 0;
  }

  /** How many rows each table has, empty ones left out. */
  #counts(): Map<string, number> {
    const counts = tableNames.map((name): [string, number] => [name, this.tables[name].size]);
    counts.push(["audit_log", this.trail.head.size]);
    return new Map(counts.filter(([, count]) => count > 0));
  }

  /** Drops records that have expired. */
  reclaim(): void {
    this.#snapshots.reclaim();
  }

  /**
   * See `Backend.commit`.
   *
   * @param signal - takes the commit back while it waits
   */
  async commit(
    commit: Commit,
    nowMs: number,
    signal: AbortSignal | undefined,
  ): Promise<CommitResult> {
    const erased = commit.erasures === undefined ? [] : await this.#locate(commit.erasures, signal);
    const result = await this.#commits.add({
      plan: () => planCommit(this.#target, commit, erased, nowMs),
      needsTrail: commit.appends.length + erased.length > 0,
      signal,
    });
    this.#releaseRoutes(commit);
    return result;
  }

  /** Finds what is to be erased, before others have to wait for it. */
  async #locate(
    erasures: readonly Erasure[],
    signal: AbortSignal | undefined,
  ): Promise<ErasedPart[]> {
    const located = await this.trail.locate(erasures).catch((error: unknown) => {
      throw unavailable("The audit trail can't be read", error);
    });
    throwIfAborted(signal);
    return located;
  }

  /** See `SecretsPort.reseal`. */
  async reseal(step: ResealStep, nowMs: number): Promise<void> {
    const plan = () => planReseal(this.#target, step, nowMs);
    await this.#commits.add({ plan, needsTrail: step.entries.length > 0 });
  }

  /** Waits for what was handed over before. */
  async settled(): Promise<void> {
    const nothing = { lines: "", writes: [], appends: [], erased: [], release: () => undefined };
    await this.#commits.add({ plan: () => nothing, needsTrail: false });
  }

  /** Writes records as they are. */
  async importRecords(table: TableName, records: readonly StoredRecord[]): Promise<void> {
    for (const chunk of chunksOf(records, frameBytes / 2, sizeOf)) {
      const plan = () => this.#planImport(table, chunk);
      await this.#commits.add({ plan, needsTrail: false });
    }
  }

  /** Appends entries as they are. */
  async importAudit(rows: readonly AuditRow[]): Promise<void> {
    for (const chunk of chunksOf(rows, frameBytes / 2, (row) => row.leaf.length + bodyBytes(row))) {
      const plan = () => this.#planImportAudit(chunk);
      await this.#commits.add({ plan, needsTrail: true });
    }
  }

  /** Ends what is in flight, writes a last snapshot if that is quick, and closes the files. */
  close(): Promise<void> {
    return this.#end(() => this.#snapshots.close());
  }

  /**
   * Ends what is in flight and closes the files, which are going to be removed.
   *
   * @returns how many rows each table has in the end, empty ones left out
   */
  async abandon(): Promise<ReadonlyMap<string, number>> {
    let counts: ReadonlyMap<string, number> = new Map();
    await this.#end(() => {
      counts = this.#counts();
      return this.#snapshots.abandon();
    });
    return counts;
  }

  async #end(snapshots: () => Promise<void>): Promise<void> {
    await this.#commits.idle();
    await runAll([snapshots, () => this.#state.journal.close(), () => this.trail.close()]).finally(
      () => this.#unload(),
    );
  }

  #unload(): void {
    for (const table of Object.values(this.tables)) table.unload();
  }

  get #target() {
    const { usage, routes } = this.#store;
    return { orgId: this.orgId, tables: this.tables, trail: this.trail, usage, routes };
  }

  #releaseRoutes(commit: Commit): void {
    for (const write of commit.writes) {
      if (write.kind !== "delete" || write.releases === undefined) continue;
      if (this.tables[write.table].staged(sortKey(write.key)) !== null) continue;
      for (const route of write.releases) this.#store.routes.release(route, this.orgId);
    }
  }

  #planImport(table: TableName, records: readonly StoredRecord[]): Plan {
    if (table === "slack_installations") this.#claimRoutes(records);
    const bytes = records.reduce((sum, record) => sum + sizeOf(record), 0);
    const release = this.#store.usage.reserve(records.length, bytes);
    for (const record of records) this.tables[table].stage(sortKey(record.key), record);
    const lines = records.map((record) => encodePut(table, record)).join("");
    return { lines, writes: [], appends: [], erased: [], release };
  }

  /** @throws UniqueViolation when another organisation holds one of them */
  #claimRoutes(installations: readonly StoredRecord[]): void {
    for (const { key } of installations) {
      if (this.#store.routes.claim(key[0] ?? "", this.orgId) === null)
        throw new UniqueViolation("slack_installations", "route");
    }
  }

  #planImportAudit(rows: readonly AuditRow[]): Plan {
    const lines = this.trail.stageSealed(rows).map(encodeAudit).join("");
    return { lines, writes: [], appends: [], erased: [], release: () => undefined };
  }
}

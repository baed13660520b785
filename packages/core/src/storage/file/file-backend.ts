import { resolve } from "node:path";
import type { KeyRing } from "../../crypto/key-ring.ts";
import type { AuditFailure } from "../../domain/audit-proofs.ts";
import { isoOf } from "../../domain/instant.ts";
import { StorageError } from "../../errors/storage-error.ts";
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
  RecordQuery,
  RecordRef,
  StoredRecord,
  TreeTile,
} from "../backend.ts";
import type { Health } from "../health.ts";
import type { KeyState, ResealStep, SealedCount } from "../secrets-port.ts";
import type { TableName } from "../tables.ts";
import { listAudit } from "./audit-query.ts";
import { nullWhenDamaged, unavailable } from "./failures.ts";
import { fileHealth } from "./file-health.ts";
import { FileKeys } from "./file-keys.ts";
import { FileStore } from "./file-store.ts";
import { type FileSystem, nodeFileSystem } from "./file-system.ts";
import { sortKey } from "./key-order.ts";
import type { Organisation } from "./organisation.ts";
import type { HoldingServer } from "./server-holding.ts";
import { isLive } from "./table.ts";
import type { Capacity } from "./usage.ts";

/** What a {@link FileBackend} is opened with. */
export interface FileBackendOptions {
  /** The storage folder; made when there is none. */
  readonly directory: string;
  /** Opens without the lock; every write is `UNSUPPORTED`. */
  readonly readOnly: boolean;
  /** Keys that seal secrets. Default: one kept in the folder, made on first use. */
  readonly encryptionKey?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly clock: () => number;
  /** For tests. Default: this machine's. */
  readonly fs?: FileSystem | undefined;
  /** What one process may hold. Default: two million records, 1 GiB of values. */
  readonly capacity?: Capacity | undefined;
  /** Milliseconds to wait for another process to let go of the folder. Default 5,000. */
  readonly lockWaitMs?: number | undefined;
}

/**
 * Keeps records in memory and in JSON files: one process writes, and what it acknowledged survives a crash. The format is described
 * in docs/reference/file-format.md. Does nothing until its first use.
 */
export class FileBackend implements Backend {
  readonly kind = "file";
  readonly directory: string;
  readonly #options: FileBackendOptions;
  readonly #store: FileStore;
  readonly #keys: FileKeys;

  constructor(options: FileBackendOptions) {
    this.directory = resolve(options.directory);
    this.#options = options;
    this.#store = new FileStore({
      ...options,
      directory: this.directory,
      fs: options.fs ?? nodeFileSystem,
    });
    this.#keys = new FileKeys(this.#store, options.encryptionKey);
  }

  async read(
    orgId: string,
    refs: readonly RecordRef[],
    context: CallContext,
  ): Promise<(StoredRecord | null)[]> {
    const { tables } = this.#store.opened(orgId) ?? (await this.#open(orgId, context));
    throwIfAborted(context.signal);
    const nowIso = isoOf(context.now);
    return refs.map((ref) => {
      const record = tables[ref.table].get(sortKey(ref.key));
      return record !== undefined && isLive(record, nowIso) ? record : null;
    });
  }

  async list(orgId: string, query: RecordQuery, context: CallContext): Promise<StoredRecord[]> {
    const { tables } = await this.#open(orgId, context);
    return tables[query.table].list(query, isoOf(context.now));
  }

  async countBy(
    orgId: string,
    table: TableName,
    columns: readonly string[],
    context: CallContext,
  ): Promise<CountRow[]> {
    const { tables } = await this.#open(orgId, context);
    return tables[table].countBy(columns, isoOf(context.now));
  }

  async agentsWithMemory(orgId: string, query: KeyRange, context: CallContext): Promise<string[]> {
    const { tables } = await this.#open(orgId, context);
    return tables.agent_memory.firstParts(query, isoOf(context.now));
  }

  async commit(orgId: string, commit: Commit, context: CallContext): Promise<CommitResult> {
    const claims = commit.writes.some(
      (write) => write.kind === "put" && write.claims !== undefined,
    );
    const keys = commit.writes.some((write) => write.table === "api_keys");
    if (claims || keys) await this.#learn(orgId, { claims, keys }, context);
    const organisation = this.#store.opened(orgId) ?? (await this.#open(orgId, context));
    throwIfAborted(context.signal);
    this.#store.requireWritable();
    this.#keys.refuseReplaced(commit);
    return organisation.commit(commit, context.now, context.signal);
  }

  async listAudit(orgId: string, query: AuditQuery, context: CallContext): Promise<AuditRow[]> {
    if (context.anew === true && this.#store.readOnly)
      return this.#readable(
        this.#store.anew(orgId, ({ trail }) => listAudit(trail, query, context)),
      );
    const { trail } = await this.#open(orgId, context);
    return this.#readable(listAudit(trail, query, context));
  }

  async findAudit(orgId: string, id: string, context: CallContext): Promise<AuditRow | null> {
    const { trail } = await this.#open(orgId, context);
    const row = await this.#readable(trail.find(id));
    const damage = trail.damage?.error.message ?? row?.damage;
    if (damage !== undefined) throw new StorageError("CORRUPTION", damage);
    return row;
  }

  async auditHead(orgId: string, context: CallContext): Promise<AuditHead> {
    return (await this.#open(orgId, context)).trail.head;
  }

  async eraseOrganisation(
    orgId: string,
    context: CallContext,
    onStep: (table: string, rows: number) => void,
  ): Promise<boolean> {
    throwIfAborted(context.signal);
    this.#store.requireWritable();
    try {
      const counts = await this.#store.erase(orgId);
      for (const [table, rows] of counts ?? []) onStep(table, rows);
      return counts === null;
    } catch (error) {
      throw unavailable("The organisation's files can't be removed", error);
    }
  }

  async treeTiles(
    orgId: string,
    tiles: readonly TreeTile[],
    context: CallContext,
  ): Promise<Uint8Array[]> {
    const { trail } = await this.#open(orgId, context);
    const read = await this.#readable(trail.treeTiles(tiles));
    if (context.asIs !== true && trail.damage !== null) throw trail.damage.error;
    return read;
  }

  async openIntents(): Promise<null> {
    return null;
  }

  async strayInTrail(orgId: string, context: CallContext): Promise<AuditFailure | null> {
    const { damage } = (await this.#open(orgId, context)).trail;
    if (damage === null) return null;
    const { seq, error } = damage;
    const [expected, actual, message] = ["what was written", error.message, error.message];
    return { seq, check: "content", expected, actual, message };
  }

  async findApiKey(orgId: string, id: string, context: CallContext): Promise<StoredRecord | null> {
    const keyed = await this.#readable(this.#store.keyed());
    if (!keyed.has(orgId)) return null;
    const [record] = await this.read(orgId, [{ table: "api_keys", key: [id] }], context);
    return record ?? null;
  }

  async hasApiKeys(context: CallContext): Promise<boolean> {
    throwIfAborted(context.signal);
    return (await this.#readable(this.#store.keyed())).size > 0;
  }

  keyRing(): Promise<KeyRing> {
    return this.#keys.ring();
  }

  keyState(): Promise<KeyState> {
    return this.#keys.state();
  }

  sealedCounts(): Promise<readonly SealedCount[]> {
    return this.#readable(this.#keys.counts());
  }

  async reseal(orgId: string, step: ResealStep, nowMs: number): Promise<void> {
    const organisation = await this.#store.open(orgId);
    this.#store.requireWritable();
    await organisation.reseal(step, nowMs);
  }

  beginRotation(newKey: boolean): Promise<KeyRing> {
    return this.#keys.begin(newKey);
  }

  sealCanary(): Promise<void> {
    return this.#keys.sealCanary();
  }

  dropEarlierKeys(): Promise<void> {
    return this.#keys.dropEarlier();
  }

  health(timeoutMs: number): Promise<Health> {
    return fileHealth(this.#store, this.#options.encryptionKey, timeoutMs);
  }

  async organisations(context: CallContext): Promise<string[]> {
    throwIfAborted(context.signal);
    const held: string[] = [];
    for (const orgId of await this.#readable(this.#store.organisations())) {
      // One that doesn't open is no reason not to tell of the others, and holds more than nothing.
      const organisation = await this.#open(orgId, context).catch(nullWhenDamaged);
      if (organisation?.isEmpty !== true) held.push(orgId);
    }
    return held;
  }

  async importAudit(orgId: string, rows: readonly AuditRow[], context: CallContext): Promise<void> {
    const organisation = await this.#open(orgId, context);
    this.#store.requireWritable();
    await organisation.importAudit(rows);
  }

  async importRecords(
    orgId: string,
    table: TableName,
    records: readonly StoredRecord[],
    context: CallContext,
  ): Promise<void> {
    const [claims, keys] = [table === "slack_installations", table === "api_keys"];
    await this.#learn(orgId, { claims, keys }, context);
    const organisation = await this.#open(orgId, context);
    this.#store.requireWritable();
    await organisation.importRecords(table, records);
  }

  async removeEmpty(orgId: string, context: CallContext): Promise<void> {
    await this.#open(orgId, context);
    this.#store.requireWritable();
    await this.#store.removeEmpty(orgId);
  }

  /**
   * Tells other processes on this machine where this one's HTTP API is: see `lockHolder`.
   *
   * @throws StorageError `STORAGE_LOCKED` when another process holds the files
   */
  async publishServer(server: HoldingServer): Promise<void> {
    await this.#store.publishServer(server);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  /** Learns what a write must know of all organisations: before it gets its own, which may be erased meanwhile. */
  async #learn(
    orgId: string,
    { claims, keys }: { readonly claims: boolean; readonly keys: boolean },
    context: CallContext,
  ): Promise<void> {
    await this.#open(orgId, context);
    this.#store.requireWritable();
    if (claims) await this.#store.loadRoutes();
    if (keys) await this.#store.addKeyed(orgId);
  }

  async #open(orgId: string, context: CallContext): Promise<Organisation> {
    throwIfAborted(context.signal);
    const organisation = await unlessAborted(this.#store.open(orgId), context.signal, (signal) =>
      aborted(signal, "while the files were being opened; nothing was written"),
    );
    throwIfAborted(context.signal);
    return organisation;
  }

  async #readable<Result>(read: Promise<Result>): Promise<Result> {
    try {
      return await read;
    } catch (error) {
      throw StorageError.is(error) ? error : unavailable("The files can't be read", error);
    }
  }
}

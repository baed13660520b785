import { StorageError } from "../../errors/storage-error.ts";
import { keyIdsOf, sealedTables } from "../stored-keys.ts";
import { isMissing, nullWhenDamaged, runAll, unavailable } from "./failures.ts";
import type { FileSystem } from "./file-system.ts";
import type { KeyStoreOptions } from "./key-store.ts";
import { holdsApiKeys } from "./keyed.ts";
import { names, organisationOf, organisationPath } from "./layout.ts";
import { Lock } from "./lock.ts";
import { Organisation } from "./organisation.ts";
import { currentProcess } from "./process-identity.ts";
import { finishRemovals, removeOrganisation } from "./removal.ts";
import { RouteClaims } from "./route-claims.ts";
import type { HoldingServer } from "./server-holding.ts";
import type { StoreContext } from "./store-context.ts";
import { syncParents } from "./sync-parents.ts";
import { type Capacity, defaultCapacity, Usage } from "./usage.ts";

export interface FileStoreOptions {
  readonly fs: FileSystem;
  readonly directory: string;
  readonly readOnly: boolean;
  readonly clock: () => number;
  readonly capacity?: Capacity | undefined;
  readonly lockWaitMs?: number | undefined;
}

const reclaimEveryMs = 30_000;

/** One storage folder: its lock, and its organisations, each opened at its first use. */
export class FileStore {
  readonly directory: string;
  readonly fs: FileSystem;
  readonly usage: Usage;
  readonly readOnly: boolean;
  readonly #options: FileStoreOptions;
  readonly #context: StoreContext;
  readonly #opening = new Map<string, Promise<Organisation>>();
  readonly #opened = new Map<string, Organisation>();
  readonly #removing = new Map<string, Promise<unknown>>();
  #ready: Promise<void> | null = null;
  #lock: Lock | null = null;
  #reclaiming: NodeJS.Timeout | null = null;
  #routesLoaded: Promise<void> | null = null;
  #keyed: Promise<Set<string>> | null = null;
  #closing: Promise<void> | null = null;

  constructor(options: FileStoreOptions) {
    this.#options = options;
    this.directory = options.directory;
    this.fs = options.fs;
    this.readOnly = options.readOnly;
    this.usage = new Usage(options.capacity ?? defaultCapacity);
    this.#context = {
      fs: options.fs,
      writable: !options.readOnly,
      usage: this.usage,
      routes: new RouteClaims(),
      clock: options.clock,
      failure: () => this.#lock?.lost ?? null,
      confirm: async () => {
        if (this.#lock?.uncertain === true) await this.#lock.confirm();
      },
      prepareFolder: (folder) => this.#prepareFolder(folder),
    };
  }

  /** An organisation that is open, without waiting. */
  opened(orgId: string): Organisation | undefined {
    return this.#closing === null ? this.#opened.get(orgId) : undefined;
  }

  /** Every organisation that is open. */
  get allOpened(): readonly Organisation[] {
    return [...this.#opened.values()];
  }

  /** Opens an organisation, or gives the one that is open. A failure isn't remembered. */
  open(orgId: string): Promise<Organisation> {
    const known = this.#closing === null ? this.#opening.get(orgId) : Promise.reject(closed());
    if (known !== undefined) return known;
    const opening = this.#open(orgId).catch((error: unknown) => {
      this.#opening.delete(orgId);
      throw unavailable(`The files in ${this.directory} can't be opened`, error);
    });
    this.#opening.set(orgId, opening);
    return opening;
  }

  /** Opens an organisation another time, as it is by now, while `read` reads it. Only where nothing is written. */
  async anew<Result>(
    orgId: string,
    read: (organisation: Organisation) => Promise<Result>,
  ): Promise<Result> {
    const context = { ...this.#context, usage: new Usage(), routes: new RouteClaims() };
    const folder = organisationPath(this.directory, orgId);
    const organisation = await Organisation.open(context, orgId, folder);
    try {
      return await read(organisation);
    } finally {
      await organisation.close();
    }
  }

  /** Takes the lock; whoever only reads needs none. */
  ready(): Promise<void> {
    if (this.#closing !== null) return Promise.reject(closed());
    this.#ready ??= this.#prepare().catch((error: unknown) => {
      this.#ready = null;
      throw unavailable(`The files in ${this.directory} can't be opened`, error);
    });
    return this.#ready;
  }

  /** @throws StorageError `UNSUPPORTED` */
  requireWritable(): void {
    if (this.readOnly) {
      throw new StorageError(
        "UNSUPPORTED",
        "The files were opened read-only. Open them without readOnly to write.",
      );
    }
  }

  /** Why writes are refused until the files are reopened, or `null`. */
  get failure(): StorageError | null {
    const lost = this.#lock?.lost ?? null;
    return (
      lost ?? this.allOpened.find((organisation) => organisation.failure !== null)?.failure ?? null
    );
  }

  /** Ids of the organisations that have a folder, in the order of their UTF-8 bytes. */
  async organisations(): Promise<string[]> {
    await this.ready();
    let folders: string[];
    try {
      // What isn't a folder is no organisation, whatever its name.
      folders = await this.fs.listFolders(`${this.directory}/${names.organisations}`);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
    return folders
      .map(organisationOf)
      .filter((orgId) => orgId !== null)
      .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  /** Learns which organisation holds which Slack route, from the installations of all. */
  loadRoutes(): Promise<void> {
    this.#routesLoaded ??= this.#loadRoutes().catch((error: unknown) => {
      this.#routesLoaded = null;
      throw error;
    });
    return this.#routesLoaded;
  }

  /**
   * The organisations that have API keys. Looked for once; {@link FileStore.addKeyed} adds those that come later. All of them are then open, so
   * that whoever presents a key is answered from memory, whatever organisation it names.
   */
  keyed(): Promise<ReadonlySet<string>> {
    this.#keyed ??= this.#findKeyed().catch((error: unknown) => {
      this.#keyed = null;
      throw error;
    });
    return this.#keyed;
  }

  /** Call before an organisation's first key is written. */
  async addKeyed(orgId: string): Promise<void> {
    await this.keyed();
    (await this.#keyed)?.add(orgId);
  }

  /** Waits for all that was handed over before. */
  async settled(): Promise<void> {
    await Promise.all(this.allOpened.map((organisation) => organisation.settled()));
  }

  keyOptions(encryptionKey: string | undefined): KeyStoreOptions {
    return {
      fs: this.fs,
      directory: this.directory,
      encryptionKey,
      writable: !this.readOnly,
      storedKeyIds: () => this.#storedKeyIds(),
    };
  }

  /** See `Backend.removeEmpty`. */
  async removeEmpty(orgId: string): Promise<void> {
    if ((await this.open(orgId)).isEmpty) await this.erase(orgId);
  }

  /**
   * Removes an organisation with all that it holds, damaged or not, and gives its Slack routes back. Whoever uses it meanwhile or afterwards
   * finds it empty.
   *
   * @returns how many rows each table had, empty ones left out; `null` for one that was damaged, whose rows can't be counted
   */
  async erase(orgId: string): Promise<ReadonlyMap<string, number> | null> {
    await this.ready();
    const organisation = await this.open(orgId).catch(nullWhenDamaged);
    // Another call may be removing it already; of what is damaged, one may also have opened it anew.
    const isOurs =
      organisation === null
        ? !this.#removing.has(orgId) && !this.#opening.has(orgId)
        : this.#opened.get(orgId) === organisation;
    if (!isOurs) return this.erase(orgId);
    this.#opening.delete(orgId);
    this.#opened.delete(orgId);
    const removing = this.#remove(orgId, organisation);
    this.#removing.set(orgId, removing);
    try {
      return await removing;
    } finally {
      this.#removing.delete(orgId);
    }
  }

  async #remove(
    orgId: string,
    organisation: Organisation | null,
  ): Promise<ReadonlyMap<string, number> | null> {
    const rows = organisation === null ? null : await organisation.abandon();
    await removeOrganisation(this.fs, organisationPath(this.directory, orgId));
    this.#context.routes.releaseAll(orgId);
    return rows;
  }

  async publishServer({ url, token }: HoldingServer): Promise<void> {
    await this.ready();
    this.requireWritable();
    try {
      await this.#lock?.publish({ serverUrl: url, serverToken: token.reveal() });
    } catch (error) {
      throw unavailable("The server's address can't be published", error);
    }
  }

  /** Waits for what is in flight, closes the files and lets go of the lock. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#reclaiming !== null) clearInterval(this.#reclaiming);
    await this.#ready?.catch(() => undefined);
    await Promise.allSettled(this.#removing.values());
    const opening = await Promise.allSettled(this.#opening.values());
    const organisations = opening.flatMap((open) =>
      open.status === "fulfilled" ? [open.value] : [],
    );
    try {
      await runAll([
        ...organisations.map((organisation) => () => organisation.close()),
        () => this.#lock?.release(),
      ]);
    } catch (error) {
      throw unavailable(`The files in ${this.directory} can't be closed`, error);
    }
  }

  async #open(orgId: string): Promise<Organisation> {
    await this.ready();
    // When its removal fails, what is left tells by itself what it is.
    await this.#removing.get(orgId)?.catch(() => undefined);
    const organisation = await Organisation.open(
      this.#context,
      orgId,
      organisationPath(this.directory, orgId),
    );
    this.#opened.set(orgId, organisation);
    return organisation;
  }

  async #prepare(): Promise<void> {
    const { fs, directory, readOnly, lockWaitMs } = this.#options;
    if (readOnly) return;
    await fs.makeFolder(directory);
    const lock = await Lock.acquire({
      fs,
      directory,
      waitMs: lockWaitMs ?? 5000,
      wallClock: Date.now,
      identity: currentProcess(),
    });
    try {
      await finishRemovals(fs, `${directory}/${names.organisations}`);
    } catch (error) {
      await lock.release();
      throw error;
    }
    this.#lock = lock;
    this.#reclaiming = setInterval(() => this.#reclaim(), reclaimEveryMs);
    this.#reclaiming.unref();
  }

  #reclaim(): void {
    for (const organisation of this.#opened.values()) organisation.reclaim();
  }

  async #prepareFolder(folder: string): Promise<void> {
    await this.fs.makeFolder(folder);
    await this.fs.syncFolder(`${this.directory}/${names.organisations}`);
    await this.fs.syncFolder(this.directory);
    await syncParents(this.fs, this.directory);
  }

  async #storedKeyIds(): Promise<ReadonlySet<string>> {
    const ids = new Set<string>();
    for (const orgId of await this.organisations()) {
      const { tables } = await this.open(orgId);
      for (const table of sealedTables) {
        for (const { columns } of tables[table].records()) {
          for (const id of keyIdsOf(table, columns)) ids.add(id);
        }
      }
    }
    return ids;
  }

  async #findKeyed(): Promise<Set<string>> {
    const keyed = new Set<string>();
    for (const orgId of await this.organisations()) {
      if (!(await holdsApiKeys(this.fs, organisationPath(this.directory, orgId)))) continue;
      keyed.add(orgId);
      // What is wrong with its files is told to whoever uses them.
      await this.open(orgId).catch(() => undefined);
    }
    return keyed;
  }

  async #loadRoutes(): Promise<void> {
    for (const orgId of await this.organisations()) {
      const { tables } = await this.open(orgId);
      for (const installation of tables.slack_installations.records()) {
        this.#context.routes.claim(installation.key[0] ?? "", orgId);
      }
    }
  }
}

function closed(): StorageError {
  return new StorageError("UNAVAILABLE", "The storage was closed. Create a new one.");
}

import { randomBytes } from "node:crypto";
import { StorageError } from "../../errors/storage-error.ts";
import { errnoOf, isMissing } from "./failures.ts";
import { type FileSystem, nodeFileSystem, type OpenFile } from "./file-system.ts";
import { names, unfinished } from "./layout.ts";
import { currentProcess, isRunning, type ProcessIdentity } from "./process-identity.ts";

/** Who holds a storage folder. */
export interface LockHolder extends ProcessIdentity {
  /** The one taking of the lock that this is. */
  readonly token: string;
  /** Where the holder's HTTP API can be reached, once it said so. */
  readonly serverUrl: string | null;
  /** What the API takes from whoever may read this file. */
  readonly serverToken: string | null;
}

export interface LockOptions {
  readonly fs: FileSystem;
  readonly directory: string;
  readonly waitMs: number;
  /** The wall clock that heartbeats are compared with; not the injected clock of the data. */
  readonly wallClock: () => number;
  readonly identity: ProcessIdentity;
}

const heartbeatMs = 5000;
/** A holder elsewhere that was silent for longer is taken to be dead. */
const silentMs = 30_000;
/** After a pause this long the lock is looked at before the next write. */
const uncertainMs = 15_000;
const pollMs = 100;

/**
 * The right to write to a storage folder: the file `codespar.lock`, whose time of change is the holder's heartbeat. A dead
 * holder's lock is taken over by exactly one process.
 */
export class Lock {
  readonly #options: LockOptions;
  readonly #holder: LockHolder;
  #confirmedMs: number;
  readonly #heartbeat: NodeJS.Timeout;
  #lost: StorageError | null = null;

  private constructor(options: LockOptions, holder: LockHolder) {
    this.#options = options;
    this.#holder = holder;
    this.#confirmedMs = options.wallClock();
    this.#heartbeat = setInterval(() => void this.confirm(), heartbeatMs);
    this.#heartbeat.unref();
    held.add(this);
    if (held.size === 1) process.on("exit", releaseAll);
  }

  /**
   * Takes the lock, waiting for its holder up to `waitMs`.
   *
   * @throws StorageError `STORAGE_LOCKED`; Node's errors where the folder can't be written
   */
  static async acquire(options: LockOptions): Promise<Lock> {
    const holder: LockHolder = {
      ...options.identity,
      token: randomBytes(12).toString("hex"),
      serverUrl: null,
      serverToken: null,
    };
    try {
      await take(options, holder);
      return new Lock(options, holder);
    } catch (error) {
      abandoned.add(holder.token);
      const path = `${options.directory}/${names.lock}`;
      await removeOwn(options.fs, path, holder).catch(() => undefined);
      throw error;
    }
  }

  /** Why the lock isn't ours any more, or `null`. */
  get lost(): StorageError | null {
    return this.#lost;
  }

  /** Whether too much time passed since the lock was last seen to be ours, as after the machine slept. */
  get uncertain(): boolean {
    return Math.abs(this.#options.wallClock() - this.#confirmedMs) > uncertainMs;
  }

  /** Looks whether the lock is still ours, and gives it a heartbeat. */
  async confirm(): Promise<void> {
    if (this.#lost !== null) return;
    const { fs, wallClock } = this.#options;
    try {
      const current = await readHolder(fs, this.#path);
      if (current?.token === this.#holder.token) {
        const now = wallClock();
        await fs.touch(this.#path, now);
        this.#confirmedMs = now;
        return;
      }
      this.#lost = locked(this.#options.directory, current);
    } catch (error) {
      // Nobody takes it over before it was silent for long; until then the next heartbeat may succeed.
      if (this.uncertain) this.#lost = locked(this.#options.directory, null, error);
    }
  }

  /** Tells other processes where this one's HTTP API is. */
  async publish(server: Pick<LockHolder, "serverUrl" | "serverToken">): Promise<void> {
    const { fs, directory } = this.#options;
    await this.confirm();
    if (this.#lost !== null) throw this.#lost;
    const temporary = unfinished(`${this.#path}.${this.#holder.token}`);
    await createWith(fs, temporary, { ...this.#holder, ...server });
    await fs.rename(temporary, this.#path);
    await fs.syncFolder(directory);
  }

  /** Lets go of the folder. */
  async release(): Promise<void> {
    this.#forget();
    const { fs } = this.#options;
    try {
      await removeOwn(fs, this.#path, this.#holder);
    } catch (error) {
      abandoned.add(this.#holder.token);
      throw error;
    }
  }

  /** As {@link Lock.release}, for the end of the process. */
  releaseSync(): void {
    this.#forget();
    const { fs } = this.#options;
    try {
      if (parseHolder(fs.readSync(this.#path))?.token === this.#holder.token)
        fs.removeSync(this.#path);
    } catch {
      // The process ends: whoever comes next sees that it is gone.
    }
  }

  get #path(): string {
    return `${this.#options.directory}/${names.lock}`;
  }

  #forget(): void {
    clearInterval(this.#heartbeat);
    held.delete(this);
    if (held.size === 0) process.off("exit", releaseAll);
  }
}

async function take(options: LockOptions, holder: LockHolder): Promise<void> {
  const { fs, directory, waitMs } = options;
  const path = `${directory}/${names.lock}`;
  const end = performance.now() + waitMs;
  for (;;) {
    if (await createWith(fs, path, holder)) return;
    const other = await readHolder(fs, path);
    const isDead = other !== null && !(await isAlive(options, path, other));
    if (isDead && (await takeOver(options, other, holder))) return;
    if (performance.now() >= end) throw locked(directory, other);
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

async function removeOwn(fs: FileSystem, path: string, own: LockHolder): Promise<void> {
  const current = await readHolder(fs, path);
  if (current?.token === own.token) await fs.remove(path);
}

/** Locks of this process, let go when it ends. */
const held = new Set<Lock>();
/** Tokens of locks that this process let go of but whose file it could not remove. */
const abandoned = new Set<string>();

function releaseAll(): void {
  for (const lock of held) lock.releaseSync();
}

/**
 * The live process that holds a storage folder, or `null` when nobody does: for a command line that goes through its server.
 *
 * @param directory - the storage folder
 */
export async function lockHolder(
  directory: string,
  fs: FileSystem = nodeFileSystem,
): Promise<LockHolder | null> {
  const path = `${directory}/${names.lock}`;
  const holder = await readHolder(fs, path);
  if (holder === null) return null;
  const options = { fs, directory, waitMs: 0, wallClock: Date.now, identity: currentProcess() };
  return (await isAlive(options, path, holder)) ? holder : null;
}

async function isAlive(options: LockOptions, path: string, holder: LockHolder): Promise<boolean> {
  const { identity } = options;
  if (holder.bootId === identity.bootId) {
    // What this process tried to let go of and couldn't remove is nobody's.
    const isOwn = holder.pid === identity.pid && holder.startTime === identity.startTime;
    return isOwn ? !abandoned.has(holder.token) : isRunning(holder);
  }
  try {
    const { changedAtMs } = await options.fs.stat(path);
    return options.wallClock() - changedAtMs <= silentMs;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/**
 * Replaces a dead holder's lock. Only the one process that creates the file named after the dead holder's token may do so; should it
 * die over it, that file is a dead holder's lock in turn.
 */
async function takeOver(
  options: LockOptions,
  dead: LockHolder,
  holder: LockHolder,
): Promise<boolean> {
  const { fs, directory } = options;
  const path = `${directory}/${names.lock}`;
  const claims: string[] = [];
  for (let loser = dead; ; ) {
    const claim = `${path}.${loser.token}`;
    claims.push(claim);
    if (await createWith(fs, claim, holder)) break;
    const claimant = await readHolder(fs, claim);
    if (claimant === null || (await isAlive(options, claim, claimant))) return false;
    loser = claimant;
  }
  const mine = claims.pop() ?? path;
  try {
    // It may have been taken over, and the claim removed, since it was looked at.
    const current = await readHolder(fs, path);
    if (current?.token !== dead.token) {
      await removeClaims(fs, [mine]);
      return false;
    }
    await fs.rename(mine, path);
  } catch (error) {
    await fs.remove(mine).catch(() => undefined);
    throw error;
  }
  await removeClaims(fs, claims);
  return true;
}

async function removeClaims(fs: FileSystem, claims: readonly string[]): Promise<void> {
  for (const claim of claims) {
    await fs.remove(claim).catch((error: unknown) => {
      if (!isMissing(error)) throw error;
    });
  }
}

/** Creates a lock file, unless there is one. Whoever reads it before it is complete takes it for one that can't be read. */
async function createWith(fs: FileSystem, path: string, holder: LockHolder): Promise<boolean> {
  let file: OpenFile;
  try {
    file = await fs.open(path, "create");
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return false;
    throw error;
  }
  try {
    await file.write(Buffer.from(`${JSON.stringify(holder)}\n`), 0);
  } catch (error) {
    await fs.remove(path).catch(() => undefined);
    throw error;
  } finally {
    await file.close();
  }
  return true;
}

async function readHolder(fs: FileSystem, path: string): Promise<LockHolder | null> {
  try {
    return parseHolder(await fs.read(path));
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** A lock that can't be read counts as one of a process elsewhere: it is stale once its file is old. */
function parseHolder(content: Buffer): LockHolder {
  try {
    const holder = JSON.parse(content.toString("utf8")) as Partial<LockHolder> | null;
    if (
      typeof holder?.token === "string" &&
      typeof holder.pid === "number" &&
      typeof holder.bootId === "string"
    ) {
      return {
        bootId: holder.bootId,
        pid: holder.pid,
        startTime: holder.startTime ?? null,
        token: holder.token,
        serverUrl: holder.serverUrl ?? null,
        serverToken: holder.serverToken ?? null,
      };
    }
  } catch {
    // Falls through.
  }
  return {
    bootId: "",
    pid: 0,
    startTime: null,
    token: "unreadable",
    serverUrl: null,
    serverToken: null,
  };
}

function locked(directory: string, holder: LockHolder | null, cause?: unknown): StorageError {
  const who =
    holder === null
      ? "Another process"
      : holder.pid === process.pid
        ? `This process (${holder.pid}), through another handle,`
        : `Process ${holder.pid}`;
  const server = holder?.serverUrl ?? null;
  const use = server === null ? "use its HTTP API" : `use its HTTP API at ${server}`;
  return new StorageError(
    "STORAGE_LOCKED",
    `${who} holds the files in ${directory}. Stop it, ${use}, or set DATABASE_URL for several processes.`,
    cause === undefined ? undefined : { cause },
  );
}

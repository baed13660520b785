import { StorageError } from "../../errors/storage-error.ts";
import type {
  AuditHead,
  AuditRow,
  Backend,
  CallContext,
  Commit,
  CommitResult,
} from "../backend.ts";
import type { HandleContext } from "./context.ts";

/** Told that this process appended to an organisation's trail, up to and with the entry `lastSeq`. */
export type OnAppended = (orgId: string, lastSeq: number, count: number) => void;

/** How often others' appends are looked for, in milliseconds. */
const pollMs = 250;

/** Who waits for entries: `isOpen` tells whether its handle still is. */
interface Waiting {
  readonly isOpen: () => boolean;
  readonly wake: () => void;
}

/**
 * Tells of a backend's appends: at once of those of this process, and by polling, while somebody waits, of those of others. One poll
 * per organisation serves all who wait for it.
 */
class TrailSignal {
  readonly #backend: Backend;
  readonly #listeners = new Set<OnAppended>();
  readonly #followed = new Map<string, Followed>();

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** Tells of every append of this process. @returns what ends that */
  onAppended(listener: OnAppended): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  appended(orgId: string, lastSeq: number, count: number): void {
    this.#followed.get(orgId)?.grewTo(lastSeq + 1);
    for (const listener of this.#listeners) listener(orgId, lastSeq, count);
  }

  /** Follows an organisation's trail until {@link Followed.release}. */
  follow(orgId: string): Followed {
    const known = this.#followed.get(orgId);
    if (known !== undefined && !known.isGone) return known.retain();
    const followed = new Followed(
      () => this.#backend.auditHead(orgId, { now: Date.now() }),
      // Another one may have taken its place.
      () => this.#followed.get(orgId) === followed && this.#followed.delete(orgId),
    );
    this.#followed.set(orgId, followed);
    return followed.retain();
  }
}

/**
 * The trail of one organisation, followed by those who watch it. Of a trail that is erased, or whose end is cut off, nothing more comes, whatever is
 * sealed in its place: those who watch it are told.
 */
export class Followed {
  readonly #readHead: () => Promise<AuditHead>;
  readonly #onUnused: () => void;
  readonly #waiting = new Set<Waiting>();
  readonly #readings = new Map<number, Promise<AuditRow[]>>();
  #followers = 0;
  #size = 0;
  /** What the trail is called, once that is known. */
  #log: string | null = null;
  #isGone = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(readHead: () => Promise<AuditHead>, onUnused: () => void) {
    this.#readHead = readHead;
    this.#onUnused = onUnused;
  }

  /** Whether it isn't the organisation's trail any more. */
  get isGone(): boolean {
    return this.#isGone;
  }

  retain(): this {
    this.#followers += 1;
    return this;
  }

  release(): void {
    this.#followers -= 1;
    if (this.#followers === 0) this.#onUnused();
  }

  grewTo(size: number): void {
    this.#size = Math.max(this.#size, size);
    this.#wakeAll();
  }

  /**
   * Reads what is behind the entry `after`. Those who stand at the same place, as all do who keep up, share one reading.
   *
   * @throws StorageError `NOT_FOUND` when the trail is gone
   */
  shareReading(after: number, read: () => Promise<AuditRow[]>): Promise<AuditRow[]> {
    const known = this.#readings.get(after);
    if (known !== undefined) return known;
    const reading = this.#reading(after, read).finally(() => this.#readings.delete(after));
    this.#readings.set(after, reading);
    return reading;
  }

  async #reading(after: number, read: () => Promise<AuditRow[]>): Promise<AuditRow[]> {
    const size = this.#size;
    const rows = this.#isGone ? [] : await read();
    // Waiting for what is known to be there would never wait: it would read again at once, and again.
    if (rows.length === 0 && size > after + 1) this.#end();
    if (this.#isGone) throw gone();
    return rows;
  }

  /** Takes note of the trail that an entry is of. @throws StorageError `NOT_FOUND` when it isn't this one */
  meet(log: string): void {
    this.#log ??= log;
    if (log === this.#log) return;
    this.#end();
    throw gone();
  }

  /** Resolves once there may be something behind the entry `after`, the handle was closed, or the signal has fired. */
  async waitBehind(after: number, isOpen: () => boolean, signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#size > after + 1) return;
    // Whoever stands behind an entry says that it was there.
    this.#size = after + 1;
    await new Promise<void>((resolve) => {
      const waiting: Waiting = {
        isOpen,
        wake: () => {
          this.#waiting.delete(waiting);
          signal.removeEventListener("abort", waiting.wake);
          resolve();
        },
      };
      this.#waiting.add(waiting);
      signal.addEventListener("abort", waiting.wake);
      this.#timer ??= setTimeout(() => void this.#poll(), pollMs);
    });
  }

  async #poll(): Promise<void> {
    try {
      if (this.#waiting.size > 0) await this.#look();
    } catch {
      // Those who wait meet it themselves when they read.
      this.#wakeAll();
    }
    for (const waiting of this.#waiting) if (!waiting.isOpen()) waiting.wake();
    this.#timer = this.#waiting.size === 0 ? null : setTimeout(() => void this.#poll(), pollMs);
  }

  async #look(): Promise<void> {
    const known = this.#size;
    const { size, log } = await this.#readHead();
    this.#log ??= log;
    if (size < known || log !== this.#log) this.#end();
    else if (size > this.#size) this.grewTo(size);
  }

  #end(): void {
    this.#isGone = true;
    this.#wakeAll();
  }

  #wakeAll(): void {
    for (const waiting of this.#waiting) waiting.wake();
  }
}

function gone(): StorageError {
  return new StorageError(
    "NOT_FOUND",
    "The trail that was watched is gone: its organisation was erased, or its end was cut off, or it never had so many entries. Watch anew from the beginning, after -1.",
  );
}

const signals = new WeakMap<Backend, TrailSignal>();

/** The signal of a backend, the same for all its handles. */
export function trailSignal(backend: Backend): TrailSignal {
  const signal = signals.get(backend) ?? new TrailSignal(backend);
  signals.set(backend, signal);
  return signal;
}

/** Commits, and tells those who watch the trail of what was appended. */
export function commitOn(
  { backend, orgId }: HandleContext,
  commit: Commit,
  call: CallContext,
): Promise<CommitResult> {
  const committed = backend.commit(orgId, commit, call);
  return commit.appends.length === 0 ? committed : committed.then(tell);

  function tell(result: CommitResult): CommitResult {
    const sealed = result.appends.filter(({ known }) => known !== true);
    const last = sealed.at(-1);
    if (last !== undefined) trailSignal(backend).appended(orgId, last.seq, sealed.length);
    return result;
  }
}

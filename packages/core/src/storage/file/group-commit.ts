import { StorageError } from "../../errors/storage-error.ts";
import { aborted, unlessAborted } from "../abort.ts";
import type { CommitResult } from "../backend.ts";
import { deferred } from "../deferred.ts";
import { unavailable } from "./failures.ts";
import type { Plan } from "./plan.ts";
import type { Recovered } from "./recovery.ts";
import type { Snapshots } from "./snapshots.ts";
import type { StoreContext } from "./store-context.ts";

/** New keys put in order while the disk works. */
const settleKeys = 512;
/** A frame has no more jobs than this, nor more bytes once it has one. */
const frameJobs = 1024;
export const frameBytes = 8 * 1024 * 1024;

/** A change that waits for its turn. */
export interface Change {
  /** Checks it against the state that the frame being formed leads to, and adds it to that frame. */
  readonly plan: () => Plan;
  /** Whether that takes knowing the trail's entries. */
  readonly needsTrail: boolean;
  /** Takes it back while it waits. */
  readonly signal?: AbortSignal | undefined;
}

interface Job {
  readonly change: Change;
  readonly resolve: (result: CommitResult) => void;
  readonly reject: (error: unknown) => void;
  /** Whether it was sent to the journal: from then on it can't be taken back. */
  sent: boolean;
}

/**
 * Commits that wait at the same moment form one frame, are written and synced once, and only then change the memory and are
 * acknowledged.
 */
export class GroupCommit {
  readonly #store: StoreContext;
  readonly #folder: string;
  readonly #state: Recovered;
  readonly #snapshots: Snapshots;
  #queue: Job[] = [];
  #running: Promise<void> | null = null;
  #isDurable: boolean;

  constructor(store: StoreContext, folder: string, state: Recovered, snapshots: Snapshots) {
    this.#store = store;
    this.#folder = folder;
    this.#state = state;
    this.#snapshots = snapshots;
    this.#isDurable = state.isDurable;
  }

  /** Resolves once it survives a crash. */
  add(change: Change): Promise<CommitResult> {
    const { promise, resolve, reject } = deferred<CommitResult>();
    const job: Job = { change, resolve, reject, sent: false };
    this.#queue.push(job);
    this.wake();
    return unlessAborted(promise, change.signal, (fired) => {
      if (job.sent) return aborted(fired, "after its write was sent: outcome unknown");
      this.#queue = this.#queue.filter((queued) => queued !== job);
      return aborted(fired, "before its write was sent; nothing was written");
    });
  }

  /** Sees to it that what waits is done, a cut of the journal included. */
  wake(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
      if (this.#queue.length > 0 || this.#snapshots.wantsCut) this.wake();
    });
  }

  /** Waits until nothing is left to be done. */
  async idle(): Promise<void> {
    while (this.#running !== null) await this.#running;
  }

  async #run(): Promise<void> {
    // Callers that are resumed in this turn of the event loop get on the same frame.
    await nextTurn();
    while (this.#queue.length > 0 || this.#snapshots.wantsCut) {
      if (this.#snapshots.wantsCut) await this.#snapshots.cut();
      await this.#commitFrame();
      if (this.#queue.length === 0) break;
      await nextTurn();
    }
    while (this.#queue.length === 0 && this.#settle()) await nextTurn();
  }

  /** Uses time in which nobody waits to put new keys in order. Tells whether some are left. */
  #settle(): boolean {
    let left = 0;
    for (const table of Object.values(this.#state.tables)) {
      table.settle(settleKeys);
      left += table.unsettled;
    }
    return left > 0;
  }

  async #commitFrame(): Promise<void> {
    if (this.#queue.length === 0) return;
    const { trail } = this.#state;
    if (!trail.indexed && this.#queue.some((job) => job.change.needsTrail))
      await this.#indexTrail();
    await this.#store.confirm();
    const frame = this.#plan();
    if (frame.lines.length > 0) {
      try {
        await this.#prepareFolder();
        const written = this.#state.journal.append(Buffer.from(frame.lines));
        this.#settle();
        await written;
      } catch (error) {
        this.#drop(frame, error);
        return;
      }
    }
    this.#apply(frame);
  }

  async #indexTrail(): Promise<void> {
    try {
      await this.#state.trail.index();
    } catch (error) {
      const failed = this.#queue.filter((job) => job.change.needsTrail);
      this.#queue = this.#queue.filter((job) => !job.change.needsTrail);
      for (const job of failed) job.reject(unavailable("The audit trail can't be read", error));
    }
  }

  /** Takes jobs off the queue and plans them one after the other. */
  #plan(): Frame {
    const frame: Frame = { planned: [], refused: [], lines: "" };
    const failure = this.#state.journal.failure ?? this.#store.failure();
    let taken = 0;
    for (const job of this.#queue) {
      if (taken === frameJobs || frame.lines.length > frameBytes) break;
      // One that came in the meantime has to wait until the trail is known.
      if (job.change.needsTrail && !this.#state.trail.indexed) break;
      taken++;
      job.sent = true;
      try {
        if (failure !== null) throw refused(failure);
        const plan = job.change.plan();
        frame.planned.push({ job, plan });
        frame.lines += plan.lines;
      } catch (error) {
        frame.refused.push({ job, error });
      }
    }
    this.#queue = this.#queue.slice(taken);
    return frame;
  }

  #apply(frame: Frame): void {
    for (const { plan } of frame.planned) plan.release();
    for (const table of Object.values(this.#state.tables)) table.apply();
    this.#state.trail.apply();
    for (const { job, plan } of frame.planned) this.#acknowledge(job, plan);
    for (const { job, error } of frame.refused) job.reject(error);
    if (frame.lines.length === 0) return;
    this.#snapshots.written(frame.lines.length);
    this.#snapshots.erased(frame.planned.flatMap(({ plan }) => plan.erased));
  }

  #drop(frame: Frame, error: unknown): void {
    for (const { plan } of frame.planned) plan.release();
    for (const table of Object.values(this.#state.tables)) table.discard();
    this.#state.trail.discard();
    // What was refused may have been so because of a write that now failed.
    for (const { job } of [...frame.planned, ...frame.refused]) {
      job.reject(unavailable("The files can't be written", error));
    }
  }

  #acknowledge(job: Job, plan: Plan): void {
    const { writes, appends } = plan;
    if (appends.every((append) => typeof append !== "number")) {
      job.resolve({ writes, appends });
      return;
    }
    Promise.all(
      appends.map((append) =>
        typeof append === "number" ? this.#state.trail.sealedAt(append) : append,
      ),
    ).then((sealed) => job.resolve({ writes, appends: sealed }), job.reject);
  }

  async #prepareFolder(): Promise<void> {
    if (this.#isDurable) return;
    await this.#store.prepareFolder(this.#folder);
    this.#isDurable = true;
  }
}

interface Frame {
  readonly planned: { readonly job: Job; readonly plan: Plan }[];
  readonly refused: { readonly job: Job; readonly error: unknown }[];
  lines: string;
}

function refused(failure: StorageError): StorageError {
  return new StorageError(failure.code, `${failure.message} Nothing was written.`, {
    cause: failure,
  });
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

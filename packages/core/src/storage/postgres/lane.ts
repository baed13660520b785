/** One call waiting for, or in, a batch. */
export interface Job<Input, Output> {
  readonly input: Input;
  /** Records it touches: no two jobs of a batch, or of batches under way, have one in common. */
  readonly keys: readonly string[];
  /** What it adds to a batch's size. */
  readonly weight: number;
  /** Whether it may share a batch. */
  readonly shares: boolean;
  /** Whether it must stay behind all earlier ones of which this is true; they may share its batch. */
  readonly ordered: boolean;
  /** When it came, by `performance.now()`: the lane notes it. */
  since: number;
  sent: boolean;
  readonly resolve: (output: Output) => void;
  readonly reject: (error: unknown) => void;
}

/** Bounds of a lane. */
export interface LaneOptions {
  /** Batches under way at once. A crowd is shared out among them, so that this process works on one while the database works on another. */
  readonly parallel: number;
  /** A batch isn't made smaller than this to leave some for another one: each costs a commit, or a statement. */
  readonly leastJobs: number;
  readonly maxJobs: number;
  readonly maxWeight: number;
  /** A job that waited longer for its turn is refused: what it waits behind doesn't end in time, so neither would it. */
  readonly maxWaitMs: number;
  overdue(): Error;
}

/**
 * The calls of one organisation on their way to the database. A lone call goes at once; those that come while others are under way wait and share
 * the next batch. Calls on one record keep their order: one that meets its record in a batch, or under way, waits for the next.
 */
export class Lane<Input, Output> {
  readonly #run: (jobs: readonly Job<Input, Output>[]) => Promise<void>;
  readonly #options: LaneOptions;
  readonly #busy = new Set<string>();
  #ordering = false;
  #waiting: Job<Input, Output>[] = [];
  #running = 0;
  #underWay = 0;
  #scheduled = false;
  #crowded = false;

  /** @param run - carries a batch out and settles each of its jobs; must not reject */
  constructor(run: (jobs: readonly Job<Input, Output>[]) => Promise<void>, options: LaneOptions) {
    this.#run = run;
    this.#options = options;
  }

  get idle(): boolean {
    return this.#running === 0 && this.#waiting.length === 0;
  }

  add(job: Job<Input, Output>): void {
    job.since = performance.now();
    this.#waiting.push(job);
    this.#schedule();
  }

  /** Takes those out that `match` and have not been sent. */
  withdraw(match: (job: Job<Input, Output>) => boolean): Job<Input, Output>[] {
    const taken = this.#waiting.filter(match);
    if (taken.length > 0) this.#waiting = this.#waiting.filter((job) => !taken.includes(job));
    return taken;
  }

  /** Takes a job back. @returns whether it had not been sent */
  remove(job: Job<Input, Output>): boolean {
    return this.withdraw((other) => other === job).length > 0;
  }

  #schedule(): void {
    if (this.#scheduled || this.#running >= this.#options.parallel || this.#waiting.length === 0)
      return;
    this.#scheduled = true;
    const go = () => {
      this.#scheduled = false;
      this.#pump();
    };
    // In a crowd, those whom the last batch woke call again within this turn of the event loop: worth waiting for.
    if (this.#crowded) setImmediate(go);
    else queueMicrotask(go);
  }

  #pump(): void {
    this.#refuseOverdue();
    while (this.#running < this.#options.parallel && this.#waiting.length > 0) {
      const batch = this.#takeBatch();
      if (batch.length === 0) return;
      this.#crowded = batch.length > 1;
      this.#running += 1;
      this.#underWay += batch.length;
      void this.#run(batch).finally(() => {
        this.#running -= 1;
        this.#underWay -= batch.length;
        for (const job of batch) {
          for (const key of job.keys) this.#busy.delete(key);
          if (job.ordered) this.#ordering = false;
        }
        this.#schedule();
      });
    }
  }

  #refuseOverdue(): void {
    const { maxWaitMs, overdue } = this.#options;
    const since = performance.now() - maxWaitMs;
    // They wait in the order in which they came.
    while (this.#waiting[0] !== undefined && this.#waiting[0].since < since)
      this.#waiting.shift()?.reject(overdue());
  }

  /** Takes, in order, those that may go now; what must wait for one before it holds back only what touches the same. */
  #takeBatch(): Job<Input, Output>[] {
    const { maxJobs, maxWeight, leastJobs, parallel } = this.#options;
    const fairShare = Math.ceil((this.#underWay + this.#waiting.length) / parallel);
    const share = Math.min(maxJobs, Math.max(leastJobs, fairShare));
    const batch: Job<Input, Output>[] = [];
    const rest: Job<Input, Output>[] = [];
    const blocked = new Set(this.#busy);
    let ordering = this.#ordering;
    let weight = 0;
    for (const job of this.#waiting) {
      const fits =
        batch.length === 0 ||
        (job.shares &&
          batch[0]?.shares === true &&
          // Ordered ones can't go beside each other, so they aren't shared out.
          batch.length < (job.ordered ? maxJobs : share) &&
          weight + job.weight <= maxWeight);
      if (fits && !(job.ordered && ordering) && !job.keys.some((key) => blocked.has(key))) {
        batch.push(job);
        weight += job.weight;
        job.sent = true;
      } else {
        rest.push(job);
        ordering ||= job.ordered;
      }
      for (const key of job.keys) blocked.add(key);
    }
    for (const job of batch) {
      for (const key of job.keys) this.#busy.add(key);
      this.#ordering ||= job.ordered;
    }
    this.#waiting = rest;
    return batch;
  }
}

/** Lanes by organisation; those that nothing waits in are forgotten. */
export class Lanes<Input, Output> {
  readonly #lanes = new Map<string, Lane<Input, Output>>();
  readonly #create: (orgId: string) => Lane<Input, Output>;

  constructor(create: (orgId: string) => Lane<Input, Output>) {
    this.#create = create;
  }

  /** The organisation's lane. */
  of(orgId: string): Lane<Input, Output> {
    let lane = this.#lanes.get(orgId);
    if (lane === undefined) {
      if (this.#lanes.size >= 1000) this.#sweep();
      lane = this.#create(orgId);
      this.#lanes.set(orgId, lane);
    }
    return lane;
  }

  #sweep(): void {
    for (const [orgId, lane] of this.#lanes) if (lane.idle) this.#lanes.delete(orgId);
  }
}

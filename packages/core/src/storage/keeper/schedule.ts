/**
 * Runs work for keys when it is due, some at the same time, never twice at once for one: what falls due while it runs, runs again. Delays
 * are few and fixed, so what waits equally long stands in the order in which it falls due, and finding the next costs the same however
 * many wait.
 */
export class Schedule {
  readonly #concurrency: number;
  readonly #work: (key: string) => Promise<void>;
  /** By delay in milliseconds: when each key falls due, of the monotonic clock. */
  readonly #queues = new Map<number, Map<string, number>>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #again = new Set<string>();
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  /** @param work - never rejects */
  constructor(concurrency: number, work: (key: string) => Promise<void>) {
    this.#concurrency = concurrency;
    this.#work = work;
  }

  /** Work falls due in so many milliseconds, unless it does earlier. */
  within(key: string, ms: number): void {
    if (this.#closed) return;
    const due = performance.now() + ms;
    for (const queue of this.#queues.values()) {
      const earlier = queue.get(key);
      if (earlier !== undefined && earlier <= due) return;
      queue.delete(key);
    }
    const queue = this.#queues.get(ms) ?? new Map<string, number>();
    this.#queues.set(ms, queue.set(key, due));
    this.#arm();
  }

  /** Nothing waits any more. */
  clear(): void {
    this.#queues.clear();
    this.#again.clear();
    this.#arm();
  }

  /** Begins nothing more, and waits for what runs. */
  async close(): Promise<void> {
    this.#closed = true;
    this.clear();
    await Promise.all(this.#running.values());
  }

  #arm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const next = this.#next();
    if (next === null || this.#running.size >= this.#concurrency) return;
    const wait = Math.max(0, next.due - performance.now());
    this.#timer = setTimeout(() => this.#begin(), wait).unref();
  }

  #begin(): void {
    for (let next = this.#next(); next !== null; next = this.#next()) {
      if (next.due > performance.now() || this.#running.size >= this.#concurrency) break;
      next.queue.delete(next.key);
      this.#run(next.key);
    }
    this.#arm();
  }

  #run(key: string): void {
    if (this.#running.has(key)) {
      this.#again.add(key);
      return;
    }
    const running = this.#work(key).then(() => {
      this.#running.delete(key);
      if (this.#again.delete(key)) this.within(key, 0);
      this.#arm();
    });
    this.#running.set(key, running);
  }

  #next(): Waiting | null {
    let earliest: Waiting | null = null;
    for (const queue of this.#queues.values()) {
      const [first] = queue;
      if (first === undefined) continue;
      const [key, due] = first;
      if (earliest === null || due < earliest.due) earliest = { key, due, queue };
    }
    return earliest;
  }
}

interface Waiting {
  readonly key: string;
  readonly due: number;
  readonly queue: Map<string, number>;
}

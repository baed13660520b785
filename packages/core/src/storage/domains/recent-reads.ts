interface Read<Value> {
  /** When the reading began, since the value may be as old as that. */
  readonly atMs: number;
  readonly value: Promise<Value>;
}

/** What was read a moment ago. Those who ask while it is being read share the reading; a failed one isn't remembered. */
export class RecentReads<Value> {
  readonly #maxAgeMs: number;
  readonly #maxSize: number;
  readonly #reads = new Map<string, Read<Value>>();

  /**
   * @param maxAgeMs - milliseconds after which a value is read anew
   * @param maxSize - values kept at most; beyond it the one read first goes
   */
  constructor(maxAgeMs: number, maxSize: number) {
    this.#maxAgeMs = maxAgeMs;
    this.#maxSize = maxSize;
  }

  /** The value under `name`, read by `read` unless it was within `maxAgeMs`. */
  get(name: string, nowMs: number, read: () => Promise<Value>): Promise<Value> {
    const known = this.#reads.get(name);
    // A clock that was set back must not make anything young.
    if (known !== undefined && nowMs >= known.atMs && nowMs - known.atMs < this.#maxAgeMs)
      return known.value;
    // Behind all others, so that the first in the map is the oldest.
    this.#reads.delete(name);
    const [oldest] = this.#reads.keys();
    if (oldest !== undefined && this.#reads.size >= this.#maxSize) this.#reads.delete(oldest);
    const value = read();
    this.#reads.set(name, { atMs: nowMs, value });
    value.catch(() => {
      if (this.#reads.get(name)?.value === value) this.#reads.delete(name);
    });
    return value;
  }

  /** Lets the value be read anew. */
  forget(name: string): void {
    this.#reads.delete(name);
  }
}

/** One unit of work. `turn` counts up over all callers, so that no two of them touch the same record at once. */
export type Operation = (turn: number, caller: number) => Promise<unknown>;

/** How long callers run, and how many there are. */
export interface Load {
  readonly callers: number;
  /** Milliseconds after which no caller starts another operation. */
  readonly durationMs: number;
  /** Where to note each operation's time in milliseconds; noting costs a little, so only where percentiles are asked for. */
  readonly latencies?: number[];
}

/** What a run of callers came to. */
export interface LoadResult {
  readonly operations: number;
  readonly elapsedMs: number;
  readonly perSecond: number;
}

/**
 * Runs callers that each start their next operation when the one before has ended, as real callers do. Rejects with the
 * first error: a benchmark of failures is worth nothing.
 */
export async function closedLoop(load: Load, operation: Operation): Promise<LoadResult> {
  const { durationMs, latencies } = load;
  let turns = 0;
  const start = performance.now();
  const end = start + durationMs;
  const caller = async (index: number): Promise<void> => {
    let now = performance.now();
    while (now < end) {
      await operation(turns++, index);
      const after = performance.now();
      latencies?.push(after - now);
      now = after;
    }
  };
  await Promise.all(Array.from({ length: load.callers }, (_, index) => caller(index)));
  const elapsedMs = performance.now() - start;
  return { operations: turns, elapsedMs, perSecond: (turns / elapsedMs) * 1000 };
}

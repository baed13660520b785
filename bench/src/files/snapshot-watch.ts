import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { closedLoop, type Operation } from "../harness/closed-loop.ts";

/** The longest time in milliseconds for which the event loop did nothing else. */
export interface SnapshotStalls {
  /** While callers wrote and no snapshot was being taken. */
  readonly without: number;
  /** While callers wrote and one was. */
  readonly during: number;
}

const sliceMs = 250;
const slicesWithout = 8;

/**
 * Has 64 callers write while a snapshot is taken, and before, and watches the event loop meanwhile.
 *
 * @param bulk - writes many records at once: brings the next snapshot about sooner
 * @param limitMs - gives up after that many milliseconds
 * @throws Error when no snapshot came
 */
export async function watchSnapshot(options: {
  readonly directory: string;
  readonly orgId: string;
  readonly limitMs: number;
  readonly write: Operation;
  readonly bulk: Operation;
}): Promise<SnapshotStalls> {
  const folder = join(options.directory, "orgs", options.orgId);
  const deadline = performance.now() + options.limitMs;
  const slice = (callers: number, operation: Operation) => async (): Promise<void> => {
    if (performance.now() > deadline) throw new Error("no snapshot came in time");
    await closedLoop({ callers, durationMs: sliceMs }, operation);
  };
  const write = slice(64, options.write);
  const bulk = slice(8, options.bulk);
  // What is under way now was begun by what came before: not ours to measure.
  while (await isWriting(folder)) await sleep(sliceMs);
  const delays = monitorEventLoopDelay({ resolution: 1 });
  delays.enable();
  try {
    for (let count = 0; count < slicesWithout; count += 1) await write();
    const without = longest(delays);
    const previous = await snapshotOf(folder);
    while (!(await isWriting(folder)) && (await snapshotOf(folder)) === previous) await bulk();
    delays.reset();
    do await write();
    while ((await snapshotOf(folder)) === previous);
    return { without, during: longest(delays) };
  } finally {
    delays.disable();
  }
}

/** The monitor's own timer is due every millisecond. */
function longest(delays: IntervalHistogram): number {
  return Math.max(0, delays.max / 1e6 - 1);
}

async function isWriting(folder: string): Promise<boolean> {
  return (await readdir(folder)).some((name) => name.endsWith(".tmp"));
}

/** Changes with every snapshot that is complete. */
async function snapshotOf(folder: string): Promise<string> {
  const file = await stat(join(folder, "snapshot.json")).catch(() => null);
  return file === null ? "none" : `${file.ino} ${file.mtimeMs}`;
}

import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type Job, Lane, type LaneOptions } from "../../src/storage/postgres/lane.ts";

interface Options {
  readonly keys?: readonly string[];
  readonly weight?: number;
  readonly shares?: boolean;
  readonly ordered?: boolean;
}

/** A lane whose batches stay under way until they are let go. */
function openLane(options: Partial<LaneOptions> = {}) {
  const batches: { readonly names: string[]; readonly finish: () => void }[] = [];
  const run = (jobs: readonly Job<string, void>[]) =>
    new Promise<void>((resolve) => {
      batches.push({ names: jobs.map(({ input }) => input), finish: resolve });
    });
  const lane = new Lane<string, void>(run, {
    parallel: 1,
    leastJobs: 1,
    maxJobs: 100,
    maxWeight: 1000,
    maxWaitMs: 60_000,
    overdue: () => new Error("overdue"),
    ...options,
  });
  const refused: string[] = [];
  const add = (
    input: string,
    { keys = [input], weight = 1, shares = true, ordered = false }: Options = {},
  ) => {
    const job = {
      input,
      keys,
      weight,
      shares,
      ordered,
      since: 0,
      sent: false,
      resolve: () => undefined,
      reject: (error: unknown) => refused.push(`${input}: ${error}`),
    };
    lane.add(job);
    return job;
  };
  const turn = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));
  /** Finishes the batch that is under way and returns what then is. */
  const next = async () => {
    await turn();
    const current = batches.shift();
    current?.finish();
    await turn();
    return current?.names ?? [];
  };
  return { lane, add, turn, next, refused };
}

describe("a lane", () => {
  test("sends calls of one turn together", async () => {
    const { add, next } = openLane();
    for (const name of ["a", "b", "c"]) add(name);
    expect(await next()).toEqual(["a", "b", "c"]);
  });

  test("lets those that come meanwhile share the next batch", async () => {
    const { add, next } = openLane();
    add("a");
    await Promise.resolve();
    await Promise.resolve();
    for (const name of ["b", "c"]) add(name);
    expect(await next()).toEqual(["a"]);
    expect(await next()).toEqual(["b", "c"]);
  });

  test("keeps the order on a record, and lets others pass", async () => {
    const { add, next } = openLane();
    add("a1", { keys: ["a"] });
    add("a2", { keys: ["a", "b"] });
    add("b3", { keys: ["b"] });
    add("c4", { keys: ["c"] });
    expect(await next()).toEqual(["a1", "c4"]);
    expect(await next()).toEqual(["a2"]);
    expect(await next()).toEqual(["b3"]);
  });

  test("keeps ordered ones in order over all batches", async () => {
    const { add, next } = openLane({ parallel: 2 });
    add("a1", { keys: ["a"], ordered: true });
    add("a2", { keys: ["a"], ordered: true });
    add("b3", { keys: ["b"], ordered: true });
    add("c4", { keys: ["c"] });
    expect(await next()).toEqual(["a1", "c4"]);
    expect(await next()).toEqual(["a2", "b3"]);
  });

  test("keeps its bounds, but for one call that is too large by itself", async () => {
    const { add, next } = openLane({ maxJobs: 2, maxWeight: 10 });
    add("large", { weight: 50 });
    for (const name of ["a", "b", "c"]) add(name);
    expect(await next()).toEqual(["large"]);
    expect(await next()).toEqual(["a", "b"]);
    expect(await next()).toEqual(["c"]);
  });

  test("shares a crowd out among its batches, down to a bound", async () => {
    const { add, next } = openLane({ parallel: 2, leastJobs: 2 });
    for (const name of ["a", "b", "c", "d", "e", "f"]) add(name);
    expect(await next()).toEqual(["a", "b", "c"]);
    expect(await next()).toEqual(["d", "e", "f"]);
    for (const name of ["g", "h", "i"]) add(name);
    expect(await next()).toEqual(["g", "h"]);
    expect(await next()).toEqual(["i"]);
  });

  test("shares out only those that may go beside each other", async () => {
    const { add, next } = openLane({ parallel: 2 });
    for (const name of ["a", "b", "c"]) add(name, { ordered: true });
    add("d");
    expect(await next()).toEqual(["a", "b", "c"]);
    expect(await next()).toEqual(["d"]);
  });

  test("sends alone what doesn't share", async () => {
    const { add, next } = openLane();
    add("a", { shares: false });
    add("b", { shares: false });
    add("c");
    expect(await next()).toEqual(["a"]);
    expect(await next()).toEqual(["b"]);
    expect(await next()).toEqual(["c"]);
  });

  test("gives back what it hasn't sent, and nothing else", async () => {
    const { lane, add, next } = openLane();
    const first = add("a", { keys: ["x"] });
    const second = add("b", { keys: ["x"] });
    await Promise.resolve();
    await Promise.resolve();
    expect([lane.remove(first), lane.remove(second), lane.remove(second)]).toEqual([
      false,
      true,
      false,
    ]);
    expect(await next()).toEqual(["a"]);
    expect(await next()).toEqual([]);
    expect(lane.idle).toBe(true);
  });

  test("refuses those that waited too long for their turn, and sends the others", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    onTestFinished(() => void vi.useRealTimers());
    const { add, turn, next, refused } = openLane({ maxWaitMs: 1000 });
    add("slow");
    await turn();
    add("waited too long");
    vi.advanceTimersByTime(1);
    add("waited as long as it may");
    vi.advanceTimersByTime(1000);
    add("came just now");
    expect(await next()).toEqual(["slow"]);
    expect(await next()).toEqual(["waited as long as it may", "came just now"]);
    expect(refused).toEqual(["waited too long: Error: overdue"]);
  });
});

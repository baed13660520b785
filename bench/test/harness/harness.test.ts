import { describe, expect, it } from "vitest";
import { closedLoop } from "../../src/harness/closed-loop.ts";
import { drain } from "../../src/harness/drain.ts";
import { atLeast, atMost, isMet, markdown } from "../../src/harness/report.ts";
import { interleave } from "../../src/harness/rounds.ts";
import { median, medianRatio, quantile } from "../../src/harness/statistics.ts";
import { readOptions } from "../../src/options.ts";
import { statement } from "../../src/postgres/statement.ts";

describe("statistics", () => {
  it("takes the middle", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(quantile([5, 1, 3, 2, 4], 0.5)).toBe(3);
    expect(quantile([5, 1, 3, 2, 4], 1)).toBe(5);
    expect(() => median([])).toThrow(RangeError);
  });

  it("divides round by round, not median by median", () => {
    expect(medianRatio([10, 20, 90], [10, 10, 10])).toBe(2);
    expect(medianRatio([1, 100, 3], [1, 50, 1])).toBe(2);
    expect(() => medianRatio([1, 2], [1])).toThrow(RangeError);
  });
});

describe("closedLoop", () => {
  it("keeps each caller to one operation at a time and numbers the turns", async () => {
    const running = new Set<number>();
    const turns = new Set<number>();
    let overlaps = 0;
    const latencies: number[] = [];
    const result = await closedLoop(
      { callers: 3, durationMs: 20, latencies },
      async (turn, caller) => {
        if (running.has(caller)) overlaps += 1;
        running.add(caller);
        turns.add(turn);
        await new Promise((resolve) => setImmediate(resolve));
        running.delete(caller);
      },
    );
    expect(overlaps).toBe(0);
    expect(turns.size).toBe(result.operations);
    expect(latencies).toHaveLength(result.operations);
    expect(result.perSecond).toBeCloseTo((result.operations / result.elapsedMs) * 1000);
  });

  it("passes a failure on", async () => {
    const failing = () => Promise.reject(new Error("no"));
    await expect(closedLoop({ callers: 2, durationMs: 1000 }, failing)).rejects.toThrow("no");
  });
});

it("drains all work, once", async () => {
  let next = 0;
  const done: number[] = [];
  await drain(4, () => {
    const turn = next++;
    return turn < 10 ? Promise.resolve().then(() => done.push(turn)) : undefined;
  });
  expect(done.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

it("interleaves contestants, turns the order round, and doesn't count the warm-up", async () => {
  const order: string[] = [];
  const leg = (name: string) => () => Promise.resolve(order.push(name));
  const series = await interleave({ a: leg("a"), b: leg("b") }, 2);
  expect(order).toEqual(["a", "b", "a", "b", "b", "a"]);
  expect(series).toEqual({ a: [3, 6], b: [4, 5] });
});

it("marks what is met and what isn't", () => {
  expect([isMet(atLeast(4, 4, "")), isMet(atLeast(4, 3.9, ""))]).toEqual([true, false]);
  expect([isMet(atMost(5, 5, "")), isMet(atMost(5, 5.1, ""))]).toEqual([true, false]);
  // A figure that couldn't be computed must not pass.
  expect(isMet(atMost(5, Number.NaN, ""))).toBe(false);
  const table = markdown([
    {
      scenario: "files",
      measure: "memory set",
      callers: "1",
      ours: { value: 1234.56, unit: "/s" },
      others: { bare: { value: 1000, unit: "/s" } },
      checks: [atLeast(0.7, 1.23456, "× bare"), atMost(25, 31, "ms")],
    },
  ]);
  expect(table.split("\n").at(-1)?.replace(/ +/g, " ")).toBe(
    "| files | memory set | 1 | 1,235/s | bare 1,000/s | ✓ 1.23 × bare (≥ 0.7) · ✗ 31 ms (≤ 25) |",
  );
});

it("gives pg and pgbench the same statement", () => {
  const { text, script } = statement("SELECT :b, :a, :b WHERE x::text = :a");
  expect(text).toBe("SELECT $1, $2, $1 WHERE x::text = $2");
  expect(script).toBe("SELECT :b, :a, :b WHERE x::text = :a");
});

it("reads its options and refuses others", () => {
  expect(readOptions(["--only", "files,http", "--rounds", "7"], {})).toMatchObject({
    only: ["files", "http"],
    rounds: 7,
    legMs: 1000,
    quick: false,
    databaseUrl: undefined,
  });
  expect(readOptions(["--quick"], { BENCH_DATABASE_URL: "postgres://x/y" })).toMatchObject({
    rounds: 1,
    databaseUrl: "postgres://x/y",
  });
  expect(() => readOptions(["--rounds", "0"], {})).toThrow(TypeError);
  expect(() => readOptions(["--fast"], {})).toThrow(TypeError);
});

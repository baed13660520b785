import { expect, test } from "vitest";
import { freshBytes, newId } from "../../src/crypto/random.ts";

test("ids are UUIDs of version 7, each another one, in the order in which they were made", () => {
  const before = Date.now();
  const ids = Array.from({ length: 20_000 }, newId);
  expect(new Set(ids).size).toBe(ids.length);
  expect([...ids].sort()).toEqual(ids);
  for (const id of ids) {
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
  const madeAt = Number.parseInt((ids[0] ?? "").replace("-", "").slice(0, 12), 16);
  expect(madeAt).toBeGreaterThanOrEqual(before);
  expect(madeAt).toBeLessThanOrEqual(Date.now());
});

test("nobody is given the bytes that another was given, wherever the pool ends", () => {
  const lengths = [32, 7, 4096, 1, 4095, 32, 33];
  const given = Array.from({ length: 700 }, (_, i) => freshBytes(lengths[i % lengths.length] ?? 0));
  expect(given.map(({ length }) => length)).toEqual(
    given.map((_, i) => lengths[i % lengths.length]),
  );
  expect(new Set(given.map(({ buffer }) => buffer)).size).toBe(given.length);
  // By pieces of eight bytes, of which two the same are as good as impossible.
  const pieces = given.flatMap((bytes) =>
    Array.from({ length: Math.floor(bytes.length / 8) }, (_, n) =>
      Buffer.from(bytes.subarray(n * 8, n * 8 + 8)).toString("hex"),
    ),
  );
  expect(pieces.length).toBeGreaterThan(100_000);
  expect(new Set(pieces).size).toBe(pieces.length);
});

test("what the pool can't give in one piece is refused", () => {
  expect(() => freshBytes(4097)).toThrow(RangeError);
});

import fc from "fast-check";
import { expect, test } from "vitest";
import { Offsets } from "../../src/storage/file/offsets.ts";
import { IdIndex } from "../../src/storage/id-index.ts";

const rounds = Number(process.env["CODESPAR_TEST_ROUNDS"] ?? "1");

/** Ids of few bits, which meet more often than random ones. */
const crowded = fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3), fc.nat(3)).map((words) => {
  const digits = words.map((word) => word.toString(16).padStart(8, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
});

test("the index of ids tells what a map would, however many there are", () => {
  const ids = fc.array(fc.oneof(fc.uuid(), crowded), { maxLength: 5000, size: "max" });
  fc.assert(
    fc.property(ids, fc.array(fc.oneof(fc.uuid(), crowded)), (known, others) => {
      const index = new IdIndex();
      const map = new Map<string, number>();
      for (const [seq, id] of known.entries()) {
        index.set(id, seq);
        map.set(id, seq);
      }
      for (const id of [...known, ...others]) expect(index.get(id)).toBe(map.get(id));
    }),
    { numRuns: 20 * rounds },
  );
});

test("the index of ids has nothing under what is no UUID", () => {
  const index = new IdIndex();
  for (const id of ["", "x", "0".repeat(36), "00000000-0000-0000-0000-00000000000g"]) {
    index.set(id, 1);
    expect(index.has(id)).toBe(false);
  }
  index.set("00000000-0000-0000-0000-000000000000", 0);
  expect(index.get("00000000-0000-0000-0000-000000000000")).toBe(0);
});

test("offsets are what was put in, also far apart and beyond 4 GiB", () => {
  const lengths = fc.array(fc.oneof(fc.nat(1000), fc.nat(16 * 1024 * 1024)), {
    maxLength: 5000,
    size: "max",
  });
  fc.assert(
    fc.property(lengths, (all) => {
      const offsets = new Offsets();
      const expected: number[] = [];
      let end = 0;
      for (const length of all) {
        end += length;
        expected.push(end);
        offsets.push(end);
      }
      expect(all.map((_, i) => offsets.at(i))).toEqual(expected);
      expect([offsets.at(-1), offsets.length]).toEqual([0, all.length]);
    }),
    { numRuns: 20 * rounds },
  );
});

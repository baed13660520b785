import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { StoredRecord } from "../../src/storage/backend.ts";
import { decodeHeader, encodeFrame, isIntact } from "../../src/storage/file/frame.ts";
import { compareKeys, sortKey } from "../../src/storage/file/key-order.ts";
import { organisationFolder, organisationOf } from "../../src/storage/file/layout.ts";
import {
  decodeOperations,
  encodeDelete,
  encodePut,
  type Operation,
} from "../../src/storage/file/operations.ts";
import { type TableName, tableNames, tables } from "../../src/storage/tables.ts";

const anyText = fc.string({ unit: "grapheme" });
const anyUnits = fc.string({
  unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)),
});
const instant = fc
  .date({ min: new Date(0), max: new Date("9999-01-01"), noInvalidDate: true })
  .map((date) => date.toISOString());

function recordOf(name: TableName): fc.Arbitrary<StoredRecord> {
  const columns = Object.entries(tables[name].columns).map(([column, type]) => {
    const value = {
      text: fc.option(anyText),
      integer: fc.option(fc.integer()),
      boolean: fc.option(fc.boolean()),
      json: fc.oneof(fc.jsonValue(), anyUnits).map((json) => JSON.stringify(json)),
      instant: fc.option(instant),
    }[type];
    return [column, value as fc.Arbitrary<string | number | boolean | null>] as const;
  });
  return fc.record({
    key: fc.tuple(...tables[name].key.map(() => anyText)),
    columns: fc.record(Object.fromEntries(columns)),
    version: anyText,
    createdAt: instant,
    updatedAt: instant,
    expiresAt: fc.option(instant),
  });
}

const operation: fc.Arbitrary<Operation> = fc.constantFrom(...tableNames).chain((table) =>
  fc.oneof(
    recordOf(table).map((record) => ({ kind: "put", table, record }) as const),
    fc
      .array(anyText, { minLength: 1, maxLength: 2 })
      .map((key) => ({ kind: "delete", table, key }) as const),
  ),
);

const encode = (op: Operation): string => {
  if (op.kind === "put") return encodePut(op.table, op.record);
  return op.kind === "delete" ? encodeDelete(op.table, op.key) : "";
};

describe("the file format", () => {
  it("gives back every operation, each line being JSON", () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 20 }), (operations) => {
        const body = operations.map(encode).join("");
        for (const line of body.split("\n").slice(0, -1)) JSON.parse(line);
        const decoded: Operation[] = [];
        decodeOperations(
          Buffer.from(body),
          (text) => text,
          (op) => decoded.push(op),
        );
        expect(decoded).toEqual(operations);
      }),
    );
    expect.hasAssertions();
  });

  it("knows a frame from one with any byte changed", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (content, at, change) => {
          const { bytes } = encodeFrame(7, "a".repeat(32), Buffer.from(content));
          const check = (frame: Buffer) => {
            const end = frame.indexOf(10);
            const header = decodeHeader(frame.toString("latin1", 0, end));
            return header !== null && isIntact(header, frame.subarray(end + 1));
          };
          expect(check(bytes)).toBe(true);
          const damaged = Buffer.from(bytes);
          damaged[at % damaged.length] = (damaged[at % damaged.length] ?? 0) ^ change;
          expect(check(damaged)).toBe(false);
        },
      ),
    );
    expect.hasAssertions();
  });

  it("orders keys by their UTF-8 bytes", () => {
    const key = fc.array(
      fc.string({ unit: "binary" }).filter((text) => !text.includes("\0")),
      { minLength: 2, maxLength: 2 },
    );
    fc.assert(
      fc.property(key, key, (a, b) => {
        const bytes = (parts: string[]) => Buffer.from(parts.join("\0"));
        expect(Math.sign(compareKeys(sortKey(a), sortKey(b)))).toBe(
          Buffer.compare(bytes(a), bytes(b)),
        );
      }),
      { numRuns: 2000 },
    );
    expect(compareKeys(sortKey(["\uffff"]), sortKey(["\u{10000}"]))).toBe(-1);
  });

  it("gives each organisation a folder of its own, safe on every file system", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 32 }), (orgId) => {
        const folder = organisationFolder(orgId);
        expect(folder).toMatch(/^[a-z0-9_-]{1,64}$|^~[a-z2-7]+$/);
        expect(organisationOf(folder)).toBe(orgId);
      }),
    );
    expect(organisationFolder("é".repeat(64)).length).toBeLessThan(255);
    for (const name of ["..", ".", "ACME", "a/b", "CON", "a.b", "~a"])
      expect(organisationFolder(name)).toMatch(/^~/);
  });
});

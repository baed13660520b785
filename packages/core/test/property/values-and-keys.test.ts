import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { testKey } from "../../../../tooling/secrets.ts";
import { compareUtf8 } from "../../src/domain/text.ts";
import { KeyRing, StorageError } from "../../src/index.ts";
import { encodeValue } from "../../src/storage/values.ts";

const rounds = Number(process.env["CODESPAR_TEST_ROUNDS"] ?? 1);
const runs = { numRuns: 500 * rounds };

describe("the order of keys", () => {
  test("is that of their UTF-8 bytes", () => {
    const text = fc
      .oneof(
        fc.string({ unit: "binary" }),
        fc.string({
          unit: fc.constantFrom("a", "\uffee", "\ue000", "\ud7ff", "😀", "\u{10ffff}", "é"),
        }),
      )
      .filter((s) => s.isWellFormed());
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
      { numRuns: runs.numRuns * 4 },
    );
  });
});

describe("values", () => {
  test("are accepted exactly when JSON holds them without loss", () => {
    fc.assert(
      fc.property(
        fc.anything({
          withDate: true,
          withMap: true,
          withSet: true,
          withSparseArray: true,
          withBigInt: true,
          withTypedArray: true,
        }),
        (value) => {
          let text: string;
          try {
            text = encodeValue(value, "value", 1_000_000);
          } catch (error) {
            expect(StorageError.is(error)).toBe(true);
            return;
          }
          const back: unknown = JSON.parse(text);
          expect(JSON.stringify(back)).toBe(text);
          // undefined properties, -0, dates and the like become what JSON makes of them; nothing else may change.
          expect(plain(back)).toEqual(plain(value));
        },
      ),
      { numRuns: runs.numRuns * 4 },
    );
  });

  /** As JSON sees it, computed independently: null stays null only where null stood. */
  function plain(value: unknown): unknown {
    if (value instanceof Date) return value.toISOString();
    if (typeof value === "number") return value + 0;
    if (value instanceof String || value instanceof Number || value instanceof Boolean)
      return value.valueOf();
    if (Array.isArray(value)) return value.map(plain);
    if (typeof value !== "object" || value === null) return value;
    return Object.entries(value)
      .flatMap(([name, item]) => (item === undefined ? [] : [[name, plain(item)]]))
      .toSorted();
  }
});

describe("the key ring", () => {
  const place = fc.record({
    orgId: fc.string(),
    table: fc.string(),
    record: fc.string(),
    field: fc.string(),
  });

  test("opens what it sealed, there and nowhere else", () => {
    const ring = KeyRing.parse(testKey());
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }).filter((text) => text.isWellFormed()),
        place,
        place,
        (secret, here, there) => {
          const envelope = ring.seal(secret, here);
          expect(ring.open(envelope, here)).toBe(secret);
          if (JSON.stringify(Object.values(here)) === JSON.stringify(Object.values(there))) return;
          expect(() => ring.open(envelope, there)).toThrow(
            expect.objectContaining({ code: "DECRYPTION_FAILED" }),
          );
        },
      ),
      runs,
    );
  });

  test("notices every changed character of an envelope", () => {
    const ring = KeyRing.parse(testKey());
    const here = { orgId: "o", table: "t", record: "r", field: "f" };
    fc.assert(
      fc.property(
        fc.string(),
        fc.nat(),
        fc.string({ minLength: 1, maxLength: 1 }),
        (secret, position, replacement) => {
          const envelope = ring.seal(secret, here);
          const at = position % envelope.length;
          const changed = `${envelope.slice(0, at)}${replacement}${envelope.slice(at + 1)}`;
          // Base64 has spare bits at its end, and ignores what isn't in its alphabet: only other bytes count.
          const bytesOf = (text: string) =>
            [
              ...text.split(".").slice(0, 2),
              Buffer.from(text.split(".")[2] ?? "", "base64url").toString("hex"),
              text.split(".").length,
            ].join();
          fc.pre(bytesOf(changed) !== bytesOf(envelope));
          expect(() => ring.open(changed, here)).toThrow(
            expect.objectContaining({ code: "DECRYPTION_FAILED" }),
          );
        },
      ),
      runs,
    );
  });

  test("reads keys in each of their forms, and nothing that isn't 32 bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 64 }), (array) => {
        const bytes = Buffer.from(array);
        const forms = [
          bytes.toString("hex"),
          bytes.toString("base64"),
          bytes.toString("base64url"),
        ];
        if (bytes.length === 32) {
          const ids = forms.map((form) => KeyRing.parse(` ${form} `).keyIds);
          expect(new Set(ids.flat()).size).toBe(1);
        } else {
          for (const form of forms.filter((form) => Buffer.from(form, "base64").length !== 32)) {
            expect(() => KeyRing.parse(form)).toThrow(
              expect.objectContaining({ code: "VALIDATION" }),
            );
          }
        }
      }),
      runs,
    );
  });
});

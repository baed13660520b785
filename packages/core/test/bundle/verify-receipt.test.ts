import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { leafHash } from "../../src/audit/leaf.ts";
import { formatReceipt, parseReceipt } from "../../src/audit/receipt.ts";
import { formatVerifier } from "../../src/audit/signed-note.ts";
import { StorageError, verifyReceipt } from "../../src/index.ts";
import { expectCode } from "../support/expect-code.ts";
import { receiptOf, sampleTrail } from "./sample.ts";

const trail = sampleTrail({ size: 13, rotatedAt: 13 });
const trustedKeys = trail.signers.map(formatVerifier);
const hashOf = (seq: number) => leafHash(trail.entries[seq]?.leaf ?? "");
const code = (receipt: string, options: Parameters<typeof verifyReceipt>[1]) =>
  expectCode((async () => verifyReceipt(receipt, options))(), "CORRUPTION");

/** A receipt as another log might write it: without the entry. */
function bare(receipt: string): string {
  const { extra: _, ...rest } = parseReceipt(receipt);
  return formatReceipt(rest);
}

describe("a receipt", () => {
  test("proves every entry, which it carries, by whichever key is trusted", () => {
    for (const { seq } of trail.entries) {
      const result = verifyReceipt(receiptOf(trail, seq), { trustedKeys });
      expect(result).toMatchObject({
        seq,
        hash: hashOf(seq),
        log: trail.log,
        size: 13,
        signedBy: trustedKeys,
        entry: { seq, hash: hashOf(seq), log: trail.log },
      });
      // Whether its details are still there no receipt can know.
      for (const unknown of ["details", "redacted"])
        expect(result.entry).not.toHaveProperty(unknown);
    }
    const [, second = ""] = trustedKeys;
    const result = verifyReceipt(receiptOf(trail, 3), { trustedKeys: [second] });
    expect(result.signedBy).toEqual([second]);
  });

  test("that doesn't carry the entry proves its hash", async () => {
    const receipt = bare(receiptOf(trail, 5));
    const result = verifyReceipt(receipt, { trustedKeys, hash: hashOf(5) });
    expect(result).toMatchObject({ seq: 5, hash: hashOf(5), entry: null });
    await code(receipt, { trustedKeys, hash: hashOf(6) });
    expect(() => verifyReceipt(receipt, { trustedKeys })).toThrow(/give its hash/);
    expect(() => verifyReceipt(receipt, { trustedKeys, hash: "beef" })).toThrow(/give its hash/);
  });

  test("proves nothing of another entry, by other keys, or of what is no entry", async () => {
    const receipt = receiptOf(trail, 5);
    await code(receipt, { trustedKeys, hash: hashOf(6) });
    await code(receipt.replace("index 5", "index 4"), { trustedKeys });
    await code(receipt, { trustedKeys: [] });
    const extra = trail.entries[6]?.leaf;
    await code(formatReceipt({ ...parseReceipt(receipt), extra }), { trustedKeys });
    const other = sampleTrail({ size: 14 }).checkpoints[0]?.note ?? "";
    await code(formatReceipt({ ...parseReceipt(receipt), checkpoint: other }), { trustedKeys });
  });

  test("that is none, and keys that are none, are refused", () => {
    const receipt = receiptOf(trail, 5);
    const refused = (text: unknown, keys: unknown) => {
      const error = expect(() => verifyReceipt(text as string, { trustedKeys: keys as string[] }));
      error.toThrow(expect.objectContaining({ code: "VALIDATION" }));
    };
    refused("", trustedKeys);
    refused(undefined, trustedKeys);
    refused(receipt.slice(0, -3), trustedKeys);
    refused(receipt.replace("extra ", "extra *"), trustedKeys);
    refused(receipt, ["no key"]);
    refused(receipt, "no array");
  });

  test("with any byte changed proves no more than before, and nothing else is thrown", () => {
    const receipt = receiptOf(trail, 5);
    const place = fc.nat({ max: receipt.length - 1 });
    fc.assert(
      fc.property(place, fc.integer({ min: 1, max: 127 }), (at, bits) => {
        const changed =
          receipt.slice(0, at) +
          String.fromCharCode(receipt.charCodeAt(at) ^ bits) +
          receipt.slice(at + 1);
        try {
          // A signature that nobody knows any more may be passed over, as long as another holds.
          expect(verifyReceipt(changed, { trustedKeys })).toMatchObject({
            seq: 5,
            hash: hashOf(5),
          });
        } catch (error) {
          if (!StorageError.is(error, "VALIDATION") && !StorageError.is(error, "CORRUPTION"))
            throw error;
        }
      }),
      { numRuns: 300 },
    );
  });
});

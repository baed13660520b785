import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  formatCheckpoint,
  openCheckpoint,
  parseCheckpoint,
  signCheckpoint,
} from "../../src/audit/checkpoint.ts";
import { leafHash } from "../../src/audit/leaf.ts";
import { CompactRange, type Hash, inclusionProof } from "../../src/audit/merkle.ts";
import { formatReceipt, parseReceipt, verifyReceipt } from "../../src/audit/receipt.ts";
import { NoteError, noteSigner, openNote, parseVerifier } from "../../src/audit/signed-note.ts";

const origin = "codespar/log/0123456789abcdef0123456789abcdef";
const signer = noteSigner("codespar.example", randomBytes(32));
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe("a checkpoint", () => {
  test("of the Go checksum database opens", () => {
    const body = "go.sum database tree\n35225469\nvt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=\n";
    const signature =
      "Az3grpukl5AXaVfYkLiDGORx/DN2nlcS5kZHR5uYOBV2KA2HgXpD+gu9HHONebHLAyaKbbTM75QTtPydhKCExixSfwQ=";
    const verifier = parseVerifier(
      "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
    );
    const { text } = openNote(`${body}\n— sum.golang.org ${signature}\n`, [verifier]);
    expect(parseCheckpoint(text)).toMatchObject({
      origin: "go.sum database tree",
      size: 35_225_469,
    });
    expect(formatCheckpoint(parseCheckpoint(text))).toBe(body);
  });

  test("comes back as it was signed, whatever lines a later version adds", () => {
    const property = fc.property(fc.maxSafeNat(), hash, (size, root) => {
      const opened = openCheckpoint(signCheckpoint({ origin, size, root }, [signer]), origin, [
        signer,
      ]);
      expect(opened).toMatchObject({ origin, size });
      expect(Buffer.from(opened.root).equals(root)).toBe(true);
      expect(parseCheckpoint(`${formatCheckpoint(opened)}more\n`)).toEqual(opened);
    });
    fc.assert(property);
  });

  test("of another log is refused", () => {
    const note = signCheckpoint({ origin, size: 1, root: randomBytes(32) }, [signer]);
    expect(() => openCheckpoint(note, `${origin}0`, [signer])).toThrow(NoteError);
  });

  const root = randomBytes(32).toString("base64");
  test.each([
    "",
    `${origin}\n1\n`,
    `\n1\n${root}\n`,
    `${origin}\n-1\n${root}\n`,
    `${origin}\n01\n${root}\n`,
    `${origin}\n1e3\n${root}\n`,
    `${origin}\n9007199254740993\n${root}\n`,
    `${origin}\n1\n${root.slice(4)}\n`,
    `${origin}\n1\n${root}`,
    `${origin}\n1\n*${root.slice(1)}\n`,
  ])("is refused when it is none: %j", (text) => {
    expect(() => parseCheckpoint(text)).toThrow(NoteError);
  });
});

/** A log of some entries, and its receipts. */
function logOf(size: number) {
  const leaves = Array.from({ length: size }, (_, i) => Buffer.from(leafHash(`entry ${i}`), "hex"));
  const nodes = new Map<string, Hash>(leaves.map((leaf, i) => [`0 ${i}`, leaf]));
  const range = new CompactRange();
  for (const leaf of leaves)
    range.add(leaf, (level, index, node) => nodes.set(`${level} ${index}`, node));
  const checkpoint = signCheckpoint({ origin, size, root: range.root() }, [signer]);
  function read(level: number, index: number): Hash {
    const node = nodes.get(`${level} ${index}`);
    if (node === undefined) throw new Error("no such node");
    return node;
  }
  return {
    leaves,
    receipt: (seq: number) =>
      formatReceipt({ seq, proof: inclusionProof(seq, size, read), checkpoint }),
  };
}

describe("a receipt", () => {
  test("proves its entry, and no other one", () => {
    const property = fc.property(fc.integer({ min: 1, max: 70 }), fc.nat(), (size, at) => {
      const { leaves, receipt } = logOf(size);
      const seq = at % size;
      const text = receipt(seq);
      for (const [other, leaf] of leaves.entries()) {
        const check = () => verifyReceipt(text, leaf, origin, [signer]);
        if (other === seq) expect(check()).toMatchObject({ origin, size });
        else expect(check).toThrow(NoteError);
      }
      expect(formatReceipt(parseReceipt(text))).toBe(text);
    });
    fc.assert(property, { numRuns: 30 });
  });

  test("proves nothing once a byte of it changed", () => {
    const { leaves, receipt } = logOf(13);
    const text = receipt(5);
    const leaf = leaves[5] ?? randomBytes(32);
    for (let i = 0; i < text.length; i += 1) {
      const code = text.charCodeAt(i);
      const changed = text.slice(0, i) + String.fromCharCode(code ^ 1) + text.slice(i + 1);
      expect(() => verifyReceipt(changed, leaf, origin, [signer]), `byte ${i}`).toThrow(NoteError);
    }
  });

  test("may carry extra data", () => {
    const { leaves, receipt } = logOf(3);
    const text = receipt(1).replace("index", "extra YWdl\nindex");
    expect(verifyReceipt(text, leaves[1] ?? randomBytes(32), origin, [signer]).size).toBe(3);
  });

  test("is refused when it is none", () => {
    const text = logOf(3).receipt(1);
    const bad = [
      "",
      text.replace("tlog-proof@v1", "tlog-proof@v2"),
      text.replace("index 1", "index 01"),
      text.replace("index 1", "index -1"),
      text.replace("index 1\n", ""),
      text.replace("\n\n", "\n"),
      text.replace("index 1\n", `index 1\n${"A\n".repeat(65)}`),
      text.replace("index 1\n", `index 1\n${Buffer.alloc(31).toString("base64")}\n`),
    ];
    for (const each of bad) expect(() => parseReceipt(each)).toThrow(NoteError);
  });
});

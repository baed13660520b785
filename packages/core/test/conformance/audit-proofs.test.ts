import { Buffer } from "node:buffer";
import { expect, test } from "vitest";
import { emptyRoot, verifyConsistency } from "../../src/audit/merkle.ts";
import { verifyReceipt } from "../../src/audit/receipt.ts";
import { parseVerifier } from "../../src/audit/signed-note.ts";
import type { Storage } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

/** Appends so many entries at once. */
function fill({ audit }: Storage, count: number) {
  return Promise.all(Array.from({ length: count }, () => audit.append({ action: "test.filled" })));
}

const hashOf = (hex: string) => Buffer.from(hex, "hex");

describeEachBackend("proofs", { everyLogin: true }, (backend) => {
  test("a receipt proves its entry to whoever has the public key", async () => {
    const storage = backend.open();
    const { audit } = storage;
    await fill(storage, 600);
    const { size, origin } = await audit.checkpoint();
    const [key] = await audit.keys();
    const verifier = parseVerifier(key?.vkey ?? "");
    for (const seq of [0, 255, 256, 300, 511, 512, size - 1]) {
      const proof = await audit.prove(seq);
      const entry = await audit.get(seq);
      expect(proof).toMatchObject({ seq, hash: entry?.hash, checkpoint: { size } });
      expect(verifyReceipt(proof.receipt, hashOf(proof.hash), origin, [verifier])).toMatchObject({
        size,
      });
      const other = await audit.get((seq + 1) % size);
      expect(() =>
        verifyReceipt(proof.receipt, hashOf(other?.hash ?? ""), origin, [verifier]),
      ).toThrow(/isn't number/);
    }
  });

  test("an entry is proven against the newest checkpoint, which is signed when it doesn't hold the entry yet", async () => {
    const storage = backend.open();
    const { audit } = storage;
    await fill(storage, 3);
    expect((await audit.prove(1)).checkpoint.size).toBe(4);
    await fill(storage, 2);
    expect((await audit.prove(1)).checkpoint.size).toBe(4);
    expect((await audit.prove(5)).checkpoint.size).toBe(6);
    expect((await audit.prove(1)).checkpoint.size).toBe(6);
    expect((await audit.prove(1, { size: 4 })).checkpoint.size).toBe(4);
  });

  test("what isn't there isn't proven", async () => {
    const storage = backend.open();
    const { audit } = storage;
    await expectCode(audit.prove(0), "NOT_FOUND");
    await fill(storage, 3);
    await audit.checkpoint();
    await fill(storage, 1);
    await expectCode(audit.prove(5), "NOT_FOUND");
    await expectCode(audit.prove(4, { size: 4 }), "NOT_FOUND");
    await expectCode(audit.prove(1, { size: 3 }), "NOT_FOUND");
    await expectCode(audit.prove(-1), "VALIDATION");
    await expectCode(audit.prove(0.5), "VALIDATION");
    await expectCode(audit.prove(1, { size: -1 }), "VALIDATION");
    await expectCode(audit.prove(1, { sizes: 4 } as never), "VALIDATION");
  });

  test("a trail is proven to begin with what it held earlier", async () => {
    const storage = backend.open();
    const { audit } = storage;
    await fill(storage, 300);
    for (const [from, to] of [
      [1, 300],
      [256, 300],
      [257, 300],
      [300, 300],
      [100, 200],
    ] as const) {
      const proven = await audit.consistency(from, to);
      const [first, second] = [proven.from, proven.to].map(({ size, root }) => ({
        size,
        root: hashOf(root),
      }));
      if (first === undefined || second === undefined) throw new Error("two trees");
      expect([first.size, second.size]).toEqual([from, to]);
      expect(verifyConsistency(proven.proof.map(hashOf), first, second)).toBe(true);
    }
    expect(await audit.consistency(3)).toMatchObject({ to: { size: 300 } });
    const empty = Buffer.from(emptyRoot()).toString("hex");
    expect(await audit.consistency(0)).toMatchObject({ from: { size: 0, root: empty }, proof: [] });
    const { root } = await audit.checkpoint();
    expect((await audit.consistency(1)).to.root).toBe(root);
  });

  test("consistency is refused of what makes no sense, or isn't there", async () => {
    const storage = backend.open();
    const { audit } = storage;
    await fill(storage, 3);
    await expectCode(audit.consistency(4), "VALIDATION");
    await expectCode(audit.consistency(2, 1), "VALIDATION");
    await expectCode(audit.consistency(-1), "VALIDATION");
    await expectCode(audit.consistency(0, Number.NaN), "VALIDATION");
    await expectCode(audit.consistency(1, 4), "NOT_FOUND");
    expect(await backend.open(`${backend.orgId}-empty`).audit.consistency(0)).toMatchObject({
      to: { size: 0 },
      proof: [],
    });
  });
});

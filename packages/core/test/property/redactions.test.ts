import { join } from "node:path";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { removeScratch, scratchFolder } from "../../../../tooling/secrets.ts";
import { inclusionProof, verifyInclusion } from "../../src/audit/merkle.ts";
import { overTiles } from "../../src/audit/tiles.ts";
import { verifyTrail } from "../../src/audit/verify.ts";
import { type AuditEntry, createStorage, type Storage, verifyReceipt } from "../../src/index.ts";
import type { MadeTrail } from "../support/made-trail.ts";
import { anySteps, partsOf, trailOf } from "./trails.ts";

const rounds = Number(process.env["CODESPAR_TEST_ROUNDS"] ?? 1);

/** How many parts an entry committed to and that aren't there. */
function erasedIn(trail: MadeTrail): number {
  const sealed = trail.rows.map(({ leaf }) => {
    const { parts } = JSON.parse(Buffer.from(leaf).toString()) as { parts: object };
    return Object.keys(parts).length;
  });
  return sealed.reduce((sum, count) => sum + count, 0) - partsOf(trail).length;
}

test("whatever is erased, chain, signatures and every proof hold, and it is counted", async () => {
  let erased = 0;
  const property = fc.asyncProperty(anySteps, fc.nat(), async (steps, pick) => {
    const trail = trailOf(steps);
    erased += erasedIn(trail);
    const verification = await verifyTrail(trail.source(), { trustedKeys: trail.keys.slice(0, 1) });
    const signed = trail.checkpoints.length > 0;
    // A key that has signed nothing yet is trusted in vain.
    if (signed || trail.keys.length === 0)
      expect(verification).toMatchObject({
        verdict: signed ? "ok" : "unanchored",
        firstFailure: null,
        redacted: erasedIn(trail),
        size: trail.rows.length,
      });
    const size = trail.rows.length;
    const seq = pick % size;
    const { readTiles } = trail.source();
    const proof = await overTiles(
      (read) => inclusionProof(seq, size, read),
      readTiles ?? (async () => []),
    );
    const hash = Buffer.from(trail.rows[seq]?.hash ?? "", "hex");
    const root = Buffer.from(verification.root, "hex");
    expect(verifyInclusion(proof, { seq, hash }, { size, root })).toBe(true);
  });
  await fc.assert(property, { numRuns: 150 * rounds });
  expect(erased).toBeGreaterThan(100);
});

test("whatever is taken away without an entry is found, and where", async () => {
  let found = 0;
  const property = fc.asyncProperty(anySteps, fc.nat(), async (steps, pick) => {
    const trail = trailOf(steps);
    const there = partsOf(trail);
    const part = there[pick % Math.max(there.length, 1)];
    if (part === undefined) return;
    found += 1;
    const { verdict, firstFailure } = await verifyTrail(trail.erase(part.seq, part.name).source());
    expect(verdict).toBe("tampered");
    expect(firstFailure).toMatchObject({ seq: part.seq, check: "parts" });
  });
  await fc.assert(property, { numRuns: 150 * rounds });
  expect(found).toBeGreaterThan(50);
});

/** On files: details of some entries, some of which are erased, in whatever order. */
interface Plan {
  readonly details: readonly unknown[];
  readonly erased: readonly number[];
}

const plan: fc.Arbitrary<Plan> = fc.record({
  details: fc.array(fc.option(fc.jsonValue({ maxDepth: 2 }), { nil: undefined }), {
    minLength: 1,
    maxLength: 12,
  }),
  erased: fc.array(fc.nat(), { maxLength: 8 }),
});

/** Appends entries and redacts some. @returns the entries as they were, and which of them are redacted */
async function fill({ audit }: Storage, { details, erased }: Plan) {
  const entries: AuditEntry[] = [];
  for (const said of details)
    entries.push(
      await audit.append({ action: "test.filled", ...(said !== undefined && { details: said }) }),
    );
  const receipts: string[] = [];
  for (const { seq } of entries) receipts.push((await audit.prove(seq)).receipt);
  const having = entries.filter((_, i) => details[i] !== undefined).map(({ seq }) => seq);
  const redacted = new Set(
    erased.flatMap((pick) => (having.length === 0 ? [] : [having[pick % having.length] ?? -1])),
  );
  for (const seq of redacted) await audit.redact(seq, "asked for");
  return { entries, receipts, redacted };
}

test("on files, whatever is redacted leaves the trail valid and all receipts good", async () => {
  const folder = await scratchFolder("redactions");
  onTestFinished(() => removeScratch(folder));
  let runs = 0;
  const property = fc.asyncProperty(plan, async (planned) => {
    runs += 1;
    const options = { directory: join(folder, String(runs)) };
    const storage = createStorage("acme", options);
    const { entries, receipts, redacted } = await fill(storage, planned);
    const expected = { verdict: "ok", redacted: redacted.size, firstFailure: null };
    const [key] = await storage.audit.keys();
    const trustedKeys = [key?.vkey ?? ""];
    expect(await storage.audit.verify({ trustedKeys })).toMatchObject(expected);
    await storage.close();
    await using reopened = createStorage("acme", options);
    expect(await reopened.audit.verify({ trustedKeys })).toMatchObject(expected);
    for (const [i, entry] of entries.entries()) {
      const { seq } = entry;
      const left = redacted.has(seq) ? { ...entry, details: null, redacted: true } : entry;
      expect(await reopened.audit.get(seq)).toEqual(left);
      const proof = await reopened.audit.prove(seq);
      for (const receipt of [receipts[i] ?? "", proof.receipt])
        expect(verifyReceipt(receipt, { trustedKeys }).seq).toBe(seq);
    }
  });
  await fc.assert(property, { numRuns: 10 * rounds });
});

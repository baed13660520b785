import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { leafHash } from "../../src/audit/leaf.ts";
import { type TrailSource, verifyTrail } from "../../src/audit/verify.ts";
import type { StoredEntry } from "../../src/audit/verify-entry.ts";
import type { AuditVerifyInput } from "../../src/index.ts";
import { MadeTrail } from "../support/made-trail.ts";

/** 600 entries, signed at 300, 500 and behind a rotation of the key at 601. */
function signedTrail(): MadeTrail {
  const trail = new MadeTrail().fill(10).createKey().fill(289).sign();
  return trail.fill(200).sign().fill(100).rotateKey().fill(5);
}

async function failureOf(source: TrailSource, input?: AuditVerifyInput) {
  const { verdict, firstFailure } = await verifyTrail(source, input);
  expect([verdict, firstFailure === null]).toEqual(
    verdict === "tampered" ? ["tampered", false] : [verdict, true],
  );
  return firstFailure;
}

/** What a caller has from elsewhere. */
const pinned = (trail: MadeTrail, key = 0) => ({ trustedKeys: [trail.keys[key] ?? ""] });
const kept = (trail: MadeTrail, checkpoint = 0) => ({
  checkpoint: trail.checkpoints[checkpoint]?.note ?? "",
});

describe("a trail that is as it was sealed", () => {
  test("is unanchored when nothing outside vouches for it", async () => {
    const trail = signedTrail();
    const verification = await verifyTrail(trail.source());
    expect(verification).toMatchObject({
      verdict: "unanchored",
      size: 606,
      head: trail.rows[605]?.hash,
      root: Buffer.from(trail.roots[606] ?? []).toString("hex"),
      anchoredSize: 0,
      // Two full tiles, one of level 0 and one of level 1 that aren't, and three checkpoints.
      checks: {
        content: 606,
        link: 606,
        time: 606,
        parts: 606,
        root: 7,
        signature: 3,
        consistency: 0,
      },
      firstFailure: null,
      warnings: [expect.stringMatching(/^Nothing outside of the trail vouches for it/)],
    });
  });

  test("is told of when its time is still to come", async () => {
    const endingAt = (at: number) => new MadeTrail().fill(3).append({}, {}, at).source();
    const fast = await verifyTrail(endingAt(Date.now() + 3_600_000));
    expect(fast).toMatchObject({ verdict: "unanchored", firstFailure: null });
    expect(fast.warnings).toHaveLength(2);
    expect(fast.warnings[0]).toMatch(
      /^Entry 3 was sealed at \d{4}-.*Z, which by this machine's clock/,
    );
    // Two machines' clocks are never the same.
    expect((await verifyTrail(endingAt(Date.now() + 10_000))).warnings).toHaveLength(1);
  });

  test("is ok as far as a pinned key has signed it", async () => {
    const trail = signedTrail();
    expect(await verifyTrail(trail.source(), pinned(trail, 0))).toMatchObject({
      verdict: "ok",
      anchoredSize: 601,
      warnings: [
        "Entries from 601 on are chained, and nothing outside of the trail vouches for them yet.",
      ],
    });
    expect(await verifyTrail(trail.source(), pinned(trail, 1))).toMatchObject({
      anchoredSize: 601,
    });
  });

  test("is ok as far as a checkpoint that was kept reaches", async () => {
    const trail = signedTrail();
    for (const [i, anchoredSize] of [300, 500, 601].entries()) {
      const verification = await verifyTrail(trail.source(), kept(trail, i));
      expect(verification).toMatchObject({ verdict: "ok", anchoredSize });
      expect(verification.checks.consistency).toBe(1);
    }
  });

  test("is verified by its hashes alone several times as fast", async () => {
    const trail = signedTrail();
    expect(await verifyTrail(trail.source(), { depth: "hashes", ...pinned(trail) })).toMatchObject({
      verdict: "ok",
      anchoredSize: 601,
      checks: { content: 606, link: 606, time: 0, projection: 0, parts: 0, root: 7, signature: 3 },
      warnings: [expect.stringMatching(/^Only bytes, links, tree/), expect.any(String)],
    });
  });

  test("is incomplete when a source lacks something, and doesn't take that for tampering", async () => {
    const trail = signedTrail();
    const missing = () => ["The file ends at entry 400."];
    const entries = () => trail.source().entries();
    async function* first() {
      for await (const rows of entries()) yield rows.filter(({ seq }) => seq < 400);
    }
    const verification = await verifyTrail(trail.source({ entries: first, missing }));
    expect(verification).toMatchObject({ verdict: "incomplete", checks: { content: 400 } });
    expect(verification.warnings[0]).toBe("The file ends at entry 400.");
  });
});

describe("what is erased", () => {
  test("is counted when an entry says so", async () => {
    const trail = new MadeTrail().fill(5).redact(1).redact(3).fill(2);
    expect(await verifyTrail(trail.source())).toMatchObject({
      verdict: "unanchored",
      redacted: 2,
      checks: { parts: 9 },
    });
  });

  test("is counted when the entry came behind the end that is verified", async () => {
    const trail = new MadeTrail().fill(5);
    const { head } = trail;
    trail.redact(1);
    expect(await verifyTrail(trail.source({ head }))).toMatchObject({ size: 5, redacted: 1 });
  });

  test("is counted when the entry came while the trail was read", async () => {
    const trail = new MadeTrail().fill(5);
    const { head } = trail;
    const before = trail.source();
    trail.redact(1);
    const looked: number[] = [];
    const redactions = (after: number) => {
      looked.push(after);
      return (looked.length === 1 ? before : trail.source()).redactions(after);
    };
    const verification = await verifyTrail(trail.source({ head, redactions }));
    expect(verification).toMatchObject({ verdict: "unanchored", size: 5, redacted: 1 });
    expect(looked).toEqual([-1, -1]);
  });

  test("isn't blamed where an entry was taken out or put in", async () => {
    for (const [change, seq] of [
      [(rows: StoredEntry[]) => rows.splice(2, 1), 2],
      [(rows: StoredEntry[]) => rows.splice(3, 0, ...rows.slice(2, 3)), 3],
    ] as const) {
      const trail = new MadeTrail().fill(5).redact(0).fill(3);
      const { head } = trail;
      change(trail.rows);
      trail.rows = trail.rows.map((row, i) => ({ ...row, seq: i }));
      expect(await failureOf(trail.source({ head }))).toMatchObject({ seq, check: "link" });
    }
  });

  test("is missing when no entry says so, or only one before it, or of another part", async () => {
    const words = 'entry 1: its part "details" is missing, and no entry says that it was erased';
    const without = (trail: MadeTrail) => {
      trail.rows = trail.rows.map((row) => (row.seq === 1 ? { ...row, parts: [] } : row));
      return trail;
    };
    const other = { action: "audit.redacted", target: { type: "audit_part", id: "1/other" } };
    const own = { action: "audit.redacted", target: { type: "audit_part", id: "1/details" } };
    for (const trail of [
      new MadeTrail().fill(5),
      new MadeTrail().fill(5).redact(2),
      new MadeTrail().append(own).fill(5),
      new MadeTrail().fill(5).append(other),
      new MadeTrail().fill(5).append({ ...own, action: "audit.redact" }),
    ]) {
      expect(await failureOf(without(trail).source())).toMatchObject({
        seq: 1,
        check: "parts",
        message: words,
      });
    }
  });

  test("must not come back", async () => {
    const trail = new MadeTrail().fill(5);
    const before = trail.rows;
    trail.redact(1);
    trail.rows = [...before, ...trail.rows.slice(5)];
    expect(await failureOf(trail.source())).toMatchObject({
      seq: 1,
      check: "parts",
      message: 'entry 1: its part "details" is there again, though entry 5 erased it',
    });
  });

  test("is looked up, and what the search finds must be what the trail holds", async () => {
    const trail = new MadeTrail().fill(5).redact(1);
    async function* nothing() {
      // The search finds nothing.
    }
    expect(await failureOf(trail.source({ redactions: nothing }))).toMatchObject({ seq: 5 });
    const made = new MadeTrail().fill(5).redact(1).rows;
    const forged = new MadeTrail().fill(6);
    forged.rows = forged.rows.map((row) => (row.seq === 1 ? { ...row, parts: [] } : row));
    async function* found() {
      yield made.slice(5);
    }
    expect(await failureOf(forged.source({ redactions: found }))).toMatchObject({
      seq: 5,
      message: "entry 5: a search finds that it erased 1/details, and the trail doesn't hold that",
    });
  });
});

describe("the stored tree", () => {
  test("tells which entry was changed, where the chain can't", async () => {
    const trail = signedTrail();
    const change = (row: StoredEntry): StoredEntry => {
      const leaf = Buffer.from(Buffer.from(row.leaf).toString().replace("started", "stopped"));
      return { ...row, leaf, hash: leafHash(leaf), projection: null };
    };
    // Two that follow each other: nothing that follows vouches for the second.
    trail.rows = trail.rows.map((row) => (row.seq === 42 || row.seq === 43 ? change(row) : row));
    expect(await failureOf(trail.source())).toMatchObject({ seq: 42, check: "root" });
    expect(await failureOf(trail.source({ readTiles: null }))).toMatchObject({
      seq: 43,
      check: "link",
    });
    expect(await failureOf(trail.source(), { depth: "hashes" })).toMatchObject({ seq: 42 });
  });

  test.each([
    [0, 42, 42],
    [0, 599, 599],
    [1, 1, 256],
  ] as const)("is compared with the entries: level %i, hash %i", async (level, index, seq) => {
    const trail = signedTrail();
    trail.plant(level, index, randomBytes(32));
    const failure = await failureOf(trail.source());
    expect(failure).toMatchObject({ seq, check: "root" });
    expect(failure?.message).toMatch(/the bytes have the hash \S+, the stored tree holds \S+$/);
    expect(await failureOf(trail.source(), { depth: "hashes" })).toEqual(failure);
  });

  test("must be there as a whole", async () => {
    const trail = signedTrail();
    const readTiles: TrailSource["readTiles"] = async (tiles) =>
      tiles.map((tile) =>
        tile.index === 1 ? trail.tile(tile).subarray(0, 320) : trail.tile(tile),
      );
    expect(await failureOf(trail.source({ readTiles }))).toMatchObject({
      seq: 266,
      actual: "no hash",
    });
  });
});

import { describe, expect, test } from "vitest";
import { prepareEntry, sealEntry } from "../../src/audit/entry.ts";
import { genesisHash, type Leaf, leafHash } from "../../src/audit/leaf.ts";
import { projectionOf } from "../../src/audit/projection.ts";
import { verifyTrail } from "../../src/audit/verify.ts";
import type { StoredEntry } from "../../src/audit/verify-entry.ts";
import type { AuditVerification } from "../../src/index.ts";
import { sourceOf } from "../support/trail-source.ts";

const full = {
  actor: { type: "user", id: "ada" },
  action: "deploy.started",
  outcome: "approved",
} as const;

describe("verification finds", () => {
  /** A trail of five entries as a backend hands it over. */
  function trail(): StoredEntry[] {
    const rows: StoredEntry[] = [];
    let prev = genesisHash;
    for (let seq = 0; seq < 5; seq += 1) {
      const { actor, action, outcome } = full;
      const said = { id: `0190163d-8694-739b-aea5-966c26f8ad9${seq}`, actor, action, outcome };
      const entry = prepareEntry(said, { details: JSON.stringify({ seq }) });
      const ts = `2024-05-06T07:08:0${seq}.000000Z`;
      const { leaf, hash } = sealEntry(entry, { log: "codespar/log/1", prev, seq, ts });
      const projection = projectionOf(JSON.parse(leaf) as Leaf);
      rows.push({ seq, leaf: Buffer.from(leaf), hash, parts: entry.parts, projection });
      prev = hash;
    }
    return rows;
  }

  /** Verifies the rows, changed, against the head of the trail as it was sealed. */
  function verified(change: (rows: StoredEntry[]) => StoredEntry[]): Promise<AuditVerification> {
    const sealed = trail();
    const head = { size: 5, hash: sealed[4]?.hash ?? "", log: "codespar/log/1" };
    return verifyTrail(sourceOf(head, change(sealed)));
  }

  /** Changes what the third entry's bytes say. */
  const rewritten = (row: StoredEntry, from: string, to: string) => {
    const leaf = Buffer.from(Buffer.from(row.leaf).toString("utf8").replace(from, to));
    return { ...row, leaf };
  };
  const third = (change: (row: StoredEntry) => StoredEntry) => (rows: StoredEntry[]) =>
    rows.map((row) => (row.seq === 2 ? change(row) : row));

  test("nothing in a trail that is as it was sealed", async () => {
    expect(await verified((rows) => rows)).toMatchObject({
      verdict: "unanchored",
      firstFailure: null,
    });
  });

  const changes: readonly [
    what: string,
    seq: number,
    check: string,
    change: (rows: StoredEntry[]) => StoredEntry[],
  ][] = [
    ["changed bytes", 2, "content", third((row) => rewritten(row, "approved", "success!"))],
    ["bytes that aren't canonical", 2, "content", third((row) => rewritten(row, "{", "{ "))],
    [
      "another version of the format",
      2,
      "content",
      third((row) => rewritten(row, '"v":1', '"v":2')),
    ],
    ["a changed hash", 2, "content", third((row) => ({ ...row, hash: "0".repeat(64) }))],
    [
      "changed bytes whose hash was changed with them",
      2,
      "content",
      third((row) => {
        const { leaf } = rewritten(row, "approved", "denied");
        return {
          ...row,
          leaf,
          hash: leafHash(leaf),
          projection: projectionOf(JSON.parse(leaf.toString()) as Leaf),
        };
      }),
    ],
    [
      "an entry of another trail",
      2,
      "content",
      third((row) => {
        const { leaf } = rewritten(row, "codespar/log/1", "codespar/log/2");
        return { ...row, leaf, hash: leafHash(leaf) };
      }),
    ],
    ["a missing entry", 2, "link", (rows) => rows.filter(({ seq }) => seq !== 2)],
    ["a missing end", 4, "link", (rows) => rows.slice(0, 4)],
    [
      "an entry twice",
      2,
      "link",
      (rows) => rows.flatMap((row) => (row.seq === 2 ? [row, row] : [row])),
    ],
    [
      "two entries in the other order",
      2,
      "link",
      (rows) => [0, 1, 3, 2, 4].flatMap((seq) => rows[seq] ?? []),
    ],
    [
      "a time before the entry before",
      2,
      "time",
      third((row) => {
        const { leaf } = rewritten(row, "2024-05-06T07:08:02", "2023-05-06T07:08:02");
        return { ...row, leaf, hash: leafHash(leaf) };
      }),
    ],
    [
      "a changed searchable copy",
      2,
      "projection",
      third((row) => ({
        ...row,
        projection: row.projection && { ...row.projection, outcome: "denied" },
      })),
    ],
    [
      "a changed part",
      2,
      "parts",
      third((row) => ({ ...row, parts: row.parts.map((part) => ({ ...part, body: "{}" })) })),
    ],
    [
      "a part under another salt",
      2,
      "parts",
      third((row) => ({
        ...row,
        parts: row.parts.map((part) => ({ ...part, salt: Buffer.alloc(32) })),
      })),
    ],
    ["a missing part", 2, "parts", third((row) => ({ ...row, parts: [] }))],
    [
      "a part that nobody committed to",
      2,
      "parts",
      third((row) => ({
        ...row,
        parts: [...row.parts, { name: "more", salt: Buffer.alloc(32), body: "1" }],
      })),
    ],
  ];
  test.each(changes)("%s, and says where", async (_what, seq, check, change) => {
    const verification = await verified(change);
    expect(verification.verdict).toBe("tampered");
    expect(verification.firstFailure).toMatchObject({ seq, check });
    expect(verification.firstFailure?.message).toMatch(new RegExp(`^entry ${seq}: (its?|stored) `));
    // Whatever failed any check counts for none.
    const { content, link, projection, parts, time } = verification.checks;
    expect(new Set([content, link, projection, parts, time]).size).toBe(1);
  });

  /** The last but one or the last entry with other bytes, and all that follows from them. */
  const resealed = (at: number) => (rows: StoredEntry[]) =>
    rows.map((row) => {
      if (row.seq !== at) return row;
      const { leaf } = rewritten(row, "approved", "denied");
      const projection = projectionOf(JSON.parse(leaf.toString()) as Leaf);
      return { ...row, leaf, hash: leafHash(leaf), projection };
    });

  test("a changed last entry, which then counts for no check", async () => {
    const { checks, firstFailure } = await verified(resealed(4));
    expect(checks).toMatchObject({ content: 4, link: 4, projection: 4, parts: 4, time: 4 });
    expect(firstFailure).toMatchObject({
      expected: 'outcome "approved"',
      actual: 'outcome "denied"',
    });
    expect(firstFailure?.message).toMatch(
      /^entry 4: stored outcome "denied", sealed outcome "approved"$/,
    );
  });

  test("which word was exchanged, and which was sealed", async () => {
    const { firstFailure } = await verified(resealed(1));
    expect(firstFailure).toMatchObject({
      seq: 1,
      check: "content",
      expected: 'outcome "approved"',
      actual: 'outcome "denied"',
    });
    expect(firstFailure?.message).toMatch(
      /^entry 1: stored outcome "denied", sealed outcome "approved"$/,
    );
  });

  test("which of two entries a broken link is about, when what follows tells", async () => {
    const other = (row: StoredEntry, id: string): StoredEntry => {
      const { leaf } = rewritten(row, "ada", id);
      return { ...row, leaf, hash: leafHash(leaf), projection: null };
    };
    const first = await verified((rows) =>
      rows.map((row) => (row.seq === 0 ? other(row, "eve") : row)),
    );
    expect(first.firstFailure).toMatchObject({ seq: 0, check: "content" });
    expect(first.firstFailure?.message).toMatch(
      /^entry 0: its bytes have the hash [0-9a-f]{64}, entry 1 names [0-9a-f]{64}$/,
    );
    const both = await verified((rows) =>
      rows.map((row) => (row.seq === 1 || row.seq === 2 ? other(row, "eve") : row)),
    );
    expect(both.firstFailure?.message).toMatch(
      /^entry 2: it names [0-9a-f]{64} as the hash of entry 1, which is [0-9a-f]{64}: entry 1 was changed, or this link$/,
    );
    // The first of the two can't be told from the chain alone.
    expect(both.checks.link).toBe(2);
  });

  test("a broken link by hashes alone too, and where the first one fails", async () => {
    for (const at of [0, 1, 3]) {
      const head = { size: 5, hash: trail()[4]?.hash ?? "", log: "codespar/log/1" };
      const source = sourceOf(head, resealed(at)(trail()));
      const { verdict, checks, firstFailure } = await verifyTrail(source, { depth: "hashes" });
      expect([verdict, checks.link]).toEqual(["tampered", at + 1]);
      expect(firstFailure).toMatchObject({ seq: at, check: "content" });
    }
  });

  test("what is wrong with a part, in words", async () => {
    const messageOf = async (parts: (row: StoredEntry) => StoredEntry["parts"]) =>
      (await verified(third((row) => ({ ...row, parts: parts(row) })))).firstFailure?.message;
    const more = { name: "more", salt: Buffer.alloc(32), body: "1" };
    expect(await messageOf(() => [])).toBe(
      'entry 2: its part "details" is missing, and no entry says that it was erased',
    );
    expect(await messageOf(({ parts }) => [...parts, more])).toBe(
      'entry 2: it has a part "more" that was not sealed with it',
    );
    expect(await messageOf(({ parts }) => parts.map((part) => ({ ...part, body: "{}" })))).toMatch(
      /^entry 2: its part "details" has the commitment \S+, sealed was \S+$/,
    );
  });

  test("every flipped byte of every entry", async () => {
    const size = trail()[2]?.leaf.length ?? 0;
    const verdicts = new Set<string>();
    for (let at = 0; at < size; at += 1) {
      const flip = (row: StoredEntry) => {
        const leaf = Buffer.from(row.leaf);
        leaf[at] = (leaf[at] ?? 0) ^ 1;
        return { ...row, leaf };
      };
      verdicts.add((await verified(third(flip))).verdict);
    }
    expect([...verdicts]).toEqual(["tampered"]);
  });
});

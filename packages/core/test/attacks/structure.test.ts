import { afterEach, expect, test } from "vitest";
import { take } from "./attacker.ts";
import { bytesOf, changes, type Entry } from "./forge.ts";
import { describeAttacks } from "./scene.ts";
import { places, verify } from "./victim.ts";

/* Attackers who change what is stored of entries, and nothing that has to fit it. No anchor is needed to find that. */

/** Within a tile of the tree, and behind the last one that is full. */
const where = [60, 190, 285];

describeAttacks("what isn't made to fit is located:", (scene) => {
  afterEach(() => scene.restore());

  test.each(Object.keys(changes).flatMap((name) => where.map((at) => [name, at] as const)))(
    "%s at %i",
    async (name, at) => {
      const { attacker, entries, foreign } = scene;
      await attacker.rearrange("acme", (stored) => {
        const after = changes[name]?.(entries, at, foreign) ?? [];
        return after.map((entry) => ({ leaf: bytesOf(entry.leaf), rest: restOf(entry, stored) }));
      });
      const { verdict, firstFailure } = await verify(attacker.options, "acme");
      expect(verdict).toBe("tampered");
      // Of two that claim the same place, behind the last full tile, it is the second that can't be there.
      const second = name === "insert an entry" && firstFailure?.seq === at + 1;
      expect(firstFailure).toMatchObject({ seq: second ? at + 1 : at });
      expect(firstFailure?.message).toMatch(/^entr(y|ies) \d+/);
      expect(firstFailure?.expected).not.toBe(firstFailure?.actual);

      /** What is stored beside an entry goes where it goes; of one that wasn't there, what is stored in its place. */
      function restOf(entry: Entry, stored: readonly { rest: unknown }[]): unknown {
        const own = entries.findIndex(({ leaf }) => leaf.id === entry.leaf.id);
        return (stored[own === -1 ? at : own] ?? { rest: null }).rest;
      }
    },
  );

  test("both words are named where one was exchanged for another", async () => {
    for (const at of where) {
      await scene.attacker.rearrange("acme", (stored) =>
        stored.map((row, i) => (i === at ? { ...row, leaf: allowed(row.leaf) } : row)),
      );
      expect((await verify(scene.attacker.options, "acme")).firstFailure).toMatchObject({
        seq: at,
        expected: 'outcome "denied"',
        actual: 'outcome "success"',
        message: expect.stringMatching(
          `^entry ${at}: stored outcome "success", sealed outcome "denied"`,
        ),
      });
      await scene.restore();
    }
  });

  test.each([60, 190, 260, 280])("cutting off the end at %i", async (at) => {
    await scene.attacker.rearrange("acme", (stored) => stored.slice(0, at));
    const { verdict, firstFailure } = await verify(scene.attacker.options, "acme");
    expect(verdict).toBe("tampered");
    expect(firstFailure).toMatchObject({ seq: at });
    expect(firstFailure?.message).toMatch(`entry ${at}`);
  });

  test.each([5, 190, 285])("a part of %i that is gone, with no entry that says so", async (at) => {
    await scene.attacker.setPart("acme", at, null);
    expect(await verify(scene.attacker.options, "acme")).toMatchObject({
      verdict: "tampered",
      firstFailure: {
        seq: at,
        check: "parts",
        message: `entry ${at}: its part "details" is missing, and no entry says that it was erased`,
      },
    });
  });

  test("a part that was erased and is there again", async () => {
    await scene.attacker.setPart("acme", places.redacted, scene.victim.erased);
    expect(await verify(scene.attacker.options, "acme")).toMatchObject({
      verdict: "tampered",
      firstFailure: {
        seq: places.redacted,
        check: "parts",
        message: `entry ${places.redacted}: its part "details" is there again, though entry ${places.redaction} erased it`,
      },
    });
  });

  test("a part that another entry was sealed with", async () => {
    const part = scene.entries[100]?.parts[0];
    await scene.attacker.setPart("acme", 101, part ?? null);
    expect(await verify(scene.attacker.options, "acme")).toMatchObject({
      verdict: "tampered",
      firstFailure: { seq: 101, check: "parts" },
    });
  });

  test("a checkpoint that is gone, when it was the newest", async () => {
    const loot = await take(scene.attacker, "acme");
    const { first, second } = scene.victim;
    await scene.attacker.removeCheckpoint("acme", second.size);
    expect(await verify(scene.attacker.options, "acme")).toMatchObject({
      verdict: "tampered",
      firstFailure: {
        seq: second.size,
        message: `the checkpoint of ${second.size} entries is missing; the newest that is stored is of ${first.size}`,
      },
    });
    await scene.restore();
    // What an earlier one vouches for the newest vouches for too.
    await scene.attacker.removeCheckpoint("acme", first.size);
    expect(await verify(scene.attacker.options, "acme", { trustedKeys: loot.keys })).toMatchObject({
      verdict: "ok",
      anchoredSize: second.size,
    });
  });

  test("nothing is wrong with what wasn't attacked", async () => {
    expect(await verify(scene.attacker.options, "acme")).toMatchObject({
      verdict: "unanchored",
      size: 300,
      firstFailure: null,
      redacted: 1,
    });
    expect((await take(scene.attacker, "acme")).checkpoints).toHaveLength(2);
  });
});

function allowed(leaf: Buffer): Buffer {
  return Buffer.from(leaf.toString().replace('"outcome":"denied"', '"outcome":"success"'));
}

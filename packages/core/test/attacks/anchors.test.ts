import { afterEach, expect, test } from "vitest";
import { creationOf } from "../../src/audit/actions.ts";
import { newLogOrigin } from "../../src/audit/leaf.ts";
import { formatVerifier, noteSigner } from "../../src/audit/signed-note.ts";
import type { AuditVerification, AuditVerifyInput } from "../../src/index.ts";
import { replace } from "./attacker.ts";
import { changes, type Entry, type Loot, reseal, sign } from "./forge.ts";
import { describeAttacks, type Scene } from "./scene.ts";
import { type Victim, verify } from "./victim.ts";

/*
 * Attackers who make everything that is stored fit: what only something from outside can tell. This is the table "Which attack needs which anchor" of
 * docs/reference/audit.md.
 */

/** What somebody has from elsewhere. */
const anchors = {
  nothing: () => ({}),
  key: ({ vkey }) => ({ trustedKeys: [vkey] }),
  first: ({ first }) => ({ checkpoint: first.note }),
  second: ({ second }) => ({ checkpoint: second.note }),
} as const satisfies Record<string, (victim: Victim) => AuditVerifyInput>;

type Verdicts = Readonly<Record<keyof typeof anchors, string>>;

/** The verdict with each anchor, and with `ok`, for how many entries. */
async function verdicts({ attacker, victim }: Scene): Promise<Verdicts> {
  const found: Record<string, string> = {};
  for (const [name, anchor] of Object.entries(anchors))
    found[name] = short(await verify(attacker.options, "acme", anchor(victim)));
  return found as Verdicts;
}

function short({ verdict, anchoredSize }: AuditVerification): string {
  return verdict === "ok" ? `ok ${anchoredSize}` : verdict;
}

const tampered = "tampered";
const unanchored = "unanchored";

/** What each can tell of a trail that is as it was sealed only up to `size`, with the checkpoints up to there. */
function soundUpTo({ first, second }: Victim, size: number) {
  const left = [first, second].filter((checkpoint) => checkpoint.size <= size);
  const kept = (checkpoint: { readonly size: number }) =>
    checkpoint.size <= size ? `ok ${checkpoint.size}` : tampered;
  const newest = left.at(-1);
  const told: Verdicts = {
    nothing: unanchored,
    // A key says what it signed, not that this was all.
    key: newest === undefined ? tampered : `ok ${newest.size}`,
    first: kept(first),
    second: kept(second),
  };
  return { left, told };
}

/** Puts changed entries in the trail's place, with those checkpoints that don't tell of it. */
async function forge({ attacker, victim }: Scene, entries: readonly Entry[], loot: Partial<Loot>) {
  await replace(attacker, "acme", { entries, checkpoints: [], keys: [victim.vkey], ...loot });
}

describeAttacks("a trail that was made to fit anew", (scene) => {
  afterEach(() => scene.restore());

  test("isn't what it is when nobody attacked it", async () => {
    const { first, second } = scene.victim;
    await forge(scene, reseal(scene.entries, 0), { checkpoints: [first, second] });
    expect(await verdicts(scene)).toEqual({
      nothing: unanchored,
      key: `ok ${second.size}`,
      first: `ok ${first.size}`,
      second: `ok ${second.size}`,
    });
  });

  for (const [name, change] of Object.entries(changes)) {
    test.each([60, 190, 285])(`${name} at %i`, async (at) => {
      const { victim, entries, foreign } = scene;
      const { first, second } = victim;
      const forged = reseal(change(entries, at, foreign), at);
      if (at < second.size) {
        // Whoever leaves a checkpoint that tells of it needs no outsider to be found.
        await forge(scene, forged, { checkpoints: [first, second] });
        const all = { nothing: tampered, key: tampered, first: tampered, second: tampered };
        expect(await verdicts(scene)).toEqual(all);
      }
      const { left, told } = soundUpTo(victim, at);
      await forge(scene, forged, { checkpoints: left });
      expect(await verdicts(scene)).toEqual(told);
    });
  }

  test.each([0, 60, "first", 200, "second", 290] as const)("cut off at %s", async (end) => {
    const { victim, entries } = scene;
    const { first, second } = victim;
    const size = typeof end === "number" ? end : victim[end].size;
    const { left, told } = soundUpTo(victim, size);
    await forge(scene, entries.slice(0, size), {
      checkpoints: left,
      ...(left.length === 0 && { keys: [] }),
    });
    expect(await verdicts(scene)).toEqual(told);
    if (left.length === 2) return;
    await forge(scene, entries.slice(0, size), { checkpoints: [first, second] });
    expect((await verify(scene.attacker.options, "acme")).verdict).toBe(tampered);
  });

  test.each(["another name", "its name"])(
    "replaced as a whole, under another key and %s",
    async (name) => {
      const log = name === "its name" ? (scene.entries[0]?.leaf.log ?? "") : newLogOrigin();
      const own = noteSigner(log, Buffer.alloc(32, 7));
      const forged = reseal(
        scene.entries.map((entry) =>
          entry.leaf.action === "audit.key_created"
            ? { ...entry, leaf: { ...entry.leaf, ...creationOf(formatVerifier(own)) } }
            : entry,
        ),
        0,
        log,
      );
      const { first, second } = scene.victim;
      const checkpoints = [first, second].map(({ size }) => sign(forged, size, own));
      await forge(scene, forged, { checkpoints, keys: [formatVerifier(own)] });
      expect(await verdicts(scene)).toEqual({
        nothing: unanchored,
        key: tampered,
        first: tampered,
        second: tampered,
      });
    },
  );

  test("by somebody who has the signing key too", async () => {
    const { victim, entries, foreign } = scene;
    const { first, second, signer } = victim;
    const forged = reseal(changes["edit an entry"]?.(entries, 190, foreign) ?? [], 190);
    await forge(scene, forged, { checkpoints: [first, sign(forged, second.size, signer)] });
    expect(await verdicts(scene)).toEqual({
      nothing: unanchored,
      key: `ok ${second.size}`,
      // The trail goes on from it; what it doesn't hold, it doesn't vouch for.
      first: `ok ${first.size}`,
      second: tampered,
    });
  });

  test("with a part gone that no entry says was erased", async () => {
    const { first, second } = scene.victim;
    const without = scene.entries.map((entry, i) => (i === 190 ? { ...entry, parts: [] } : entry));
    await forge(scene, reseal(without, 0), { checkpoints: [first, second] });
    const all = { nothing: tampered, key: tampered, first: tampered, second: tampered };
    expect(await verdicts(scene)).toEqual(all);
  });
});

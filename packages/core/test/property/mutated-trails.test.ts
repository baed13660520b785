import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { verifyTrail } from "../../src/audit/verify.ts";
import type { AuditVerifyInput } from "../../src/index.ts";
import type { MadeTrail } from "../support/made-trail.ts";
import { anyMutations, type Change, mutate } from "./mutations.ts";
import { anySteps, trailOf } from "./trails.ts";

const rounds = Number(process.env["CODESPAR_TEST_ROUNDS"] ?? 1);

/** A trail, and how it is looked at. */
interface Case {
  readonly trail: MadeTrail;
  /** Without a stored tree, as in a bundle, all rests on the links. */
  readonly tree: boolean;
  readonly input: AuditVerifyInput;
}

/** All that is stored, but for the checkpoints. */
function stored({ trail, tree }: Case): string {
  const tiles = Array.from({ length: tree ? Math.ceil(trail.head.size / 256) : 0 }, (_, index) =>
    Buffer.from(trail.tile({ level: 0, index, width: 256 })).toString("hex"),
  );
  const rows = trail.rows.map(({ leaf, ...row }) => [Buffer.from(leaf).toString("latin1"), row]);
  return JSON.stringify([rows, tiles, trail.keys]);
}

const notesOf = ({ trail }: Case) => trail.checkpoints.map(({ size, note }) => `${size} ${note}`);

/** Changes the trail, and looks whether verification says so. @returns `false` when there was nothing to say */
async function isFound(each: Case, changes: readonly Change[]): Promise<boolean> {
  const { trail, tree, input } = each;
  const { head } = trail;
  const verified = () =>
    verifyTrail(trail.source({ head, ...(!tree && { readTiles: null }) }), input);
  const [before, notes, whole] = [stored(each), notesOf(each), await verified()];
  expect(whole.firstFailure).toBeNull();
  for (const change of changes) {
    mutate(trail, change);
    // What stands behind the head came later, and isn't looked at.
    trail.rows = trail.rows.slice(0, head.size);
  }
  const verification = await verified();
  const left = notesOf(each);
  // Checkpoints that are gone are missed only by whoever has one of them.
  const hasAll = left.join() === notes.filter((note) => left.includes(note)).join();
  if (!hasAll || stored(each) !== before) {
    expect(verification.verdict).toBe("tampered");
    return true;
  }
  if (left.length === notes.length) expect(verification).toEqual(whole);
  else expect(verification.anchoredSize).toBeLessThanOrEqual(whole.anchoredSize);
  return false;
}

/** What a caller may have from elsewhere: nothing, the first key, or the newest checkpoint. */
const anchors = fc.constantFrom("nothing", "key", "checkpoint");

function inputOf(trail: MadeTrail, anchor: string): AuditVerifyInput {
  const note = trail.checkpoints.at(-1)?.note;
  if (note === undefined || anchor === "nothing") return {};
  return anchor === "key" ? { trustedKeys: trail.keys.slice(0, 1) } : { checkpoint: note };
}

describe("a stored trail that was changed at random is never taken for sound", () => {
  test.each(["full", "hashes"] as const)("at depth %s", async (depth) => {
    let changed = 0;
    const property = fc.asyncProperty(
      anySteps,
      anyMutations(depth),
      anchors,
      fc.boolean(),
      async (steps, changes, anchor, tree) => {
        const trail = trailOf(steps);
        const input = { depth, ...inputOf(trail, anchor) };
        if (await isFound({ trail, tree, input }, changes)) changed += 1;
      },
    );
    await fc.assert(property, { numRuns: 400 * rounds });
    expect(changed).toBeGreaterThan(200);
  });
});

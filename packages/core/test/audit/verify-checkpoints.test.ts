import { createHash, randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { signCheckpoint } from "../../src/audit/checkpoint.ts";
import {
  failingSignature,
  formatVerifier,
  type NoteSigner,
  noteSigner,
  signNote,
} from "../../src/audit/signed-note.ts";
import { verifyTrail } from "../../src/audit/verify.ts";
import type { AuditVerifyInput } from "../../src/index.ts";
import { MadeTrail } from "../support/made-trail.ts";

/** 20 entries, signed at 10 and 20. */
function signedTrail(): MadeTrail {
  return new MadeTrail().createKey().fill(9).sign().fill(10).sign();
}

/** The note with other bytes in its (last) signature, still of its form and of the same key. */
function forged(note: string): string {
  const [, head = "", encoded = ""] = /^(.* )(\S+)\n$/su.exec(note) ?? [];
  const bytes = Buffer.from(encoded, "base64");
  bytes[20] = (bytes[20] ?? 0) ^ 1;
  return `${head}${bytes.toString("base64")}\n`;
}

/** A note of what the trail really held, signed by somebody else. */
function signedBy(trail: MadeTrail, size: number, ...signers: NoteSigner[]): string {
  return signCheckpoint(
    { origin: trail.log, size, root: trail.roots[size] ?? randomBytes(32) },
    signers,
  );
}

function withNote(trail: MadeTrail, note: string, size = 10): MadeTrail {
  trail.checkpoints = trail.checkpoints.map((stored) =>
    stored.size === size ? { size, note } : stored,
  );
  return trail;
}

const note = (trail: MadeTrail, i = 0) => trail.checkpoints[i]?.note ?? "";
const stranger = (name: string) => noteSigner(name, randomBytes(32));

/** What fails, whatever the depth. */
async function failureOf(trail: MadeTrail, input: AuditVerifyInput = {}) {
  const { firstFailure } = await verifyTrail(trail.source(), input);
  const byHashes = await verifyTrail(trail.source(), { ...input, depth: "hashes" });
  expect(byHashes.firstFailure).toEqual(firstFailure);
  return firstFailure;
}

test("a stored checkpoint's signature must hold", async () => {
  const trail = signedTrail();
  expect(await failureOf(withNote(trail, forged(note(trail))))).toMatchObject({
    seq: 10,
    check: "signature",
    message: expect.stringMatching(
      /^the checkpoint of 10 entries: the signature of .* doesn't hold$/,
    ),
  });
});

test("a stored checkpoint must be signed by a key that the trail announced before it", async () => {
  const trail = signedTrail();
  const others = [stranger(trail.log), stranger("elsewhere")];
  for (const other of others)
    expect(await failureOf(withNote(signedTrail(), signedBy(trail, 10, other)))).toMatchObject({
      seq: 10,
      check: "signature",
    });
  const late = new MadeTrail().fill(9).createKey().sign();
  const own = noteSigner(late.log, createHash("sha256").update("first").digest());
  expect(await failureOf(late)).toBeNull();
  late.checkpoints = [{ size: 9, note: signedBy(late, 9, own) }, ...late.checkpoints];
  expect(await failureOf(late)).toMatchObject({ seq: 9, check: "signature" });
});

test("a stored checkpoint must be signed by nobody else beside", async () => {
  const trail = signedTrail();
  const [, line = ""] = signedBy(trail, 10, stranger("elsewhere")).split("\n\n");
  expect(await failureOf(withNote(trail, `${note(trail)}${line}`))).toMatchObject({
    seq: 10,
    message: expect.stringContaining("it has a signature line that is none by a key of the trail"),
  });
});

test("a stored checkpoint must be of its trail, size and root", async () => {
  for (const said of [{ origin: "codespar/log/other" }, { size: 11 }, { root: randomBytes(32) }]) {
    const trail = signedTrail();
    const signer = noteSigner(trail.log, createHash("sha256").update("first").digest());
    const right = { origin: trail.log, size: 10, root: trail.roots[10] ?? randomBytes(32) };
    const wrong = signCheckpoint({ ...right, ...said }, [signer]);
    expect(await failureOf(withNote(trail, wrong))).toMatchObject({ seq: 10, check: "root" });
  }
});

/** The note with something else in its text than was signed. */
const altered = {
  "another size": (kept: string) => kept.replace("\n10\n", "\n11\n"),
  "a size beyond the end": (kept: string) => kept.replace("\n10\n", "\n9999\n"),
  "another root": (kept: string) => kept.replace(/(\n10\n).{8}/, "$1AAAAAAAA"),
  "another trail": (kept: string) => kept.replace(/^codespar\/log\/./, "codespar/log/x"),
  "another signature": forged,
};

test.each(Object.entries(altered))(
  "a kept checkpoint with %s is damaged, which says nothing about the trail",
  async (_what, alter) => {
    const trail = signedTrail();
    const input = { checkpoint: alter(note(trail)) };
    expect(input.checkpoint).not.toBe(note(trail));
    const refused = {
      code: "VALIDATION",
      message: expect.stringMatching(
        /^The checkpoint that you kept is damaged: the signature of \S+ \([0-9a-f]{8}\) doesn't hold/,
      ),
    };
    for (const more of [{}, { isCopy: true as const }])
      await expect(verifyTrail(trail.source(more), input)).rejects.toMatchObject(refused);
    if (alter === altered["another trail"]) return;
    // Where the stored keys lack it, the entry that announces it tells.
    const source = trail.source({ keys: ["no key"] });
    await expect(verifyTrail(source, input)).rejects.toMatchObject(refused);
  },
);

test("a kept checkpoint that only a trusted key signed is damaged where that one's signature doesn't hold", async () => {
  const trail = signedTrail();
  const witness = stranger("witness");
  const trustedKeys = [formatVerifier(witness)];
  const kept = signedBy(trail, 10, witness);
  expect(
    (await verifyTrail(trail.source(), { checkpoint: kept, trustedKeys })).checks,
  ).toMatchObject({ consistency: 1 });
  await expect(
    verifyTrail(trail.source(), { checkpoint: forged(kept), trustedKeys }),
  ).rejects.toMatchObject({ code: "VALIDATION" });
});

test("a kept checkpoint that no known key signed vouches for nothing", async () => {
  const trail = signedTrail();
  expect(await failureOf(trail, { checkpoint: note(trail) })).toBeNull();
  const theirs = signedBy(trail, 10, stranger(trail.log));
  for (const checkpoint of [theirs, forged(theirs)])
    expect(await failureOf(trail, { checkpoint })).toMatchObject({
      seq: 10,
      check: "signature",
      message: expect.stringMatching(/that you kept: none of the trusted keys signed the note$/),
    });
});

test("a key that was made to have another one's id spoils nothing that the other one signed", () => {
  const [ours, theirs] = [stranger("log"), stranger("log")];
  const alike = { ...theirs, keyId: ours.keyId };
  const signed = signNote("text\n", [ours]);
  expect(failingSignature(signed, [alike, ours])).toBeNull();
  expect(failingSignature(signed, [alike])).toMatchObject({ name: "log", keyId: ours.keyId });
});

test("a kept checkpoint over more than there is tells of a trail that it was cut, of a copy that it is older", async () => {
  const whole = signedTrail();
  const short = new MadeTrail().createKey().fill(9).sign();
  expect(short.log).toBe(whole.log);
  const input = { checkpoint: note(whole, 1) };
  expect(await verifyTrail(short.source(), input)).toMatchObject({
    verdict: "tampered",
    firstFailure: {
      seq: 10,
      check: "consistency",
      message:
        "entry 10: it is missing; the checkpoint that you kept vouches for 20 entries, and the trail has 10",
    },
  });
  expect(await verifyTrail(short.source({ isCopy: true }), input)).toMatchObject({
    verdict: "outdated",
    size: 10,
    firstFailure: null,
  });
  // What a copy itself holds must fit it all the same.
  short.checkpoints = [...short.checkpoints, { size: 20, note: note(whole, 1) }];
  expect(await verifyTrail(short.source({ isCopy: true }))).toMatchObject({ verdict: "tampered" });
});

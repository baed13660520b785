import { expect, onTestFinished, test } from "vitest";
import { removeScratch, scratchFolder } from "../../../../tooling/secrets.ts";
import { signCheckpoint } from "../../src/audit/checkpoint.ts";
import { noteSigner } from "../../src/audit/signed-note.ts";
import { keepCheckpoints, type Storage, unpackBundle, verifyBundle } from "../../src/index.ts";
import { deferred } from "../../src/storage/deferred.ts";
import { sizeKey } from "../../src/storage/domains/audit-keys.ts";
import { describeEachBackend, type TestBackend } from "../support/backends.ts";
import { plant } from "../support/port.ts";

const size = 10;

/**
 * A trail of ten entries, of which the first three are signed. As checkpoints of seven and of all ten something is stored that none of its keys
 * signed; where nothing checks it, as one of eight something that isn't a checkpoint at all.
 */
async function planted(backend: TestBackend, sizes: readonly number[]): Promise<Storage> {
  const before = backend.open();
  const { audit } = before;
  const { log } = await audit.append({ action: "test.first" });
  await audit.append({ action: "test.second", details: { by: "Ada" } });
  await audit.checkpoint();
  for (let n = 3; n < size; n += 1) await audit.append({ action: "test.more" });
  const signer = noteSigner(log, Buffer.alloc(32, 1));
  const notes = new Map<number, string>();
  for (const signed of sizes) {
    const root = Buffer.from((await audit.consistency(0, signed)).to.root, "hex");
    notes.set(signed, signCheckpoint({ origin: log, size: signed, root }, [signer]));
  }
  if (backend.kind === "file") notes.set(8, "no note\n");
  await before.close();
  for (const [signed, note] of notes)
    await plant(
      backend,
      backend.orgId,
      { table: "audit_checkpoints", key: [sizeKey(signed)] },
      { note },
    );
  return backend.open();
}

// Keepers look for all organisations.
const ownTarget = { targetPerTest: true, otherProcesses: true };

describeEachBackend("a checkpoint that nobody signed", ownTarget, (backend) => {
  test("doesn't stop signing, and stands in no listing", async () => {
    const { audit } = await planted(backend, [7]);
    const checkpoint = await audit.checkpoint();
    expect(checkpoint.size).toBe(size);
    expect((await audit.checkpoints()).items.map((item) => item.size)).toEqual([size, 3]);
    await expect(audit.prove(5, { size: 7 })).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect((await audit.prove(9)).checkpoint).toEqual(checkpoint);
  });

  test("at the trail's end is told of in an entry, over which the next one is signed", async () => {
    const { audit } = await planted(backend, [7, size]);
    const checkpoint = await audit.checkpoint();
    expect(checkpoint.size).toBe(size + 1);
    expect((await audit.list()).items[0]).toMatchObject({
      seq: size,
      action: "audit.checkpoint_foreign",
      target: { type: "audit_checkpoint", id: String(size) },
    });
    expect(await audit.checkpoint()).toEqual(checkpoint);
  });

  test("stops neither a rotation nor an export, whose bundle verifies", async () => {
    const { audit } = await planted(backend, [7, size]);
    const key = await audit.rotateKey();
    expect(await audit.keys()).toMatchObject([
      { keyId: key.keyId },
      { retiredAt: expect.any(String) },
    ]);
    const { content } = await audit.export({ format: "bundle" });
    const folder = await scratchFolder("foreign");
    onTestFinished(() => removeScratch(folder));
    await unpackBundle(content, folder);
    expect(await verifyBundle(folder, { trustedKeys: [key.vkey] })).toMatchObject({
      verdict: "ok",
      firstFailure: null,
    });
  });

  test("is no reason for a keeper to leave the rest unsigned", async () => {
    const storage = await planted(backend, [size]);
    const signed = deferred<number>();
    const kept = keepCheckpoints(storage, {
      everyEntries: 1,
      onEvent: (event) => {
        if (event.kind === "signed") signed.resolve(event.checkpoint.size);
        if (event.kind === "failed") signed.reject(event.error);
      },
    });
    expect(await signed.promise).toBe(size + 1);
    await kept.close();
  });

  test("is what verification finds", async () => {
    const { audit } = await planted(backend, [7]);
    await audit.checkpoint();
    const { verdict, firstFailure } = await audit.verify();
    expect([verdict, firstFailure?.seq, firstFailure?.check]).toEqual(["tampered", 7, "signature"]);
    expect(firstFailure?.message).toBe(
      "the checkpoint of 7 entries: none of the trusted keys signed the note",
    );
  });
});

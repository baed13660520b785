import { expect, test } from "vitest";
import { openCheckpoint } from "../../src/audit/checkpoint.ts";
import { parseNote, parseVerifier } from "../../src/audit/signed-note.ts";
import { describeEachBackend } from "../support/backends.ts";

describeEachBackend("checkpoints", { everyLogin: true }, (backend) => {
  test("the first makes the signing key, and says so in the trail", async () => {
    const { audit } = backend.open();
    await audit.append({ action: "test.first" });
    const checkpoint = await audit.checkpoint();
    const [key, ...others] = await audit.keys();
    expect(others).toEqual([]);
    const [entry] = (await audit.list()).items;
    expect(entry).toMatchObject({
      seq: 1,
      action: "audit.key_created",
      target: { type: "audit_key", id: key?.vkey },
    });
    expect(checkpoint).toMatchObject({
      origin: entry?.log,
      size: 2,
      signedAt: backend.clock.iso(),
    });
    expect(key).toMatchObject({ createdAt: backend.clock.iso(), retiredAt: null });
    const opened = openCheckpoint(checkpoint.note, checkpoint.origin, [
      parseVerifier(key?.vkey ?? ""),
    ]);
    expect(Buffer.from(opened.root).toString("hex")).toBe(checkpoint.root);
  });

  test("nothing new is signed twice", async () => {
    const { audit } = backend.open();
    await audit.append({ action: "test.first" });
    const first = await audit.checkpoint();
    backend.clock.advance(1000);
    expect(await audit.checkpoint()).toEqual(first);
    expect((await audit.checkpoints()).items).toEqual([first]);
  });

  test("an empty trail has nothing to sign", async () => {
    const { audit } = backend.open();
    await expect(audit.checkpoint()).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(audit.rotateKey()).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await audit.keys()).toEqual([]);
    expect((await audit.checkpoints()).items).toEqual([]);
  });

  test("are listed newest first, and page by page", async () => {
    const storage = backend.open();
    const { audit } = storage;
    const sizes: number[] = [];
    for (let n = 0; n < 5; n += 1) {
      await audit.append({ action: "test.more" });
      sizes.push((await audit.checkpoint()).size);
    }
    const listed: number[] = [];
    for await (const { size } of audit.checkpoints({ limit: 2 })) listed.push(size);
    expect(listed).toEqual(sizes.toReversed());
    expect((await audit.checkpoints({ reverse: false })).items.map(({ size }) => size)).toEqual(
      sizes,
    );
    await storage.close();
    const reopened = await backend.open().audit.checkpoints({ limit: 1 });
    expect(reopened.items[0]?.size).toBe(sizes.at(-1));
  });

  test("signed by many at once, there is one key, and one checkpoint for each size", async () => {
    const { audit } = backend.open();
    await audit.append({ action: "test.first" });
    const signing = Array.from({ length: 8 }, async (_, n) => {
      if (n % 2 === 1) await audit.append({ action: "test.meanwhile" });
      return audit.checkpoint();
    });
    const signed = await Promise.all(signing);
    expect(await audit.keys()).toHaveLength(1);
    const stored = (await audit.checkpoints()).items;
    expect(new Set(stored.map(({ size }) => size)).size).toBe(stored.length);
    for (const checkpoint of signed) expect(stored).toContainEqual(checkpoint);
    expect((await audit.list({ action: "audit.key_created" })).items).toHaveLength(1);
    expect(await audit.verify()).toMatchObject({ verdict: "unanchored", firstFailure: null });
  });

  test("a rotated key hands over with both signatures and a sealed entry", async () => {
    const { audit } = backend.open();
    await audit.append({ action: "test.first" });
    await audit.checkpoint();
    const [old] = await audit.keys();
    backend.clock.advance(1000);
    const key = await audit.rotateKey();
    expect(key).toMatchObject({ retiredAt: null });
    expect(await audit.keys()).toEqual([key, { ...old, retiredAt: backend.clock.iso() }]);
    const [entry] = (await audit.list({ action: "audit.key_rotated" })).items;
    expect(entry?.target).toEqual({ type: "audit_key", id: `${old?.keyId} ${key.vkey}` });
    const [both] = (await audit.checkpoints()).items;
    expect(both?.size).toBe((entry?.seq ?? 0) + 1);
    const ids = parseNote(both?.note ?? "").signatures.map(({ keyId }) => keyId);
    expect(ids).toEqual([old?.keyId, key.keyId]);
    await audit.append({ action: "test.later" });
    const later = await audit.checkpoint();
    expect(parseNote(later.note).signatures.map(({ keyId }) => keyId)).toEqual([key.keyId]);
    // Each key vouches for what it signed.
    for (const [trusted, anchoredSize] of [
      [old, both?.size],
      [key, later.size],
    ] as const) {
      const verification = await audit.verify({ trustedKeys: [trusted?.vkey ?? ""] });
      expect(verification).toMatchObject({ verdict: "ok", anchoredSize });
    }
  });

  test("keys that many rotate at once follow each other", async () => {
    const { audit } = backend.open();
    await audit.append({ action: "test.first" });
    await audit.rotateKey();
    expect(await audit.keys()).toHaveLength(1);
    await Promise.all([audit.rotateKey(), audit.rotateKey(), audit.checkpoint()]);
    const keys = await audit.keys();
    expect(keys.filter(({ retiredAt }) => retiredAt === null)).toHaveLength(1);
    expect((await audit.list({ action: "audit.key_rotated" })).items).toHaveLength(keys.length - 1);
    expect(await audit.verify()).toMatchObject({ verdict: "unanchored", firstFailure: null });
  });

  test("nothing of another organisation is signed along", async () => {
    const mine = backend.open();
    const others = backend.open(`${backend.orgId}-other`);
    await mine.audit.append({ action: "test.mine" });
    await others.audit.append({ action: "test.theirs" });
    const checkpoint = await mine.audit.checkpoint();
    expect(await others.audit.keys()).toEqual([]);
    expect((await others.audit.checkpoints()).items).toEqual([]);
    await expect(others.audit.prove(0, { size: checkpoint.size })).rejects.toMatchObject({
      code: "NOT_FOUND",
    });
    expect((await others.audit.checkpoint()).origin).not.toBe(checkpoint.origin);
  });
});

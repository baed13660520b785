import { expect, test } from "vitest";
import { parseNote } from "../../src/audit/signed-note.ts";
import { systemActor } from "../../src/index.ts";
import type { Backend } from "../../src/storage/backend.ts";
import { addSuccessor, ensureKey } from "../../src/storage/domains/audit-keys.ts";
import { describeEachBackend, type TestBackend } from "../support/backends.ts";
import { onPort } from "../support/port.ts";

/** What a domain works on, above a port of its own. */
function contextOn(backend: TestBackend, port: Backend) {
  return {
    backend: port,
    orgId: backend.orgId,
    actor: systemActor,
    maxValueBytes: 1024,
    clock: () => backend.clock.nowMs,
    assertOpen: () => undefined,
  };
}

describeEachBackend("a rotation that is broken off", (backend) => {
  async function signedTrail(): Promise<void> {
    const storage = backend.open();
    await storage.audit.append({ action: "test.first" });
    await storage.audit.checkpoint();
    await storage.close();
  }

  test("before the first checkpoint: the next signature uses the key that is there", async () => {
    const storage = backend.open();
    const { log } = await storage.audit.append({ action: "test.first" });
    await storage.close();
    await onPort(backend, (port) => ensureKey(contextOn(backend, port), log, undefined));
    const { audit } = backend.open();
    const [key] = await audit.keys();
    expect((await audit.checkpoints()).items).toEqual([]);
    const { note } = await audit.checkpoint();
    expect(parseNote(note).signatures.map(({ keyId }) => keyId)).toEqual([key?.keyId]);
    expect(await audit.keys()).toEqual([key]);
  });

  test.each(["checkpoint", "rotateKey", "prove"] as const)(
    "before the handover: %s makes it, with both keys",
    async (verb) => {
      await signedTrail();
      await onPort(backend, (port) => addSuccessor(contextOn(backend, port), undefined));
      const { audit } = backend.open();
      const [next, old] = await audit.keys();
      expect([next?.retiredAt, old?.retiredAt]).toEqual([null, null]);
      if (verb === "prove") await audit.prove(2);
      else await audit[verb]();
      const [handover] = (await audit.checkpoints()).items;
      const signers = parseNote(handover?.note ?? "").signatures.map(({ keyId }) => keyId);
      expect(signers).toEqual([old?.keyId, next?.keyId]);
      expect(await audit.keys()).toEqual([next, { ...old, retiredAt: backend.clock.iso() }]);
      expect((await audit.list({ action: "audit.key_rotated" })).items).toHaveLength(1);
      expect(await audit.verify()).toMatchObject({ firstFailure: null, checks: { signature: 2 } });
    },
  );

  test("leaves no private part of the old key behind", async () => {
    await signedTrail();
    const storage = backend.open();
    await storage.audit.rotateKey();
    await storage.close();
    const query = { table: "audit_keys", limit: 10 } as const;
    const records = await onPort(backend, (port) =>
      port.list(backend.orgId, query, { now: backend.clock.nowMs }),
    );
    expect(records.map(({ columns }) => columns["seed"] === null)).toEqual([true, false]);
  });
});

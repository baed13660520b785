import { expect, test } from "vitest";
import type { Audit, Storage } from "../../src/index.ts";
import type { Backend } from "../../src/storage/backend.ts";
import { auditDomain } from "../../src/storage/domains/audit.ts";
import { contextOf } from "../../src/storage/domains/context.ts";
import { describeEachBackend } from "../support/backends.ts";
import { intercepted } from "../support/port.ts";

/** A handle's trail, where somebody else appends and signs right before each of its own commits: it loses every race that there is. */
function unlucky(storage: Storage, rival: Storage): Audit {
  const context = contextOf(storage);
  const { backend } = context;
  const commit: Backend["commit"] = async (...args) => {
    await rival.audit.append({ action: "test.rival" });
    await rival.audit.checkpoint();
    await rival.audit.append({ action: "test.rival" });
    return backend.commit(...args);
  };
  return auditDomain({ ...context, backend: intercepted(backend, { commit }) });
}

async function drained(content: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const chunk of content) bytes += chunk.length;
  return bytes;
}

describeEachBackend(
  "a trail on which others append and sign all the time",
  { otherProcesses: true },
  (backend) => {
    test("is signed all the same, up to what the caller has seen of it", async () => {
      const storage = backend.open();
      const audit = unlucky(storage, backend.open());
      const { seq } = await audit.append({ action: "test.mine" });
      expect((await audit.checkpoint()).size).toBeGreaterThan(seq);
      expect(await audit.verify()).toMatchObject({ firstFailure: null });
    });

    test("gets another key all the same", async () => {
      const storage = backend.open();
      const audit = unlucky(storage, backend.open());
      await audit.append({ action: "test.mine" });
      await audit.checkpoint();
      const [before] = await audit.keys();
      const key = await audit.rotateKey();
      const keys = await audit.keys();
      expect(keys.map(({ keyId }) => keyId)).toEqual([key.keyId, before?.keyId]);
      expect(keys.map(({ retiredAt }) => retiredAt === null)).toEqual([true, false]);
      expect(await audit.verify()).toMatchObject({ firstFailure: null });
    });

    test("is exported all the same", async () => {
      const storage = backend.open();
      const audit = unlucky(storage, backend.open());
      const { seq } = await audit.append({ action: "test.mine" });
      const { checkpoint, content } = await audit.export({ format: "bundle" });
      expect(checkpoint?.size).toBeGreaterThan(seq + 1);
      expect(await drained(content)).toBeGreaterThan(0);
    });

    test("is rotated and exported beside steady appenders", async () => {
      const { audit } = backend.open();
      await audit.append({ action: "test.first" });
      await audit.checkpoint();
      let steady = true;
      const beside = [backend.open(), backend.open()].map(async (other) => {
        while (steady) {
          await other.audit.append({ action: "test.steady" });
          await other.audit.checkpoint();
        }
      });
      try {
        for (let round = 0; round < 3; round += 1) {
          await audit.rotateKey();
          await drained((await audit.export({ format: "bundle" })).content);
        }
      } finally {
        steady = false;
      }
      await Promise.all(beside);
      const keys = await audit.keys();
      expect(keys.map(({ retiredAt }) => retiredAt === null)).toEqual([true, false, false, false]);
      expect(await audit.verify()).toMatchObject({ firstFailure: null });
    });
  },
);

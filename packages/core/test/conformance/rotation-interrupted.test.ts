import { expect, test } from "vitest";
import { testKey, testSecret } from "../../../../tooling/secrets.ts";
import { KeyRing, type StorageOptions } from "../../src/index.ts";
import type { Backend } from "../../src/storage/backend.ts";
import { openBackend } from "../../src/storage/create-storage.ts";
import { rotateSecrets } from "../../src/storage/deployment/rotate-secrets.ts";
import { envelopeOf, keyIdOf, type SealedRef, secretPlace } from "../../src/storage/stored-keys.ts";
import { describeEachBackend } from "../support/backends.ts";
import { plant } from "../support/port.ts";

/** The calls of a rotation that change something. */
const changing = new Set(["beginRotation", "reseal", "sealCanary", "dropEarlierKeys"]);

class Died extends Error {}

/** A backend with something happening around its calls. */
function withAround(
  backend: Backend,
  around: (name: string, call: () => Promise<unknown>) => Promise<unknown>,
): Backend {
  return new Proxy(backend, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      const call = value.bind(target) as (...args: unknown[]) => Promise<unknown>;
      return (...args: unknown[]) => around(String(name), () => call(...args));
    },
  });
}

/** A backend whose process ends before or after the nth call that changes something. */
function dyingAt(backend: Backend, n: number, moment: "before" | "after"): Backend {
  let calls = 0;
  return withAround(backend, async (name, call) => {
    if (!changing.has(name)) return call();
    calls += 1;
    if (calls === n && moment === "before") throw new Died();
    const result = await call();
    if (calls === n) throw new Died();
    return result;
  });
}

const refs: readonly SealedRef[] = [
  { table: "channel_configs", key: ["sentry"] },
  { table: "channel_configs", key: ["vercel"] },
];
const textOf = (orgId: string, { key }: SealedRef) =>
  JSON.stringify({ token: testSecret(`${orgId} ${key}`) });

const onTargetsOfTheirOwn = { targetPerTest: true, otherProcesses: true };

describeEachBackend("a rotation that dies", onTargetsOfTheirOwn, (backend) => {
  const orgIds = () => [`${backend.orgId}-a`, `${backend.orgId}-b`];

  async function fill(options: StorageOptions): Promise<void> {
    const port = openBackend(options);
    const ring = await port.keyRing();
    await port.close();
    for (const orgId of orgIds()) {
      for (const ref of refs) {
        const credentials = ring.seal(textOf(orgId, ref), secretPlace(orgId, ref));
        await plant(backend, orgId, ref, { settings: "{}", credential_names: "[]", credentials });
      }
    }
  }

  /** All of it opens for a process that starts now. @returns the ids of the keys that sealed it */
  async function expectAllOpen(options: StorageOptions): Promise<string[]> {
    const port = openBackend(options);
    const ids = new Set<string>();
    try {
      const ring = await port.keyRing();
      for (const orgId of orgIds()) {
        const records = await port.read(orgId, refs, { now: backend.clock.nowMs });
        for (const [i, ref] of refs.entries()) {
          const envelope = envelopeOf(ref.table, records[i]?.columns ?? {}) ?? "";
          expect(ring.open(envelope, secretPlace(orgId, ref))).toBe(textOf(orgId, ref));
          ids.add(keyIdOf(envelope));
        }
      }
    } finally {
      await port.close();
    }
    return [...ids];
  }

  async function rotateUntil(
    options: StorageOptions,
    n: number,
    moment: "before" | "after",
    newKey: boolean,
  ) {
    const port = openBackend(options);
    try {
      const context = { now: backend.clock.nowMs };
      const actor = { type: "user", id: "operator" } as const;
      return await rotateSecrets(dyingAt(port, n, moment), actor, context, { newKey });
    } catch (error) {
      if (!(error instanceof Died)) throw error;
      return null;
    } finally {
      await port.close();
    }
  }

  /** Lets the rotation die at its first change, then, gone on with, at its second, and so on until it gets through. */
  async function dieAndGoOn(options: StorageOptions, newKey: boolean): Promise<string> {
    for (let deaths = 0; ; deaths += 1) {
      const moment = deaths % 2 === 0 ? "before" : "after";
      // The first one dies before it begins, the second one once it has: the others only go on.
      const begins = newKey && deaths < 2;
      const report = await rotateUntil(options, Math.floor(deaths / 2) + 1, moment, begins);
      await expectAllOpen(options);
      if (report === null) continue;
      expect(report).toMatchObject({ finished: true, remaining: 0 });
      expect(deaths).toBeGreaterThanOrEqual(6);
      return report.activeKey ?? "";
    }
  }

  test("anywhere loses nothing, and is gone on with", async () => {
    const [old, fresh] = [testKey(), testKey()];
    await fill({ ...backend.options(), encryptionKey: old });
    const both = { ...backend.options(), encryptionKey: `${fresh},${old}` };
    const activeKey = await dieAndGoOn(both, false);
    const ids = await expectAllOpen({ ...backend.options(), encryptionKey: fresh });
    expect(ids).toEqual([activeKey]);
    await expect(expectAllOpen({ ...backend.options(), encryptionKey: old })).rejects.toMatchObject(
      { code: "KEY_MISMATCH" },
    );
    const storage = backend.open(backend.orgId, { encryptionKey: fresh });
    for (const orgId of orgIds()) {
      const { audit } = storage.forOrg(orgId);
      expect(await audit.verify()).toMatchObject({ size: 1, firstFailure: null });
    }
  });

  test.each(["its old key", "its new key"])(
    "overtaken by a write under %s keeps that",
    async (which) => {
      const [old, fresh] = [testKey(), testKey()];
      await fill({ ...backend.options(), encryptionKey: old });
      const port = openBackend({ ...backend.options(), encryptionKey: `${fresh},${old}` });
      const context = { now: backend.clock.nowMs };
      const [orgId = ""] = orgIds();
      const [ref] = refs as [SealedRef];
      const ring = KeyRing.parse(which === "its old key" ? old : fresh);
      let writes = 0;
      const overtaken = withAround(port, async (name, call) => {
        if (name !== "reseal" || writes === 2) return call();
        writes += 1;
        const credentials = ring.seal(`write ${writes}`, secretPlace(orgId, ref));
        const columns = { settings: "{}", credential_names: "[]", credentials };
        const put = {
          kind: "put",
          ...ref,
          columns,
          version: `v${writes}`,
          expiresAt: null,
        } as const;
        await port.commit(orgId, { checks: [], writes: [put], appends: [] }, context);
        return call();
      });
      try {
        const actor = { type: "user", id: "operator" } as const;
        const report = await rotateSecrets(overtaken, actor, context);
        expect(report).toMatchObject({ finished: true, remaining: 0 });
        const [record] = await port.read(orgId, [ref], context);
        expect(record?.version).toBe("v2");
        const envelope = envelopeOf(ref.table, record?.columns ?? {}) ?? "";
        expect(KeyRing.parse(fresh).open(envelope, secretPlace(orgId, ref))).toBe("write 2");
        expect(await port.auditHead(orgId, context)).toMatchObject({ size: 1 });
      } finally {
        await port.close();
      }
    },
  );

  test.runIf(backend.kind === "file")("over a key that the folder keeps, too", async () => {
    const { encryptionKey: _, ...options } = backend.options();
    await fill(options);
    const [old] = await expectAllOpen(options);
    const activeKey = await dieAndGoOn(options, true);
    expect(activeKey).not.toBe(old);
    expect(await expectAllOpen(options)).toEqual([activeKey]);
  });
});

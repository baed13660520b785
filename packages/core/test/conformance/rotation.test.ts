import { expect, test } from "vitest";
import { testKey, testSecret } from "../../../../tooling/secrets.ts";
import {
  createStorage,
  type Deployment,
  deploymentOf,
  KeyRing,
  type RotationReport,
  type SecretsStatus,
  type Storage,
} from "../../src/index.ts";
import type { StoredRecord } from "../../src/storage/backend.ts";
import { keyIdsOf, sealedTables, secretPlace } from "../../src/storage/stored-keys.ts";
import { describeEachBackend, type TestBackend } from "../support/backends.ts";
import { expectCode, expectThrown } from "../support/expect-code.ts";
import { onPort, plant } from "../support/port.ts";

const onTargetsOfTheirOwn = {
  targetPerTest: true,
  everyLogin: true,
  otherProcesses: true,
  needsOwner: true,
};

/** Two keys, and the rings that an operator sets one after the other. */
function twoKeys() {
  const [old, fresh] = [testKey(), testKey()];
  const [oldId, freshId] = KeyRing.parse(`${old},${fresh}`).keyIds;
  return { old, fresh, both: `${fresh},${old}`, oldId: oldId ?? "", freshId: freshId ?? "" };
}

const idsOf = (backend: TestBackend) => ["a", "b", "c"].map((name) => `${backend.orgId}-${name}`);

/** Stores secrets in every sealed table of three organisations, and something that isn't one in a fourth. */
async function fill(backend: TestBackend, encryptionKey: string): Promise<void> {
  await using storage = backend.open(backend.orgId, { encryptionKey });
  for (const orgId of idsOf(backend)) {
    const organisation = storage.forOrg(orgId);
    await organisation.channelConfigs.set("sentry", {
      credentials: { token: testSecret(`${orgId} sentry`) },
    });
    await organisation.channelConfigs.set("vercel", {
      credentials: { token: testSecret(`${orgId} vercel`) },
    });
    await organisation.slackInstallations.set({
      teamId: `T-${orgId}`,
      tokens: { bot: testSecret(orgId) },
    });
    // A signing key, which the next one then replaces: of the two one still has its private part.
    await organisation.audit.checkpoint();
    await organisation.audit.rotateKey();
  }
  await storage.memory.set("agent", "key", 1);
}

/** Everything sealed that the organisations hold, by organisation, table and key. */
function sealedRecords(backend: TestBackend): Promise<Map<string, StoredRecord>> {
  return onPort(backend, async (port) => {
    const found = new Map<string, StoredRecord>();
    for (const orgId of idsOf(backend)) {
      for (const table of sealedTables) {
        const query = { table, limit: 1000 };
        for (const record of await port.list(orgId, query, { now: backend.clock.nowMs }))
          found.set(`${orgId} ${table} ${record.key.join(" ")}`, record);
      }
    }
    return found;
  });
}

function keyIds(records: ReadonlyMap<string, StoredRecord>): string[] {
  const ids = [...records].flatMap(([name, { columns }]) => {
    const table = sealedTables.find((each) => name.split(" ")[1] === each);
    return table === undefined ? [] : keyIdsOf(table, columns);
  });
  return [...new Set(ids)].sort();
}

async function expectAllOpen(backend: TestBackend, encryptionKey: string): Promise<void> {
  const storage = backend.open(backend.orgId, { encryptionKey });
  for (const orgId of idsOf(backend)) {
    const organisation = storage.forOrg(orgId);
    const { channelConfigs, slackInstallations } = organisation;
    const [sentry, vercel, slack] = await Promise.all([
      channelConfigs.getCredentials("sentry"),
      channelConfigs.getCredentials("vercel"),
      slackInstallations.getTokens({ teamId: `T-${orgId}` }),
    ]);
    expect(sentry?.["token"]?.reveal()).toBe(testSecret(`${orgId} sentry`));
    expect(vercel?.["token"]?.reveal()).toBe(testSecret(`${orgId} vercel`));
    expect(slack?.["bot"]?.reveal()).toBe(testSecret(orgId));
    // Signing takes the key's private part.
    await organisation.audit.append({ action: "test.done" });
    await organisation.audit.checkpoint();
  }
  await storage.close();
}

async function administered<Result>(
  backend: TestBackend,
  encryptionKey: string,
  work: (deployment: Deployment, storage: Storage) => Promise<Result>,
): Promise<Result> {
  const storage = backend.open(backend.orgId, { encryptionKey });
  try {
    return await work(deploymentOf(storage.as({ type: "user", id: "operator" })), storage);
  } finally {
    await storage.close();
  }
}

const rotate = (backend: TestBackend, keys: string): Promise<RotationReport> =>
  administered(backend, keys, ({ secrets }) => secrets.rotate());
const status = (backend: TestBackend, keys: string): Promise<SecretsStatus> =>
  administered(backend, keys, ({ secrets }) => secrets.status());

describeEachBackend("rotation of the master key", onTargetsOfTheirOwn, (backend) => {
  test("seals everything under the new key and changes nothing else", async () => {
    const { old, fresh, both, oldId, freshId } = twoKeys();
    await fill(backend, old);
    const before = await sealedRecords(backend);
    expect(keyIds(before)).toEqual([oldId]);
    expect(await status(backend, both)).toEqual({
      source: "configured",
      activeKey: freshId,
      canaryKey: oldId,
      keys: [
        { id: freshId, active: true, available: true, records: 0 },
        { id: oldId, active: false, available: true, records: 12 },
      ],
      records: 12,
      remaining: 12,
    });
    backend.clock.advance(60_000);
    expect(await rotate(backend, both)).toEqual({
      finished: true,
      activeKey: freshId,
      resealed: 12,
      remaining: 0,
    });

    const after = await sealedRecords(backend);
    expect(keyIds(after)).toEqual([freshId]);
    const meta = ({ version, createdAt, updatedAt, expiresAt }: StoredRecord) => ({
      version,
      createdAt,
      updatedAt,
      expiresAt,
    });
    expect([...after].map(([name, record]) => [name, meta(record)])).toEqual(
      [...before].map(([name, record]) => [name, meta(record)]),
    );
    expect(await status(backend, fresh)).toMatchObject({
      canaryKey: freshId,
      keys: [{ id: freshId, records: 12 }],
      remaining: 0,
    });
    await expectAllOpen(backend, fresh);
    const left = backend.open(backend.orgId, { encryptionKey: old });
    expect((await left.health({ timeoutMs: 20_000 })).encryption).toBe("mismatch");
    await expectCode(
      left.forOrg(`${backend.orgId}-a`).channelConfigs.getCredentials("sentry"),
      "KEY_MISMATCH",
    );
  });

  test("leaves one entry in the trail of each organisation that it touched", async () => {
    const { old, both, oldId, freshId } = twoKeys();
    await fill(backend, old);
    await rotate(backend, both);
    expect(await rotate(backend, both)).toMatchObject({ finished: true, resealed: 0 });
    const storage = backend.open(backend.orgId, { encryptionKey: both });
    for (const orgId of idsOf(backend)) {
      const { audit } = storage.forOrg(orgId);
      const { items } = await audit.list({ action: "secrets.rotated" });
      expect(items).toEqual([
        expect.objectContaining({
          actor: { type: "user", id: "operator" },
          outcome: "success",
          details: { from: [oldId], to: freshId, records: 4 },
        }),
      ]);
      expect(await audit.verify()).toMatchObject({ firstFailure: null });
    }
    expect((await storage.audit.list({ action: "secrets.rotated" })).items).toEqual([]);
  });

  test("goes on where a limit or an interruption ended it", async () => {
    const { old, both, fresh, freshId } = twoKeys();
    await fill(backend, old);
    const first = await administered(backend, both, ({ secrets }) => secrets.rotate({ limit: 5 }));
    expect(first).toEqual({ finished: false, activeKey: freshId, resealed: 5, remaining: 7 });
    await expectAllOpen(backend, both);
    const controller = new AbortController();
    const progress: unknown[] = [];
    await administered(backend, both, ({ secrets }) =>
      expectCode(
        secrets.rotate({
          signal: controller.signal,
          onProgress: (step) => {
            progress.push(step);
            controller.abort();
          },
        }),
        "ABORTED",
      ),
    );
    expect(progress).toEqual([{ done: 3, total: 7 }]);
    expect(await rotate(backend, both)).toMatchObject({ finished: true, resealed: 4 });
    await expectAllOpen(backend, fresh);
  });

  test("loses nothing that others store meanwhile", async () => {
    const { old, both, fresh, freshId } = twoKeys();
    await fill(backend, old);
    await administered(backend, both, async ({ secrets }, storage) => {
      let running = true;
      const written = new Map<string, number>();
      const writers = idsOf(backend).map(async (orgId) => {
        for (let n = 0; running || n < 3; n += 1) {
          const credentials = { token: testSecret(String(n)) };
          await storage.forOrg(orgId).channelConfigs.set("railway", { credentials });
          await storage.forOrg(orgId).channelConfigs.set("vercel", { credentials });
          written.set(orgId, n);
        }
      });
      const report = await secrets.rotate();
      running = false;
      await Promise.all(writers);
      expect(report).toMatchObject({ finished: true, remaining: 0 });
      for (const orgId of idsOf(backend)) {
        for (const name of ["vercel", "railway"]) {
          const stored = await storage.forOrg(orgId).channelConfigs.getCredentials(name);
          expect(stored?.["token"]?.reveal()).toBe(testSecret(String(written.get(orgId))));
        }
      }
    });
    expect(keyIds(await sealedRecords(backend))).toEqual([freshId]);
    expect((await status(backend, fresh)).remaining).toBe(0);
  });

  test("without the earlier key in the list changes nothing", async () => {
    const { old, fresh, oldId } = twoKeys();
    await fill(backend, old);
    const before = await sealedRecords(backend);
    await expectCode(rotate(backend, fresh), "KEY_MISMATCH");
    expect(await sealedRecords(backend)).toEqual(before);
    expect(await status(backend, fresh)).toMatchObject({
      canaryKey: oldId,
      keys: [{ records: 0 }, { id: oldId, available: false, records: 12 }],
      remaining: 12,
    });
    // Of three keys the list lacks the oldest, whose secrets came by a restore.
    const foreign = testKey();
    const [orgId = ""] = idsOf(backend);
    const ref = { table: "channel_configs", key: ["restored"] } as const;
    const credentials = KeyRing.parse(foreign).seal("{}", secretPlace(orgId, ref));
    await plant(backend, orgId, ref, { settings: "{}", credential_names: "[]", credentials });
    const { both } = { both: `${fresh},${old}` };
    const error = await expectCode(rotate(backend, both), "KEY_MISMATCH");
    expect(error.message).toContain(KeyRing.parse(foreign).activeKeyId);
    expect(keyIds(await sealedRecords(backend))).toContain(oldId);
    expect(keyIds(await sealedRecords(backend))).not.toContain(KeyRing.parse(fresh).activeKeyId);
    expect(await rotate(backend, `${both},${foreign}`)).toMatchObject({ resealed: 13 });
  });

  test("does all others when one record doesn't open, and says which it is", async () => {
    const { old, both, fresh, oldId } = twoKeys();
    await fill(backend, old);
    const [orgId = ""] = idsOf(backend);
    const records = await sealedRecords(backend);
    const columns = records.get(`${orgId} channel_configs sentry`)?.columns ?? {};
    const ref = { table: "channel_configs", key: ["moved"] } as const;
    await plant(backend, orgId, ref, { ...columns });
    const error = await expectCode(rotate(backend, both), "DECRYPTION_FAILED");
    expect(error.message).toContain(`channel_configs of organisation "${orgId}": moved`);
    expect(await status(backend, both)).toMatchObject({ canaryKey: oldId, remaining: 1 });
    await expectAllOpen(backend, both);
    await administered(backend, both, (_, storage) =>
      storage.forOrg(orgId).channelConfigs.delete("moved"),
    );
    expect(await rotate(backend, both)).toMatchObject({ finished: true, resealed: 0 });
    await expectAllOpen(backend, fresh);
  });

  test("makes no key where they are configured, and says where to put a new one", async () => {
    const { old, both, oldId } = twoKeys();
    await fill(backend, old);
    const before = await sealedRecords(backend);
    for (const keys of [old, both]) {
      const error = await administered(backend, keys, ({ secrets }) =>
        expectCode(secrets.rotate({ newKey: true }), "VALIDATION"),
      );
      expect(error.message).toContain("CODESPAR_ENCRYPTION_KEY=NEW,OLD");
    }
    expect(await sealedRecords(backend)).toEqual(before);
    expect(await status(backend, old)).toMatchObject({ canaryKey: oldId, remaining: 0 });
    if (backend.kind === "postgres") {
      const { encryptionKey: _, ...withoutKey } = backend.options();
      await using storage = createStorage(backend.orgId, withoutKey);
      await expectCode(deploymentOf(storage).secrets.rotate({ newKey: true }), "VALIDATION");
    }
  });

  test("of nothing is through at once, and leaves no key where there was none", async () => {
    const { both, freshId } = twoKeys();
    const none = { finished: true, resealed: 0, remaining: 0 };
    expect(await rotate(backend, both)).toEqual({ ...none, activeKey: freshId });
    if (backend.kind === "postgres") {
      const { encryptionKey: _, ...withoutKey } = backend.options();
      await onPort({ ...backend, options: () => withoutKey }, async (port) => {
        expect((await port.keyState()).ring).toBeNull();
        await expectCode(port.keyRing(), "ENCRYPTION_KEY_MISSING");
      });
    }
  });

  test("refuses options that aren't its own, and what isn't a handle", async () => {
    await administered(backend, twoKeys().both, async ({ secrets }, storage) => {
      for (const options of [{ limit: 0 }, { limit: 1.5 }, { limits: 1 }, { newKey: 1 }, 5]) {
        await expectCode(secrets.rotate(options as never), "VALIDATION");
      }
      for (const none of [{}, { orgId: storage.orgId }, null, "storage"]) {
        expectThrown(() => deploymentOf(none as never), "VALIDATION");
      }
      await storage.close();
      await expectCode(secrets.rotate(), "UNSUPPORTED");
      await expectCode(secrets.status(), "UNSUPPORTED");
    });
  });
});

import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { testKey, testSecret } from "../../../../tooling/secrets.ts";
import { createStorage, deploymentOf, KeyRing, type Storage } from "../../src/index.ts";
import { deferred } from "../../src/storage/deferred.ts";
import { rotateSecrets } from "../../src/storage/deployment/rotate-secrets.ts";
import { FileBackend } from "../../src/storage/file/file-backend.ts";
import { secretPlace } from "../../src/storage/stored-keys.ts";
import { sampled } from "../support/sampled.ts";
import { type CrashState, SimulatedDisk } from "./crash-states.ts";
import { MemoryFileSystem } from "./memory-fs.ts";
import { type Change, watchedFileSystem } from "./recording-fs.ts";
import { commitOf, now, temporaryFolder } from "./support.ts";

const ref = { table: "channel_configs", key: ["sentry"] } as const;
const actor = { type: "user", id: "operator" } as const;

const keyFile = async (directory: string): Promise<string> =>
  (await readFile(join(directory, "keys", "encryption.key"), "utf8")).trim();

/** The files beside the data, with their content. */
async function keysIn(directory: string): Promise<[name: string, content: string][]> {
  const names = (await readdir(join(directory, "keys"))).sort();
  return Promise.all(
    names.map(async (name) => [name, await readFile(join(directory, "keys", name), "utf8")]),
  );
}

function open(directory: string): Storage {
  const storage = createStorage("acme", { directory });
  onTestFinished(() => storage.close());
  return storage;
}

const tokenOf = async ({ channelConfigs }: Storage, name: string) =>
  (await channelConfigs.getCredentials(name))?.["token"]?.reveal();

describe("the key that a folder keeps", () => {
  it("is replaced by a new one, and kept beside it for backups", async () => {
    const directory = await temporaryFolder();
    const storage = open(directory);
    await storage.channelConfigs.set("sentry", { credentials: { token: testSecret() } });
    const before = await keyFile(directory);
    const { secrets } = deploymentOf(storage);
    expect(await secrets.status()).toMatchObject({ source: "folder", remaining: 0 });
    const report = await secrets.rotate({ newKey: true });
    const after = await keyFile(directory);
    expect(report).toEqual({
      finished: true,
      activeKey: KeyRing.parse(after).activeKeyId,
      resealed: 1,
      remaining: 0,
    });
    expect(after).not.toContain(before);
    expect(KeyRing.parse(after).keyIds).toHaveLength(1);
    const retired = join(directory, "keys", `retired-${KeyRing.parse(before).activeKeyId}.key`);
    expect((await readFile(retired, "utf8")).trim()).toBe(before);
    expect((await stat(retired)).mode & 0o777).toBe(0o600);
    expect(await tokenOf(storage, "sentry")).toBe(testSecret());
    // And once more, in the same process.
    await secrets.rotate({ newKey: true });
    expect(await keyFile(directory)).not.toBe(after);
    await storage.close();
    expect(await tokenOf(open(directory), "sentry")).toBe(testSecret());
  });

  it("stays, with everything else, where a rotation isn't asked for another and none is open", async () => {
    const directory = await temporaryFolder();
    const storage = open(directory);
    await storage.channelConfigs.set("sentry", { credentials: { token: testSecret() } });
    const { secrets } = deploymentOf(storage);
    await secrets.rotate({ newKey: true });
    const before = await keysIn(directory);
    const activeKey = KeyRing.parse(await keyFile(directory)).activeKeyId;
    const nothing = { finished: true, activeKey, resealed: 0, remaining: 0 };
    expect(await secrets.rotate()).toEqual(nothing);
    expect(await secrets.rotate({ newKey: false })).toEqual(nothing);
    expect(await keysIn(directory)).toEqual(before);
    expect((await storage.audit.list({ action: "secrets.rotated" })).items).toHaveLength(1);
  });

  it("isn't made by a rotation where no secret was ever stored", async () => {
    const directory = await temporaryFolder();
    const storage = open(directory);
    await storage.memory.set("agent", "key", 1);
    const nothing = { finished: true, activeKey: null, resealed: 0, remaining: 0 };
    for (const newKey of [false, true])
      expect(await deploymentOf(storage).secrets.rotate({ newKey })).toEqual(nothing);
    await expect(keyFile(directory)).rejects.toThrow("ENOENT");
  });

  it("gives way to configured ones, listed after the new one", async () => {
    const directory = await temporaryFolder();
    {
      await using first = createStorage("acme", { directory });
      await first.channelConfigs.set("sentry", { credentials: { token: testSecret() } });
    }
    const [old, fresh] = [await keyFile(directory), testKey()];
    {
      await using both = createStorage("acme", { directory, encryptionKey: `${fresh},${old}` });
      expect(await deploymentOf(both).secrets.rotate()).toMatchObject({ finished: true });
    }
    // It is the operator's to remove: backups made until now need it.
    expect(await keyFile(directory)).toBe(old);
    await using alone = createStorage("acme", { directory, encryptionKey: fresh });
    expect(await tokenOf(alone, "sentry")).toBe(testSecret());
    await alone.close();
    await using left = createStorage("acme", { directory });
    await expect(tokenOf(left, "sentry")).rejects.toMatchObject({ code: "KEY_MISMATCH" });
  });

  it("seals nothing that is stored after it is gone", async () => {
    const directory = await temporaryFolder();
    const storage = open(directory);
    await storage.channelConfigs.set("sentry", { credentials: { token: testSecret() } });
    let attempts = 0;
    await storage.transaction(async (tx) => {
      attempts += 1;
      await tx.channelConfigs.set("vercel", { credentials: { token: testSecret("v") } });
      // Sealed with the old key, and about to be stored when there is only the new one.
      if (attempts === 1) await deploymentOf(storage).secrets.rotate({ newKey: true });
    });
    expect(attempts).toBe(2);
    expect((await deploymentOf(storage).secrets.status()).remaining).toBe(0);
    await storage.close();
    expect(await tokenOf(open(directory), "vercel")).toBe(testSecret("v"));
  });

  it("is waited for by a rotation where something sealed with it is on its way to the disk", async () => {
    const directory = await temporaryFolder();
    const slow = deferred<undefined>();
    let holding = false;
    const fs = watchedFileSystem(async (name, path) => {
      if (holding && name === "sync" && path.includes("journal")) await slow.promise;
    });
    const backend = new FileBackend({ directory, readOnly: false, clock: Date.now, fs });
    onTestFinished(() => backend.close());
    const ring = await backend.keyRing();
    const credentials = ring.seal("{}", secretPlace("acme", ref));
    const columns = { settings: "{}", credential_names: "[]", credentials };
    const put = { kind: "put", ...ref, columns, version: "v", expiresAt: null } as const;
    await backend.auditHead("acme", now());
    holding = true;
    const storing = backend.commit("acme", commitOf({ writes: [put] }), now());
    const rotating = rotateSecrets(backend, actor, now(), { newKey: true });
    const first = await Promise.race([rotating, new Promise((resolve) => setTimeout(resolve, 50))]);
    expect(first).toBeUndefined();
    holding = false;
    slow.resolve(undefined);
    await storing;
    expect(await rotating).toMatchObject({ finished: true, resealed: 1, remaining: 0 });
    expect((await backend.sealedCounts()).map(({ keyId }) => keyId)).toEqual([
      KeyRing.parse(await keyFile(directory)).activeKeyId,
    ]);
  });

  it.each([false, true])(
    "is the first of a list that a rotation left, with no other before it (newKey %s)",
    async (newKey) => {
      const directory = await temporaryFolder();
      const storage = open(directory);
      await storage.channelConfigs.set("sentry", { credentials: { token: testSecret() } });
      await storage.close();
      // As a rotation leaves it that died right after it began.
      const list = `${testKey()},${await keyFile(directory)}`;
      await writeFile(join(directory, "keys", "encryption.key"), `${list}\n`);
      const again = open(directory);
      const { secrets } = deploymentOf(again);
      expect(await secrets.status()).toMatchObject({ remaining: 1, keys: [{}, {}] });
      expect(await secrets.rotate({ newKey })).toMatchObject({ finished: true, resealed: 1 });
      expect(list.startsWith(`${await keyFile(directory)},`)).toBe(true);
    },
  );
});

describe("a power failure while the key of a folder is replaced", () => {
  it("at any moment leaves all secrets readable", async () => {
    const directory = "/store";
    const changes: Change[] = [];
    const fs = watchedFileSystem(
      () => undefined,
      (change) => changes.push(change),
      new MemoryFileSystem(),
    );
    const backend = new FileBackend({ directory, readOnly: false, clock: Date.now, fs });
    const ring = await backend.keyRing();
    const columns = { settings: "{}", credential_names: "[]" };
    const credentials = ring.seal('{"token":"t"}', secretPlace("acme", ref));
    const put = { kind: "put", ...ref, columns: { ...columns, credentials } } as const;
    const write = { ...put, version: "v", expiresAt: null };
    await backend.commit("acme", commitOf({ writes: [write] }), now());
    const stored = changes.length;
    await rotateSecrets(backend, actor, now(), { newKey: true });
    await backend.close();

    const disk = new SimulatedDisk("/");
    const sample = sampled(61);
    let states = 0;
    for (const [i, change] of changes.entries()) {
      if (change.path.includes("codespar.lock")) continue;
      disk.apply(change);
      if (i < stored) continue;
      for (const state of disk.states(sample)) {
        states += 1;
        await check(directory, state).catch((error: unknown) => {
          const label = `after ${change.kind} ${change.path.slice(directory.length)}: ${state.label}`;
          throw new Error(label, { cause: error });
        });
      }
    }
    expect(states).toBeGreaterThan(80);
  });
});

/** What is found opens, and the rotation gets through. */
async function check(directory: string, state: CrashState): Promise<void> {
  const fs = new MemoryFileSystem(state.files, state.folders);
  const options = { directory, readOnly: false, clock: Date.now, fs, lockWaitMs: 0 };
  for (const rotates of [true, false]) {
    const backend = new FileBackend(options);
    const [record] = await backend.read("acme", [ref], now());
    const envelope = String(record?.columns["credentials"]);
    const opened = (await backend.keyRing()).open(envelope, secretPlace("acme", ref));
    expect(opened).toBe('{"token":"t"}');
    if (rotates) await rotateSecrets(backend, actor, now());
    await backend.close();
  }
}

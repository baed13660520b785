import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { removeScratch, scratchFolder, testKey, testSecret } from "../../../../tooling/secrets.ts";
import {
  createStorage,
  deploymentOf,
  KeyRing,
  type Storage,
  type StorageOptions,
} from "../../src/index.ts";
import { openBackend } from "../../src/storage/create-storage.ts";
import { describeEachBackend, type TestBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

const archivedKey = testKey();

/** An organisation's archive from a deployment elsewhere, sealed with {@link archivedKey}. */
async function archiveFromElsewhere(
  orgId: string,
  fill: (storage: Storage) => Promise<unknown>,
): Promise<string> {
  const directory = await scratchFolder("archived");
  try {
    await using storage = createStorage(orgId, { directory, encryptionKey: archivedKey });
    await fill(storage);
    return await text(await deploymentOf(storage).organisations.export(orgId));
  } finally {
    await removeScratch(directory);
  }
}

/** What the target is reached with, with this key or none. */
function withKey(backend: TestBackend, key: string | undefined): StorageOptions {
  const { encryptionKey: _, ...options } = backend.options();
  return key === undefined ? options : { ...options, encryptionKey: key };
}

async function importAs(backend: TestBackend, key: string | undefined, archive: string) {
  await using storage = createStorage(backend.orgId, withKey(backend, key));
  const read = async function* () {
    yield archive;
  };
  await deploymentOf(storage).organisations.import(backend.orgId, read);
  const credentials = await storage.channelConfigs.getCredentials("sentry");
  return credentials?.["token"]?.reveal();
}

/** All that an import may leave: what the target holds, and by which keys it goes. */
async function stateOf(backend: TestBackend) {
  const port = openBackend(withKey(backend, undefined));
  try {
    const organisations = await port.organisations({ now: backend.clock.nowMs });
    const { ring, canary, source } = await port.keyState();
    return { organisations, key: ring?.keyIds ?? null, canary, source };
  } finally {
    await port.close();
  }
}

const empty = { organisations: [], key: null, canary: null, source: null };

describeEachBackend(
  "an archive with sealed secrets",
  { targetPerTest: true, otherProcesses: true },
  (backend) => {
    const archive = () =>
      archiveFromElsewhere(backend.orgId, (storage) =>
        storage.channelConfigs.set("sentry", { credentials: { token: testSecret() } }),
      );

    test("is refused where there is no key, and leaves none behind", async () => {
      const sealed = await archive();
      const { message } = await expectCode(
        importAs(backend, undefined, sealed),
        "ENCRYPTION_KEY_MISSING",
      );
      expect(message).toContain(KeyRing.parse(archivedKey).activeKeyId);
      expect(await stateOf(backend)).toEqual(empty);
      expect(await importAs(backend, archivedKey, sealed)).toBe(testSecret());
    });

    test("is refused with another key, which is not in the way of the right one afterwards", async () => {
      const sealed = await archive();
      const other = testKey();
      const { message } = await expectCode(importAs(backend, other, sealed), "KEY_MISMATCH");
      expect(message).toContain(KeyRing.parse(archivedKey).activeKeyId);
      expect(message).not.toContain(KeyRing.parse(other).activeKeyId);
      expect(await stateOf(backend)).toEqual(empty);
      expect(await importAs(backend, archivedKey, sealed)).toBe(testSecret());
    });

    test("is refused with its own key where others' secrets go by another", async () => {
      const sealed = await archive();
      const present = testKey();
      const there = createStorage("there", withKey(backend, present));
      await there.channelConfigs.set("sentry", { credentials: { token: testSecret("theirs") } });
      await there.close();
      const before = await stateOf(backend);
      await expectCode(importAs(backend, archivedKey, sealed), "KEY_MISMATCH");
      await expectCode(importAs(backend, present, sealed), "KEY_MISMATCH");
      expect(await stateOf(backend)).toEqual(before);
      expect(await importAs(backend, `${present},${archivedKey}`, sealed)).toBe(testSecret());
    });

    test("needs no key when it holds none", async () => {
      const plain = await archiveFromElsewhere(backend.orgId, (storage) =>
        storage.memory.set("coder", "key", 1, { record: true }),
      );
      expect(await importAs(backend, undefined, plain)).toBeUndefined();
      expect(await stateOf(backend)).toEqual({ ...empty, organisations: [backend.orgId] });
    });
  },
);

import { expect, test } from "vitest";
import { testKey, testSecret } from "../../../../tooling/secrets.ts";
import { deploymentOf, KeyRing } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";

describeEachBackend(
  "secrets whose key isn't set",
  { targetPerTest: true, otherProcesses: true },
  (backend) => {
    const [present, earlier] = [testKey(), testKey()];
    const { activeKeyId: earlierId } = KeyRing.parse(earlier);

    /** What health says of them to a process with these keys. */
    async function saidWith(encryptionKey: string) {
      const storage = backend.open(undefined, { encryptionKey });
      const { ok, encryption, warnings } = await storage.health();
      await storage.close();
      return { ok, encryption, said: warnings.filter((text) => text.includes("can't be opened")) };
    }

    async function store(encryptionKey: string, integration: string) {
      const storage = backend.open(undefined, { encryptionKey });
      await storage.channelConfigs.set(integration, { credentials: { token: testSecret() } });
      await storage.close();
    }

    test("are told of by health, which is well all the same", async () => {
      await store(present, "sentry");
      for (const integration of ["vercel", "railway"])
        await store(`${earlier},${present}`, integration);
      const well = { ok: true, encryption: "ready" };
      expect(await saidWith(`${present},${earlier}`)).toEqual({ ...well, said: [] });
      expect(await saidWith(present)).toEqual({
        ...well,
        said: [
          expect.stringContaining(
            `the secrets of 2 records can't be opened: the key(s) ${earlierId} `,
          ),
        ],
      });
    });

    test("are counted anew every five minutes, and not with each question", async () => {
      await store(present, "sentry");
      await store(`${earlier},${present}`, "vercel");
      const storage = backend.open(undefined, { encryptionKey: present });
      const warned = async () => (await storage.health()).warnings.join().includes(earlierId);
      expect(await warned()).toBe(true);
      await storage.channelConfigs.set("vercel", { credentials: { token: testSecret() } });
      expect((await deploymentOf(storage).secrets.status()).remaining).toBe(0);
      backend.clock.advance(299_999);
      expect(await warned()).toBe(true);
      backend.clock.advance(1);
      expect(await warned()).toBe(false);
    });
  },
);

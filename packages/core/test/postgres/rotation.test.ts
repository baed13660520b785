import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { TestDatabase } from "../../../../tooling/postgres.ts";
import { testKey, testSecret } from "../../../../tooling/secrets.ts";
import { createStorage, deploymentOf, KeyRing } from "../../src/index.ts";
import { expectCode } from "../support/expect-code.ts";
import { backendOn, migratedDatabase } from "./support.ts";

const [old, fresh] = [testKey(), testKey()];
const credentials = { token: testSecret() };

let database: TestDatabase;

beforeEach(async () => {
  database = await migratedDatabase();
  await using storage = createStorage("acme", { databaseUrl: database.url, encryptionKey: old });
  await storage.channelConfigs.set("sentry", { credentials });
});

afterEach(() => database.drop());

async function rotate(encryptionKey: string) {
  await using storage = createStorage("acme", { databaseUrl: database.url, encryptionKey });
  return await deploymentOf(storage).secrets.rotate();
}

describe("a process that a rotation left behind", () => {
  it("can't seal with the earlier key any more, and says so", async () => {
    const left = backendOn(database.url, { encryptionKey: old });
    expect((await left.keyRing("seal")).activeKeyId).toBe(KeyRing.parse(old).activeKeyId);
    expect(await rotate(`${fresh},${old}`)).toMatchObject({ finished: true, resealed: 1 });
    await expectCode(left.keyRing("seal"), "KEY_MISMATCH");
    expect(await left.health(20_000)).toMatchObject({ encryption: "mismatch" });
    await left.close();
    // Whoever has both goes on, and so does whoever has only the new one.
    for (const encryptionKey of [`${old},${fresh}`, `${fresh},${old}`, fresh]) {
      const process = backendOn(database.url, { encryptionKey });
      await process.keyRing("seal");
      await process.close();
    }
  });

  it("and that seals before it ends is found by it", async () => {
    // Its ring seals with the old key, and opens both.
    const left = createStorage("acme", {
      databaseUrl: database.url,
      encryptionKey: `${old},${fresh}`,
    });
    await left.channelConfigs.set("vercel", { credentials });
    await left.close();
    expect(await rotate(`${fresh},${old}`)).toMatchObject({ resealed: 2, remaining: 0 });
    await using again = createStorage("acme", {
      databaseUrl: database.url,
      encryptionKey: `${old},${fresh}`,
    });
    await again.channelConfigs.set("vercel", { credentials });
    expect((await deploymentOf(again).secrets.status()).keys).toMatchObject([
      { active: true, records: 1 },
      { active: false, records: 1 },
    ]);
    await again.close();
    expect(await rotate(`${fresh},${old}`)).toMatchObject({ resealed: 1, remaining: 0 });
  });
});

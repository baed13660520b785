import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createStorage, deploymentOrgId, KeyRing, migrate, Secret } from "@codespar/core";
import { describe, expect, it, onTestFinished } from "vitest";
import { createTestDatabase } from "../../../../tooling/postgres.ts";
import { removeScratch, scratchFolder, testKey, testSecret } from "../../../../tooling/secrets.ts";
import { bearer, makeKey } from "../support/callers.ts";
import { bodyOf, expectProblem } from "../support/expect.ts";
import { serve } from "../support/server.ts";

const adminKey = testKey();
const rotateCall = (body: unknown = {}) => ({
  method: "POST",
  path: "/api/secrets/rotate",
  headers: bearer(adminKey),
  body,
});
const statusCall = { path: "/api/secrets/status", headers: bearer(adminKey) };

async function temporaryFolder(): Promise<string> {
  const directory = await scratchFolder("secrets");
  onTestFinished(() => removeScratch(directory));
  return directory;
}

describe("/api/secrets", () => {
  it("rotates the key beside the files of a running server", async () => {
    const directory = await temporaryFolder();
    const storage = createStorage("acme", { directory });
    const server = await serve(storage, { adminKey: new Secret(adminKey) });
    onTestFinished(async () => {
      await server.close();
      await storage.close();
    });
    for (const name of ["sentry", "vercel", "railway"])
      await storage.channelConfigs.set(name, { credentials: { token: testSecret(name) } });
    const key = await readFile(join(directory, "keys", "encryption.key"), "utf8");
    const untouched = bodyOf(await server.call(rotateCall()));
    expect(untouched).toMatchObject({ finished: true, resealed: 0, remaining: 0 });
    expect(await readFile(join(directory, "keys", "encryption.key"), "utf8")).toBe(key);
    const first = await server.call(rotateCall({ newKey: true, limit: 2 }));
    expect(bodyOf(first)).toMatchObject({ finished: false, resealed: 2, remaining: 1 });
    expect(bodyOf(await server.call(statusCall))).toMatchObject({
      source: "folder",
      records: 3,
      remaining: 1,
      keys: [
        { active: true, records: 2 },
        { active: false, records: 1 },
      ],
    });
    // Sent once more, it makes no other key.
    const again = await server.call(rotateCall({ newKey: true, limit: 1 }));
    expect(bodyOf(again)).toMatchObject({ finished: true, resealed: 1, remaining: 0 });
    const second = await server.call(rotateCall());
    expect(bodyOf(second)).toMatchObject({ finished: true, resealed: 0, remaining: 0 });
    expect(bodyOf(second)["activeKey"]).toBe(bodyOf(first)["activeKey"]);
    const credentials = await storage.channelConfigs.getCredentials("vercel");
    expect(credentials?.["token"]?.reveal()).toBe(testSecret("vercel"));
    expect(await readFile(join(directory, "keys", "encryption.key"), "utf8")).not.toBe(key);
    const [entry] = (await storage.audit.list({ action: "secrets.rotated" })).items;
    expect(entry?.actor).toEqual({ type: "system", id: "admin-key" });
    const own = await storage.forOrg(deploymentOrgId).audit.list();
    expect(own.items.map(({ action, target }) => `${action} ${target?.id}`)).toEqual([
      "access.granted POST /api/secrets/rotate",
      "access.granted POST /api/secrets/rotate",
      "access.granted GET /api/secrets/status",
      "access.granted POST /api/secrets/rotate",
      "access.granted POST /api/secrets/rotate",
    ]);
    for (const body of [{ limit: 0 }, { limit: 10_001 }, { limits: 1 }, { newKey: "yes" }, []])
      expectProblem(await server.call(rotateCall(body)), 400, "VALIDATION");
  });

  it("is the operator's alone", async () => {
    const storage = createStorage("acme", { directory: await temporaryFolder() });
    const server = await serve(storage, { adminKey: new Secret(adminKey) });
    onTestFinished(async () => {
      await server.close();
      await storage.close();
    });
    const { token } = await makeKey(storage, "acme");
    const erase = { method: "DELETE", path: "/api/orgs/acme?confirm=acme" };
    const reads = ["/api/orgs", "/api/orgs/acme", "/api/orgs/acme/export"].map((path) => ({
      path,
    }));
    for (const [headers, status] of [
      [bearer(token), 403],
      [bearer("nothing"), 401],
    ] as const) {
      for (const call of [statusCall, rotateCall(), erase, ...reads])
        expect((await server.call({ ...call, headers })).status).toBe(status);
    }
    expect(await storage.apiKeys.list()).toMatchObject({ items: [{}] });
  });

  it("tells of a database where servers have another key", async () => {
    const prepare = async (databaseUrl: string) => void (await migrate({ databaseUrl }));
    const database = await createTestDatabase({ template: { name: "codespar migrated", prepare } });
    onTestFinished(() => database.drop());
    const [old, fresh] = [testKey(), testKey()];
    {
      await using first = createStorage("acme", { databaseUrl: database.url, encryptionKey: old });
      await first.channelConfigs.set("sentry", { credentials: { token: testSecret() } });
    }
    const storage = createStorage("acme", { databaseUrl: database.url, encryptionKey: fresh });
    const server = await serve(storage, { adminKey: new Secret(adminKey) });
    onTestFinished(async () => {
      await server.close();
      await storage.close();
    });
    const { keyIds } = KeyRing.parse(`${fresh},${old}`);
    expect(bodyOf(await server.call(statusCall))).toMatchObject({
      activeKey: keyIds[0],
      canaryKey: keyIds[1],
      keys: [{ id: keyIds[0] }, { id: keyIds[1], available: false, records: 1 }],
      remaining: 1,
    });
    expectProblem(await server.call(rotateCall()), 503, "KEY_MISMATCH");
    const refused = await server.call(rotateCall({ newKey: true }));
    expectProblem(refused, 400, "VALIDATION");
    expect(bodyOf(refused)["detail"]).toContain("CODESPAR_ENCRYPTION_KEY=NEW,OLD");
  });
});

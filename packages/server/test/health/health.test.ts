import { createStorage, KeyRing, migrate, type Storage } from "@codespar/core";
import { buildServer } from "@codespar/server";
import { expect, it } from "vitest";
import { createTestDatabase } from "../../../../tooling/postgres.ts";
import { removeScratch, scratchFolder, testKey, testSecret } from "../../../../tooling/secrets.ts";
import { backends, migratedTemplate } from "../support/backends.ts";
import { bodyOf, expectProblem, healthOnce } from "../support/expect.ts";
import { send } from "../support/http.ts";
import { startProxy } from "../support/proxy.ts";
import { serve, serveOn } from "../support/server.ts";

it.each(backends)("tells how $name are", async (backend) => {
  const server = await serveOn(backend);
  await server.storage.memory.has("a", "k");
  const { status, json } = await healthOnce(server.origin, { status: "ok" });
  expect(json).toEqual({
    status: "ok",
    version: "0.1.0",
    uptimeSeconds: expect.any(Number),
    storage: {
      backend: backend.name === "files" ? "file" : "postgres",
      latencyMs: expect.any(Number),
      durable: true,
      isolation: backend.name === "files" ? "files" : "roles",
      migrations: { applied: expect.any(Number), pending: 0 },
      encryption: "ready",
      warnings: expect.any(Array),
    },
  });
  expect(status).toBe(200);
  expect(await server.call({ path: "/readyz" })).toMatchObject({
    status: 200,
    json: { status: "ok" },
  });
  expect((await server.call({ path: "/livez" })).json).toEqual({ status: "ok" });
  await server.close();
});

it("warns of secrets whose key isn't set, and is ready", async () => {
  const directory = await scratchFolder("server");
  const [present, earlier] = [testKey(), testKey()];
  for (const [name, encryptionKey] of [
    ["sentry", present],
    ["vercel", `${earlier},${present}`],
  ] as const) {
    await using storage = createStorage(undefined, { directory, encryptionKey });
    await storage.channelConfigs.set(name, { credentials: { token: testSecret() } });
  }
  const server = await serve(createStorage(undefined, { directory, encryptionKey: present }));
  const { storage } = bodyOf(await server.call({ path: "/health" }));
  const keyId = KeyRing.parse(earlier).activeKeyId;
  expect(storage).toMatchObject({
    encryption: "ready",
    warnings: [expect.stringContaining(`1 records can't be opened: the key(s) ${keyId}`)],
  });
  expect((await server.call({ path: "/readyz" })).status).toBe(200);
  await server.close();
  await server.storage.close();
  await removeScratch(directory);
});

it("takes files for lost where the platform discards them", async () => {
  const [files] = backends;
  if (files === undefined) throw new Error("no backend");
  const server = await serveOn(files, { durabilityWarning: "Mount a volume." });
  const { storage } = bodyOf(await server.call({ path: "/health" }));
  expect(storage).toMatchObject({ durable: false, warnings: ["Mount a volume."] });
  await server.close();
});

it("names the command while migrations are pending, and is well after them without a restart", async () => {
  await using database = await createTestDatabase();
  await using storage = createStorage(undefined, { databaseUrl: database.url });
  const server = await serve(storage);
  const pending = await healthOnce(server.origin, {
    status: "unavailable",
    code: "SCHEMA_PENDING",
  });
  expect(pending.status).toBe(503);
  expect(bodyOf(pending)["reason"]).toContain("codespar migrate");
  expect((await server.call({ path: "/readyz" })).status).toBe(503);
  expect((await server.call({ path: "/livez" })).status).toBe(200);
  expectProblem(await server.call({ path: "/api/agents/a/memory/k" }), 503, "SCHEMA_PENDING");
  await migrate({ databaseUrl: database.url });
  await healthOnce(server.origin, { status: "ok", storage: { migrations: { pending: 0 } } });
  expect((await server.call({ path: "/api/agents/a/memory/k" })).status).toBe(404);
  await server.close();
});

it("answers within a second from a database that never answers", async () => {
  await using proxy = await startProxy(new URL("tcp://127.0.0.1:1"));
  proxy.fallSilent();
  const databaseUrl = `postgres://user:hunter2@127.0.0.1:${proxy.port}/db`;
  await using storage = createStorage(undefined, { databaseUrl });
  const server = await serve(storage);
  const { status, json, text } = await server.call({ path: "/health" });
  expect([status, json]).toEqual([
    503,
    expect.objectContaining({
      status: "unavailable",
      code: "UNAVAILABLE",
      reason: expect.stringContaining("within 800 ms"),
    }),
  ]);
  expect(text).not.toContain("hunter2");
  await server.close();
});

it("answers when the network breaks, and the page at / too", async () => {
  await using database = await createTestDatabase({ template: migratedTemplate });
  const url = new URL(database.url);
  await using proxy = await startProxy(new URL(database.url));
  url.port = String(proxy.port);
  url.hostname = "127.0.0.1";
  await using storage = createStorage(undefined, {
    databaseUrl: url.href,
    statementTimeoutMs: 500,
  });
  const server = await serve(storage);
  await storage.memory.has("a", "k");
  await healthOnce(server.origin, { status: "ok" });
  proxy.fallSilent();
  const { status, json } = await server.call({ path: "/health" });
  expect([status, json]).toEqual([503, expect.objectContaining({ status: "unavailable" })]);
  const page = await server.call({ path: "/" });
  expect(page.status).toBe(503);
  expect(page.text).toContain("unavailable");
  const answer = await server.call({ path: "/api/agents/a/memory/k" });
  expectProblem(answer, 503, "UNAVAILABLE");
  expect(answer.headers["retry-after"]).toBe("1");
  await server.close();
});

it("asks the storage once for many who ask at once", async () => {
  const [files] = backends;
  const { storage, remove } = (await files?.open()) ?? {};
  if (storage === undefined || remove === undefined) throw new Error("no backend");
  let asked = 0;
  let allCame = () => {};
  const came = new Promise<void>((resolve) => {
    allCame = resolve;
  });
  const counting: Storage = {
    ...storage,
    health: async (options) => {
      asked += 1;
      await came;
      return storage.health(options);
    },
  };
  const app = await buildServer({ storage: counting });
  const origin = await app.listen({ host: "127.0.0.1", port: 0 });
  let requests = 0;
  app.server.on("request", () => {
    requests += 1;
    if (requests === 20) allCame();
  });
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => send(origin, { path: "/health" })),
  );
  expect(answers.every(({ status }) => status === 200)).toBe(true);
  expect(asked).toBeLessThan(3);
  await app.close();
  await remove();
});

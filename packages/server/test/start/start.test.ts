import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { createStorage, migrate, moveStorage, StorageError, serverHolding } from "@codespar/core";
import {
  type RunningServer,
  ServerStartError,
  type StartOptions,
  startServer,
} from "@codespar/server";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createTestDatabase, freePort } from "../../../../tooling/postgres.ts";
import { removeScratch, scratchFolder, testKey, testSecret } from "../../../../tooling/secrets.ts";
import { migratedTemplate } from "../support/backends.ts";
import { healthOnce } from "../support/expect.ts";
import { send } from "../support/http.ts";
import { startProxy } from "../support/proxy.ts";

let folder = "";
let said: string[] = [];
const running: RunningServer[] = [];

beforeEach(async () => {
  folder = await scratchFolder("start");
  said = [];
  vi.stubEnv("CODESPAR_STORAGE_DIR", join(folder, "files"));
  vi.stubEnv("DATABASE_URL", undefined);
});

afterEach(async () => {
  for (const server of running.splice(0)) await server.close();
  await removeScratch(folder);
});

async function start(config: StartOptions["config"] = {}): Promise<RunningServer> {
  const server = await startServer({
    config: { port: 0, logLevel: "silent", ...config },
    signals: false,
    say: (line) => said.push(line),
  });
  running.push(server);
  return server;
}

it("says where data goes and where it listens, and publishes its address beside the files", async () => {
  const { url, close } = await start();
  expect(said).toEqual([
    `storage: files ${join(folder, "files")}`,
    `CodeSpar is listening on ${url}`,
    "Only this machine can use it.",
  ]);
  expect(url).toMatch(/^http:\/\/localhost:\d+$/);
  expect((await serverHolding(join(folder, "files")))?.url).toBe(url);
  await healthOnce(url, { status: "ok" });
  await close();
  expect(await serverHolding(join(folder, "files"))).toBeNull();
});

it("says how to get out of the way of a port that is taken", async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "localhost", resolve));
  const address = other.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await expect(start({ port })).rejects.toThrow(ServerStartError);
  await expect(start({ port })).rejects.toThrow(`PORT=${port + 1}`);
  other.close();
});

it.each([
  ["", "empty"],
  ["  ", "empty"],
  ["mysql://user:hunter2@host/db", "PostgreSQL"],
  ["hunter2", "postgres://"],
])("stops at the DATABASE_URL %j with the remedy", async (databaseUrl, remedy) => {
  vi.stubEnv("DATABASE_URL", databaseUrl);
  const failure = await start().catch((error: unknown) => error);
  expect(StorageError.is(failure, "VALIDATION")).toBe(true);
  expect(String(failure)).toContain(remedy);
  expect(String(failure) + said.join()).not.toContain("hunter2");
});

it("stops when its files can't be used, and lets go of the port", async () => {
  const port = await freePort();
  await writeFile(join(folder, "no-folder"), "");
  vi.stubEnv("CODESPAR_STORAGE_DIR", join(folder, "no-folder", "files"));
  const failure = await start({ port }).catch((error: unknown) => error);
  expect(StorageError.is(failure)).toBe(true);
  expect(String(failure)).toContain(join(folder, "no-folder"));
  vi.stubEnv("CODESPAR_STORAGE_DIR", join(folder, "files"));
  expect((await start({ port })).url).toBe(`http://localhost:${port}`);
});

it("stops at a damaged key beside its files, and names the file", async () => {
  const keys = join(folder, "files", "keys");
  await mkdir(keys, { recursive: true });
  await writeFile(join(keys, "encryption.key"), "AAAA");
  const failure = await start().catch((error: unknown) => error);
  expect(StorageError.is(failure, "KEY_MISMATCH")).toBe(true);
  expect(String(failure)).toContain("keys/encryption.key");
});

it("starts on a database that lacks migrations, or can't be reached, and says so in health", async () => {
  await using database = await createTestDatabase();
  vi.stubEnv("DATABASE_URL", database.url);
  const pending = await start();
  await healthOnce(pending.url, {
    code: "SCHEMA_PENDING",
  });
  vi.stubEnv("DATABASE_URL", "postgres://user:hunter2@127.0.0.1:9/db");
  const unreachable = await start();
  await healthOnce(unreachable.url, {
    code: "UNAVAILABLE",
  });
  expect(said.slice(said.indexOf("storage: postgres 127.0.0.1:9/db"))).toEqual([
    "storage: postgres 127.0.0.1:9/db",
    `CodeSpar is listening on ${unreachable.url}`,
    expect.stringMatching(
      /^warning: no data can be read or written yet\. .*127\.0\.0\.1:9.* tries again with each request; \/health tells when it works\.$/,
    ),
  ]);
  expect(said.join()).toContain("codespar migrate");
  expect(said.join()).not.toContain("hunter2");
  for (const server of running.splice(0)) await server.close();
});

it("refuses a storage that a move hasn't completed, and names the move", async () => {
  await using database = await createTestDatabase({ template: migratedTemplate });
  const files = { directory: join(folder, "files") };
  const from = { directory: join(folder, "source") };
  {
    await using storage = createStorage(undefined, from);
    await storage.memory.set("a", "k", 1);
  }
  const port = await freePort();
  for (const to of [{ databaseUrl: database.url }, files]) {
    const controller = new AbortController();
    const onProgress = () => controller.abort();
    const move = moveStorage({ from, to, signal: controller.signal, onProgress });
    await expect(move).rejects.toMatchObject({ code: "ABORTED" });
    vi.stubEnv("DATABASE_URL", "databaseUrl" in to ? to.databaseUrl : undefined);
    const failure = await start({ port }).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: "MOVE_UNFINISHED",
      message: expect.stringContaining("codespar move --from"),
    });
    await moveStorage({ from, to });
    const { url, close } = await start({ port });
    await healthOnce(url, { status: "ok" });
    await close();
  }
});

/** Asks all the time, from before the port is open until the server has gone, and returns the statuses that were answered. */
async function hammer(origin: string, gone: Promise<unknown>): Promise<number[]> {
  const statuses: number[] = [];
  let isGone = false;
  const write = { method: "PUT", path: "/api/agents/a/memory/k", body: { value: 1 } } as const;
  const asking = (async () => {
    while (!isGone) {
      for (const call of [write, { path: "/health" }, { path: "/readyz" }]) {
        const answer = await send(origin, call).catch(() => null);
        if (answer !== null) statuses.push(answer.status);
      }
      await new Promise(setImmediate);
    }
  })();
  await gone.catch(() => undefined);
  isGone = true;
  await asking;
  return statuses;
}

it.each(["files", "postgres"])(
  "with a wrong key refuses %s, and has served and written nothing",
  async (kind) => {
    await using database = await createTestDatabase({ template: migratedTemplate });
    if (kind === "postgres") vi.stubEnv("DATABASE_URL", database.url);
    const target =
      kind === "files" ? { directory: join(folder, "files") } : { databaseUrl: database.url };
    const encryptionKey = testKey();
    {
      await using storage = createStorage(undefined, { ...target, encryptionKey });
      await storage.channelConfigs.set("sentry", { credentials: { token: testSecret() } });
    }
    vi.stubEnv("CODESPAR_ENCRYPTION_KEY", testKey());
    const port = await freePort();
    const starting = start({ port });
    const statuses = await hammer(`http://localhost:${port}`, starting);
    await expect(starting).rejects.toMatchObject({ code: "KEY_MISMATCH" });
    expect(statuses.filter((status) => status !== 503)).toEqual([]);
    await using storage = createStorage(undefined, { ...target, encryptionKey });
    expect(await storage.memory.get("a", "k")).toBeNull();
    expect((await storage.audit.list()).items.map(({ action }) => action)).not.toContain(
      "audit.key_created",
    );
  },
);

it.each(["right", "wrong"])(
  "with the %s key checks a database once it gets usable, before it serves anything of it",
  async (which) => {
    await using source = await createTestDatabase();
    await using proxy = await startProxy(new URL(source.url));
    const through = new URL(source.url);
    through.hostname = "127.0.0.1";
    through.port = String(proxy.port);
    proxy.refuse(true);
    vi.stubEnv("DATABASE_URL", through.href);
    const encryptionKey = testKey();
    vi.stubEnv("CODESPAR_ENCRYPTION_KEY", which === "right" ? encryptionKey : testKey());
    const server = await start();
    await healthOnce(server.url, { status: "unavailable" });
    const write = { method: "PUT", path: "/api/agents/a/memory/k", body: { value: 1 } } as const;
    expect((await send(server.url, write)).status).toBe(503);
    expect((await send(server.url, { path: "/readyz" })).status).toBe(503);
    await migrate({ databaseUrl: source.url });
    await using storage = createStorage(undefined, { databaseUrl: source.url, encryptionKey });
    await storage.channelConfigs.set("sentry", { credentials: { token: testSecret() } });
    proxy.refuse(false);
    if (which === "right") {
      await expect.poll(async () => (await send(server.url, write)).status).toBe(201);
      await healthOnce(server.url, { status: "ok" });
      return;
    }
    const statuses = await hammer(server.url, server.ended);
    await expect(server.ended).rejects.toMatchObject({ code: "KEY_MISMATCH" });
    expect(statuses.filter((status) => status !== 503)).toEqual([]);
    expect(await storage.memory.get("a", "k")).toBeNull();
  },
);

it("migrates at the start where it is told to", async () => {
  await using database = await createTestDatabase();
  vi.stubEnv("DATABASE_URL", database.url);
  const { url, close } = await start({ autoMigrate: true });
  expect(said.some((line) => line.startsWith("migrated: "))).toBe(true);
  await healthOnce(url, { status: "ok" });
  await close();
});

it("points out records in files that a server on PostgreSQL leaves aside", async () => {
  await using database = await createTestDatabase({ template: migratedTemplate });
  vi.stubEnv("DATABASE_URL", database.url);
  const beside = await start();
  expect(said.join()).not.toContain("codespar move");
  await using storage = createStorage(undefined, { directory: join(folder, "files") });
  await storage.memory.set("a", "k", 1);
  const again = await start();
  expect(said.join()).toContain(
    `codespar move --from file:${join(folder, "files")} --to "$DATABASE_URL"`,
  );
  await beside.close();
  await again.close();
});

it("says that a platform discards files, and whom it serves there", async () => {
  const { url } = await start({ platform: "Heroku", host: "0.0.0.0" });
  expect(said.join("\n")).toContain("Heroku discards it");
  expect(said).toContain(
    "Only this machine can use it. Without API keys, requests from elsewhere get 401, except for health. To make one: codespar keys create NAME",
  );
  await healthOnce(url, {
    storage: { durable: false },
  });
});

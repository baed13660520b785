import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../../tooling/postgres.ts";
import { removeScratch, scratchFolder, testKey, testSecret } from "../../../../tooling/secrets.ts";
import {
  createStorage,
  type ErrorCode,
  errorCodes,
  moveStorage,
  type Storage,
  StorageError,
  type StorageOptions,
} from "../../src/index.ts";
import { migratedDatabase } from "../support/legs.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const built = new URL("../../dist/index.js", import.meta.url).href;

let directory: string;
let database: TestDatabase;
const open: Storage[] = [];

/** Opens a handle that is closed after the test. */
function storage(options: StorageOptions = { directory }): Storage {
  const handle = createStorage("org", options);
  open.push(handle);
  return handle;
}

async function sql(text: string): Promise<void> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(text).finally(() => client.end());
}

/** For each code a call of the public API that ends in it. A code without one doesn't compile. */
const provocations: Readonly<Record<ErrorCode, () => Promise<unknown>>> = {
  VALIDATION: () => storage().memory.set("agent", "", 1),
  LIMIT_EXCEEDED: () => storage().memory.set("agent", "k".repeat(513), 1),
  NOT_FOUND: () => storage().projects.rename("nowhere", "New name"),
  ALREADY_EXISTS: async () => {
    const { projects } = storage();
    await projects.create({ id: "p", name: "One" });
    await projects.create({ id: "p", name: "Two" });
  },
  PRECONDITION_FAILED: () => storage().memory.set("agent", "key", 1, { ifVersion: "another" }),
  CONFLICT: async () => {
    const handle = storage();
    await handle.transaction(async (tx) => {
      await handle.memory.set("agent", "key", await tx.memory.get("agent", "key"));
      await tx.memory.set("agent", "key", 1);
    });
  },
  UNAVAILABLE: () =>
    storage({ databaseUrl: "postgres://nobody@127.0.0.1:1/none" }).memory.get("agent", "key"),
  ABORTED: () => storage().memory.get("agent", "key", { signal: AbortSignal.abort() }),
  CORRUPTION: async () => {
    const before = storage();
    for (let n = 0; n < 10; n += 1) await before.memory.set("agent", "key", "y".repeat(100));
    await before.close();
    for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.parentPath.includes("orgs")) continue;
      const path = join(entry.parentPath, entry.name);
      const bytes = await readFile(path);
      const at = bytes.indexOf("yyyy");
      if (at >= 0) await writeFile(path, bytes.fill("z", at, at + 1));
    }
    await storage().memory.get("agent", "key");
  },
  SCHEMA_PENDING: async () => {
    await using empty = await createTestDatabase();
    const handle = storage({ databaseUrl: empty.url });
    await handle.memory.get("agent", "key").finally(() => handle.close());
  },
  SCHEMA_DRIFT: async () => {
    await sql("UPDATE drizzle.__drizzle_migrations SET hash = 'edited'");
    await storage({ databaseUrl: database.url }).memory.get("agent", "key");
  },
  STORAGE_LOCKED: async () => {
    await using _holder = await processThatHolds(directory);
    await storage().memory.set("agent", "key", 1);
  },
  MOVE_UNFINISHED: async () => {
    const controller = new AbortController();
    const ends = { from: { directory }, to: { databaseUrl: database.url } };
    await storage().memory.set("agent", "key", 1);
    for (const handle of open.splice(0)) await handle.close();
    const { signal } = controller;
    const onProgress = () => controller.abort();
    await moveStorage({ ...ends, signal, onProgress }).catch(() => undefined);
    await moveStorage({ from: ends.to, to: { directory: join(directory, "back") } });
  },
  DECRYPTION_FAILED: async () => {
    const { channelConfigs } = storage({
      databaseUrl: database.url,
      encryptionKey: testKey(),
    });
    await channelConfigs.set("sentry", { credentials: { token: testSecret() } });
    await channelConfigs.set("vercel", { credentials: { token: testSecret() } });
    await sql(
      "UPDATE channel_configs SET credentials = (SELECT min(credentials) FROM channel_configs)",
    );
    await channelConfigs.getCredentials("sentry");
    await channelConfigs.getCredentials("vercel");
  },
  ENCRYPTION_KEY_MISSING: () =>
    storage({ databaseUrl: database.url }).channelConfigs.set("sentry", {
      credentials: { token: testSecret() },
    }),
  KEY_MISMATCH: async () => {
    const before = storage({ directory, encryptionKey: testKey() });
    await before.channelConfigs.set("sentry", { credentials: { token: testSecret() } });
    await before.close();
    await storage({ directory, encryptionKey: testKey() }).channelConfigs.getCredentials("sentry");
  },
  UNSUPPORTED: async () => {
    await storage().memory.set("agent", "key", 1);
    for (const handle of open.splice(0)) await handle.close();
    await storage({ directory, readOnly: true }).memory.set("agent", "key", 2);
  },
};

describe("every code can be provoked through the public API:", () => {
  beforeAll(async () => {
    await promisify(execFile)(process.execPath, [
      `${root}scripts/setup.mjs`,
      "packages/core",
      "--allow-type-errors",
    ]);
  });
  beforeEach(async () => {
    vi.stubEnv("CODESPAR_ENCRYPTION_KEY", undefined);
    directory = await scratchFolder("errors");
    database = await createTestDatabase({ template: migratedDatabase });
  });
  afterEach(async () => {
    for (const handle of open.splice(0)) await handle.close();
    await removeScratch(directory);
    await database.drop();
  });

  test.each(Object.entries(provocations))("%s", async (code, provoke) => {
    const error: unknown = await provoke().then(
      () => null,
      (reason: unknown) => reason,
    );
    if (!StorageError.is(error)) throw error ?? new Error("nothing went wrong");
    expect(error.code, error.message).toBe(code);
    expect(error.retryable).toBe(errorCodes[error.code].retryable);
    expect(error.message).toMatch(/^[^\n]{20,}$/);
  });
});

/** A process of its own with the files open for writing. */
async function processThatHolds(folder: string): Promise<AsyncDisposable> {
  const script = `
    import { createStorage } from ${JSON.stringify(built)};
    const storage = createStorage("org", { directory: ${JSON.stringify(folder)} });
    await storage.memory.set("agent", "key", 0);
    console.log("holding");
    setInterval(() => {}, 1000);`;
  const child: ChildProcess = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout ?? child, "data");
  return {
    async [Symbol.asyncDispose]() {
      child.kill();
      await once(child, "exit");
    },
  };
}

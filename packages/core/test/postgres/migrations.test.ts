import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  createLogin,
  createTestDatabase,
  startCluster,
  type TestDatabase,
  withDatabase,
} from "../../../../tooling/postgres.ts";
import { removeScratch, scratchFolder, testKey, testSecret } from "../../../../tooling/secrets.ts";
import { createStorage } from "../../src/index.ts";
import { migrationsFolder, readMigrations } from "../../src/storage/postgres/migrations/journal.ts";
import {
  migrate,
  migrationPlan,
  migrationStatus,
} from "../../src/storage/postgres/migrations/migrate.ts";
import { expectCode } from "../support/expect-code.ts";
import { query } from "./support.ts";

const names = readMigrations().map(({ name }) => name);
const rounds = Math.max(5, Number(process.env["CODESPAR_TEST_ROUNDS"] ?? 1));

let database: TestDatabase;
let databaseUrl: string;

beforeEach(async () => {
  database = await createTestDatabase();
  databaseUrl = database.url;
});

afterEach(() => database.drop());

/** A copy of the package's migrations, changed. */
async function changedMigrations(change: (folder: string) => Promise<void>): Promise<URL> {
  const folder = await scratchFolder("migrations");
  await cp(fileURLToPath(migrationsFolder), folder, { recursive: true });
  await change(folder);
  return pathToFileURL(`${folder}/`);
}

interface Journal {
  entries: { idx: number; tag: string; when: number }[];
}

async function editJournal(folder: string, edit: (journal: Journal) => void): Promise<void> {
  const file = join(folder, "meta", "_journal.json");
  const journal = JSON.parse(await readFile(file, "utf8")) as Journal;
  edit(journal);
  await writeFile(file, JSON.stringify(journal));
}

/** The migrations and one more, made so long after the last (or, negative, before it). */
function withExtra(sql: string, afterMs = 1000): Promise<URL> {
  return changedMigrations(async (folder) => {
    await writeFile(join(folder, "9999_extra.sql"), sql);
    await editJournal(folder, ({ entries }) => {
      const when = (entries.at(-1)?.when ?? 0) + afterMs;
      entries.push({ idx: entries.length, tag: "9999_extra", when });
    });
  });
}

/** Everything that the database holds besides what PostgreSQL brings. */
function contents(): Promise<unknown[]> {
  return query(
    databaseUrl,
    `SELECT format('%s.%s', n.nspname, c.relname) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') UNION ALL SELECT nspname FROM pg_namespace ORDER BY 1`,
  );
}

test("an empty database gets everything, and a second run finds nothing to do", async () => {
  expect(await migrationStatus({ databaseUrl })).toEqual({ applied: [], pending: names });
  expect((await migrationPlan({ databaseUrl })).map(({ name }) => name)).toEqual(names);
  const told: string[] = [];
  const onMigration = (name: string) => void told.push(name);
  expect(await migrate({ databaseUrl, onMigration })).toEqual({
    applied: names,
    total: names.length,
  });
  expect(told).toEqual(names);
  expect(await migrate({ databaseUrl })).toEqual({ applied: [], total: names.length });
  expect(await migrationStatus({ databaseUrl })).toEqual({ applied: names, pending: [] });
  expect(await migrationPlan({ databaseUrl })).toEqual([]);
});

test("status and plan change nothing", async () => {
  const before = await contents();
  await migrationStatus({ databaseUrl });
  await migrationPlan({ databaseUrl });
  expect(await contents()).toEqual(before);
});

test("a missing database is created when asked, and only then", async () => {
  const missing = withDatabase(databaseUrl, `${database.name} "x"`);
  try {
    const error = await expectCode(migrate({ databaseUrl: missing }), "UNAVAILABLE");
    expect(error.message).toContain("codespar migrate --create");
    expect((await migrate({ databaseUrl: missing, create: true })).applied).toEqual(names);
    expect((await migrate({ databaseUrl: missing, create: true })).applied).toEqual([]);
  } finally {
    await query(database.adminUrl, `DROP DATABASE IF EXISTS "${database.name} ""x""" WITH (FORCE)`);
  }
});

test("a storage that waits for its migrations says so, and works after them without a restart", async () => {
  const encryptionKey = randomBytes(32).toString("base64");
  await using storage = createStorage("org", { databaseUrl, encryptionKey });
  const error = await expectCode(storage.memory.get("agent", "key"), "SCHEMA_PENDING");
  expect(error.message).toContain("codespar migrate");
  expect(await storage.health({ timeoutMs: 20_000 })).toMatchObject({
    ok: false,
    code: "SCHEMA_PENDING",
    durable: true,
    isolation: null,
    migrations: { applied: 0, pending: names.length },
    encryption: null,
    // Nothing that a superuser could pass by is there yet.
    warnings: [],
  });
  await migrate({ databaseUrl });
  expect(await storage.memory.get("agent", "key")).toBeNull();
  expect(await storage.health({ timeoutMs: 20_000 })).toMatchObject({
    ok: true,
    migrations: { applied: names.length, pending: 0 },
  });
});

describe("where something that the migrations made is gone, whoever needs it hears so:", () => {
  const encryptionKey = testKey();
  test.each<[string, string, RegExp]>([
    [
      "a table",
      "DROP TABLE codespar.audit_open_intents",
      /gone: relation "codespar\.audit_open_intents" does not exist\. .*restore the database from a backup/,
    ],
    [
      "a function",
      "DROP FUNCTION codespar.audit_append CASCADE",
      /gone: function codespar\.audit_append\(.*\) does not exist\. .*restore the database from a backup/,
    ],
  ])("%s", async (_what, drop, words) => {
    await migrate({ databaseUrl });
    await using storage = createStorage("org", { databaseUrl, encryptionKey });
    await storage.audit.append({ action: "test.before" });
    await query(databaseUrl, drop);
    const append = () => storage.audit.intent({ action: "test.after" });
    const [gone] = await Promise.all([
      expectCode(append(), "SCHEMA_DRIFT"),
      // What doesn't need it goes on.
      storage.memory.set("agent", "key", 1),
    ]);
    expect(gone.message).toMatch(words);
    expect(gone.message).not.toContain("codespar migrate");
    await expectCode(append(), "SCHEMA_DRIFT");
    await using other = createStorage("org", { databaseUrl, encryptionKey });
    await expectCode(other.audit.intent({ action: "test.after" }), "SCHEMA_DRIFT");
  });
});

test.each(Array.from({ length: rounds }, (_, round) => round + 1))(
  "twenty processes that start at once on one missing database all succeed, round %i",
  async () => {
    const missing = withDatabase(databaseUrl, `${database.name}_twenty`);
    const script = fileURLToPath(new URL("./migrate-process.ts", import.meta.url));
    try {
      const starters = await Promise.all(
        Array.from({ length: 20 }, () =>
          promisify(execFile)(process.execPath, ["--import", "tsx", script, missing]),
        ),
      );
      const applied = starters.map(({ stdout }) => Number(stdout)).sort((a, b) => a - b);
      expect(applied).toEqual([...Array.from({ length: 19 }, () => 0), names.length]);
      expect(await migrationStatus({ databaseUrl: missing })).toEqual({
        applied: names,
        pending: [],
      });
    } finally {
      await query(
        database.adminUrl,
        `DROP DATABASE IF EXISTS ${database.name}_twenty WITH (FORCE)`,
      );
    }
  },
  180_000,
);

test("databases of one server that are migrated at once share their roles", async () => {
  await using cluster = await startCluster();
  const urls = ["one", "two", "three", "four"].map((name) => withDatabase(cluster.adminUrl, name));
  const results = await Promise.all(urls.map((url) => migrate({ databaseUrl: url, create: true })));
  expect(results.map(({ applied }) => applied)).toEqual(urls.map(() => names));
});

describe("the runner refuses, and changes nothing", () => {
  async function refuses(work: () => Promise<unknown>, message: string): Promise<void> {
    const before = await contents();
    const error = await expectCode(work(), "SCHEMA_DRIFT");
    expect(error.message).toContain(message);
    expect(await contents()).toEqual(before);
  }

  test.each([
    "CREATE TABLE projects (id int)",
    "CREATE VIEW audit_log AS SELECT 1 AS n",
    "CREATE SCHEMA codespar",
  ])("beside %s of somebody else", async (statement) => {
    await query(databaseUrl, statement);
    await refuses(() => migrate({ databaseUrl }), "was not made by these migrations");
    await refuses(() => migrationStatus({ databaseUrl }), "was not made by these migrations");
  });

  test("an applied migration that was edited", async () => {
    await migrate({ databaseUrl });
    const folder = await changedMigrations(async (path) => {
      await writeFile(join(path, `${names[0]}.sql`), "SELECT 1");
    });
    await refuses(
      () => migrate({ databaseUrl, folder }),
      `${names[0]} was edited after it was applied`,
    );
    await removeScratch(fileURLToPath(folder));
  });

  test("a database that a newer version migrated", async () => {
    const folder = await withExtra("CREATE TABLE extra (id int)");
    await migrate({ databaseUrl, folder });
    await refuses(() => migrate({ databaseUrl }), "newer version of CodeSpar");
    await using storage = createStorage("org", { databaseUrl });
    await refuses(() => storage.memory.get("agent", "key"), "newer version of CodeSpar");
    await removeScratch(fileURLToPath(folder));
  });

  test("a migration that would come before an applied one", async () => {
    await migrate({ databaseUrl });
    const folder = await withExtra("CREATE TABLE extra (id int)", -1);
    await refuses(
      () => migrate({ databaseUrl, folder }),
      "9999_extra comes before one that is already applied",
    );
    await removeScratch(fileURLToPath(folder));
  });

  test("the migrations of another application", async () => {
    await query(databaseUrl, "CREATE SCHEMA drizzle");
    await query(
      databaseUrl,
      "CREATE TABLE drizzle.__drizzle_migrations (id serial, hash text, created_at bigint)",
    );
    await query(
      databaseUrl,
      "INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('x', 1)",
    );
    await refuses(() => migrate({ databaseUrl }), "aren't CodeSpar's");
  });

  test("an encoding that can't hold every character", async () => {
    const name = `${database.name}_latin`;
    await query(
      database.adminUrl,
      `CREATE DATABASE ${name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C' LOCALE_PROVIDER libc`,
    );
    try {
      const error = await expectCode(
        migrate({ databaseUrl: withDatabase(databaseUrl, name) }),
        "SCHEMA_DRIFT",
      );
      expect(error.message).toContain("ENCODING 'UTF8'");
    } finally {
      await query(database.adminUrl, `DROP DATABASE ${name} WITH (FORCE)`);
    }
  });
});

test("a migration that fails leaves nothing of the run, and says which and why", async () => {
  const before = await contents();
  const folder = await withExtra("CREATE TABLE extra (id int); SELECT 1 / 0");
  const error = await expectCode(migrate({ databaseUrl, folder }), "UNAVAILABLE");
  expect(error.message).toMatch(/9999_extra failed, nothing was changed: division by zero/);
  expect(await contents()).toEqual(before);
  await removeScratch(fileURLToPath(folder));
});

test("a user that may not create says so", async () => {
  const login = await createLogin(database.adminUrl);
  try {
    const error = await expectCode(migrate({ databaseUrl: login.as(databaseUrl) }), "UNAVAILABLE");
    expect(error.message).toMatch(/nothing was changed: permission denied .*owns the database/);
  } finally {
    await login.drop();
  }
});

test.each([
  ["", "empty"],
  ["nonsense", "can't be read"],
  ["mysql://root@localhost/x", "begins with"],
  ["postgres://localhost:5432", "name one database"],
])("the URL %j is refused with the form it should have", async (url, message) => {
  const error = await expectCode(migrate({ databaseUrl: url }), "VALIDATION");
  expect(error.message).toContain(message);
});

test("what another key has sealed isn't migrated", async () => {
  const sealedWith = testKey();
  // Nothing is sealed yet: any key will do.
  expect((await migrate({ databaseUrl, encryptionKey: testKey() })).applied).toEqual(names);
  {
    await using storage = createStorage("acme", { databaseUrl, encryptionKey: sealedWith });
    await storage.channelConfigs.set("sentry", { credentials: { token: testSecret() } });
  }
  const folder = await withExtra("CREATE TABLE public.extra (org_id text PRIMARY KEY);");
  const told: string[] = [];
  const options = { databaseUrl, folder, onMigration: (name: string) => told.push(name) };
  await expectCode(migrate({ ...options, encryptionKey: testKey() }), "KEY_MISMATCH");
  await expectCode(migrate({ ...options, encryptionKey: "no key" }), "VALIDATION");
  expect(told).toEqual([]);
  expect((await migrationStatus({ databaseUrl, folder })).applied).toEqual(names);
  const encryptionKey = `${testKey()},${sealedWith}`;
  expect((await migrate({ ...options, encryptionKey })).applied).toEqual(["9999_extra"]);
});

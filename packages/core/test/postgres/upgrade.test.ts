import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../../tooling/postgres.ts";
import { removeScratch, scratchFolder, testKey } from "../../../../tooling/secrets.ts";
import { createStorage, migrate } from "../../src/index.ts";
import { migrationsFolder } from "../../src/storage/postgres/migrations/journal.ts";
import { makeVictim } from "../attacks/victim.ts";
import { migratedDatabase, query, withClient } from "./support.ts";

const encryptionKey = testKey();

let present: TestDatabase;
let earlier: TestDatabase;

beforeAll(async () => {
  present = await migratedDatabase();
  earlier = await createTestDatabase();
}, 60_000);

afterAll(async () => {
  await present?.drop();
  await earlier?.drop();
});

/** The package's migrations, as they were before the last of them came. */
async function firstMigrations(count: number): Promise<URL> {
  const folder = await scratchFolder("migrations");
  onTestFinished(() => removeScratch(folder));
  await cp(fileURLToPath(migrationsFolder), folder, { recursive: true });
  const file = join(folder, "meta", "_journal.json");
  const journal = JSON.parse(await readFile(file, "utf8")) as { entries: unknown[] };
  await writeFile(file, JSON.stringify({ ...journal, entries: journal.entries.slice(0, count) }));
  return pathToFileURL(`${folder}/`);
}

/** Copies all rows from one database to another, whose tables are the same. */
async function copyRows(from: string, to: string): Promise<void> {
  const tables = await query(
    from,
    "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'codespar')",
  );
  for (const table of tables) {
    const [rows] = await query(from, `SELECT json_agg(t)::text FROM ${table} AS t`);
    if (rows !== null)
      await query(
        to,
        `INSERT INTO ${table} SELECT * FROM json_populate_recordset(NULL::${table}, $1)`,
        [rows],
      );
  }
}

test("a trail that was signed before checkpoints were checked goes on, whatever was put among them", async () => {
  const victim = await makeVictim({ databaseUrl: present.url, encryptionKey }, "acme");
  await migrate({ databaseUrl: earlier.url, folder: await firstMigrations(3) });
  await copyRows(present.url, earlier.url);
  // As the application's role could.
  await withClient(earlier.url, async (client) => {
    await client.query("SET ROLE codespar_app; SET codespar.org_id = 'acme'");
    for (const [size, note] of [
      ["another", "x"],
      ["0000000000000290", victim.second.note],
      ["0000000000000300", victim.second.note],
      ["0000000000009999", victim.second.note],
    ])
      await client.query(
        "INSERT INTO codespar.audit_checkpoints (org_id, size, note, version, created_at, updated_at) VALUES ('acme', $1, $2, 'v', now(), now())",
        [size, note],
      );
  });
  const applied = await migrate({ databaseUrl: earlier.url });
  expect(applied.applied[0]).toBe("0003_guarded_signing");
  await using storage = createStorage("acme", { databaseUrl: earlier.url, encryptionKey });
  const { audit } = storage;
  expect((await audit.checkpoint()).size).toBe(301);
  const rotated = await audit.rotateKey();
  expect(await audit.keys()).toMatchObject([{ vkey: rotated.vkey }, { vkey: victim.vkey }]);
  expect((await audit.keys()).map(({ retiredAt }) => retiredAt === null)).toEqual([true, false]);
  const sizes = (await audit.checkpoints()).items.map(({ size }) => size);
  expect(sizes).toEqual([302, 301, 270, 121]);
  expect(await audit.verify()).toMatchObject({
    verdict: "tampered",
    firstFailure: { seq: 290, check: "root" },
  });
  // What the reference says to do.
  await withClient(earlier.url, async (client) => {
    await client.query("SET codespar.erasing = 'organisation acme'");
    await client.query(
      "DELETE FROM codespar.audit_checkpoints WHERE org_id = 'acme' AND NOT size = ANY ($1)",
      [sizes.map((size) => String(size).padStart(16, "0"))],
    );
  });
  expect(await audit.verify({ trustedKeys: [victim.vkey] })).toMatchObject({
    verdict: "ok",
    firstFailure: null,
    anchoredSize: 302,
  });
});

import { getTableConfig, PgTable } from "drizzle-orm/pg-core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  createLogin,
  createTestDatabase,
  hasPgBouncer,
  PGBOUNCER_MISSING,
  startPgBouncer,
  type TestDatabase,
} from "../../../../tooling/postgres.ts";
import { createStorage, migrate } from "../../src/index.ts";
import * as machinery from "../../src/storage/machinery.ts";
import type { PostgresBackend } from "../../src/storage/postgres/postgres-backend.ts";
import * as schema from "../../src/storage/schema.ts";
import { expectCode } from "../support/expect-code.ts";
import { appendMany, backendOn, entry, migratedDatabase, query, withClient } from "./support.ts";
import { fill } from "./two-organisations.ts";

/** Every table that holds something of an organisation. */
const tables = [...Object.values(schema), ...Object.values(machinery)]
  .filter((value) => value instanceof PgTable)
  .map(getTableConfig)
  .filter(({ columns }) => columns.some(({ name }) => name === "org_id"));

let database: TestDatabase;

beforeEach(async () => {
  database = await migratedDatabase();
});

afterEach(() => database.drop());

/** How many rows an organisation has in each table, and a digest of them all. As a superuser, or with what shows the owner all. */
async function contents(url: string, orgId: string) {
  return withClient(url, async (client) => {
    await client.query("SET codespar.maintenance = 'on'");
    const rows: Record<string, number> = {};
    const digests: Record<string, unknown> = {};
    for (const { schema: inSchema, name } of tables) {
      const found = await client.query(
        `SELECT count(*)::int AS rows, md5(string_agg(t::text, '' ORDER BY t::text)) AS digest FROM ${inSchema ?? "public"}.${name} AS t WHERE org_id = $1`,
        [orgId],
      );
      rows[name] = found.rows[0].rows;
      digests[name] = found.rows[0].digest;
    }
    return { rows, digests };
  });
}

/** Erases an organisation. @returns how many rows went with it, by table */
async function erase(
  backend: PostgresBackend,
  orgId: string,
  onStep: (table: string) => void = () => undefined,
): Promise<Record<string, number>> {
  const erased: Record<string, number> = {};
  await backend.eraseOrganisation(orgId, { now: 0 }, (table, rows) => {
    erased[table] = (erased[table] ?? 0) + rows;
    onStep(table);
  });
  return erased;
}

/** `alpha` and `beta`, each with something in every table. */
async function fillAll(url: string): Promise<void> {
  await fill(url);
  for (const orgId of ["alpha", "beta"]) {
    const { rows } = await contents(url, orgId);
    expect(Object.entries(rows).filter(([, count]) => count === 0)).toEqual([]);
  }
}

async function expectErased(url: string, backend: PostgresBackend): Promise<void> {
  const before = await contents(url, "alpha");
  const beside = await contents(url, "beta");
  expect(await erase(backend, "alpha")).toEqual(before.rows);
  const { rows } = await contents(url, "alpha");
  expect(Object.values(rows).filter((count) => count > 0)).toEqual([]);
  expect(await contents(url, "beta")).toEqual(beside);
  expect(await erase(backend, "alpha")).toEqual({});
}

describe("erasing an organisation", () => {
  test("takes its rows out of every table, says how many, and leaves the others alone", async () => {
    await fillAll(database.url);
    await using backend = backendOn(database.url);
    await expectErased(database.url, backend);
    await using beta = createStorage("beta", { databaseUrl: database.url });
    expect(await beta.audit.verify()).toMatchObject({ verdict: "unanchored" });
    await appendMany(backend, "alpha", 3);
    expect(await backend.auditHead("alpha", { now: 0 })).toMatchObject({ size: 3 });
  });

  test("broken off goes on where it ended, and gives the trail up at the end only", async () => {
    await using backend = backendOn(database.url);
    await appendMany(backend, "alpha", 1000);
    const before = await contents(database.url, "alpha");
    const broken = new Error("broken off");
    const seen: string[] = [];
    const attempt = erase(backend, "alpha", (table) => {
      seen.push(table);
      if (seen.length === 2) throw broken;
    });
    await expect(attempt).rejects.toBe(broken);
    const { rows } = await contents(database.url, "alpha");
    expect(rows["audit_log"]).toBeLessThan(1000);
    expect([rows["audit_log"] === 0, rows["audit_heads"]]).toEqual([false, 1]);
    const controller = new AbortController();
    const aborted = backend.eraseOrganisation("alpha", { now: 0, signal: controller.signal }, () =>
      controller.abort(),
    );
    expect((await expectCode(aborted, "ABORTED")).message).toContain("goes on where it ended");
    await erase(backend, "alpha");
    expect(before.rows["audit_heads"]).toBe(1);
    expect((await contents(database.url, "alpha")).rows["audit_heads"]).toBe(0);
  });

  test("goes on while others write to it, who end with a whole trail or none", async () => {
    await using backend = backendOn(database.url);
    await using other = backendOn(database.url);
    await appendMany(backend, "alpha", 1000);
    const appends: Promise<unknown>[] = [];
    await erase(backend, "alpha", () => {
      if (appends.length >= 20) return;
      const commit = { checks: [], writes: [], appends: [entry({ details: "1" })] };
      appends.push(other.commit("alpha", commit, { now: Date.now() }));
    });
    expect(appends.length).toBeGreaterThan(3);
    await Promise.all(appends);
    await using storage = createStorage("alpha", { databaseUrl: database.url });
    const { size } = await backend.auditHead("alpha", { now: 0 });
    expect(size).toBeLessThan(20);
    expect(await storage.audit.verify()).toMatchObject({ verdict: "unanchored", size });
  });

  test("is refused to a login that may not erase, with what to grant", async () => {
    const login = await createLogin(database.adminUrl);
    await query(database.adminUrl, `GRANT codespar_app TO ${login.name}`);
    try {
      await using backend = backendOn(login.as(database.url));
      await appendMany(backend, "alpha", 1);
      const { message } = await expectCode(erase(backend, "alpha"), "UNSUPPORTED");
      expect(message).toContain(`GRANT codespar_maintenance TO ${login.name}`);
      await query(database.adminUrl, `GRANT codespar_maintenance TO ${login.name}`);
      expect(await erase(backend, "alpha")).toEqual({ audit_log: 1, audit_heads: 1 });
    } finally {
      await login.drop();
    }
  });

  test("works for a plain owner, who can't delete from the trail before or after", async () => {
    const owner = await createLogin(database.adminUrl);
    const own = await createTestDatabase({ owner: owner.name });
    try {
      const databaseUrl = owner.as(own.url);
      await migrate({ databaseUrl });
      await fillAll(databaseUrl);
      await using backend = backendOn(databaseUrl);
      await expectErased(databaseUrl, backend);
      expect(
        await query(databaseUrl, "SELECT has_table_privilege('public.audit_log', 'DELETE')"),
      ).toEqual([false]);
      // Each lets itself delete for the time of a step: they take turns.
      const orgs = ["one", "two", "three"];
      for (const orgId of orgs) await appendMany(backend, orgId, 600);
      const erased = await Promise.all(orgs.map((orgId) => erase(backend, orgId)));
      expect(erased.map(({ audit_log: entries }) => entries)).toEqual([600, 600, 600]);
    } finally {
      await own.drop();
      await owner.drop();
    }
  });

  test.skipIf(!hasPgBouncer())(`works behind PgBouncer (${PGBOUNCER_MISSING})`, async () => {
    await fillAll(database.url);
    await using bouncer = await startPgBouncer(database.url, {
      settings: { default_pool_size: "2" },
    });
    await using backend = backendOn(bouncer.url, { preparedStatements: false });
    await expectErased(database.url, backend);
  });
});

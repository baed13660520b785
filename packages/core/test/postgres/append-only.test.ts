import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createLogin, type TestDatabase, type TestLogin } from "../../../../tooling/postgres.ts";
import { migratedDatabase, query, withClient } from "./support.ts";
import {
  asRole,
  checkpoints,
  copies,
  fill,
  kept,
  records,
  sqlState,
  trail,
} from "./two-organisations.ts";

let database: TestDatabase;
let login: TestLogin;

beforeAll(async () => {
  database = await migratedDatabase();
  login = await createLogin(database.adminUrl);
  await query(database.adminUrl, `GRANT codespar_app, codespar_maintenance TO ${login.name}`);
  await fill(database.url);
});

afterAll(async () => {
  await database.drop();
  await login.drop();
});

/** Every way in which SQL changes or removes what a table holds. */
const changes = (table: string) => [
  `UPDATE ${table} SET org_id = org_id`,
  `DELETE FROM ${table}`,
  `TRUNCATE ${table}`,
  `MERGE INTO ${table} AS t USING (SELECT 1) AS u ON t.org_id = 'alpha' WHEN MATCHED THEN UPDATE SET org_id = 'alpha'`,
  `MERGE INTO ${table} AS t USING (SELECT 1) AS u ON t.org_id = 'alpha' WHEN MATCHED THEN DELETE`,
  `INSERT INTO ${table} SELECT * FROM ${table} ON CONFLICT ON CONSTRAINT ${table.split(".")[1]}_pkey DO UPDATE SET org_id = 'alpha'`,
];

const additions = (table: string) => [
  `INSERT INTO ${table} SELECT * FROM ${table}`,
  `INSERT INTO ${table} SELECT * FROM ${table} ON CONFLICT DO NOTHING`,
  `MERGE INTO ${table} AS t USING ${table} AS u ON false WHEN NOT MATCHED THEN INSERT VALUES (u.*)`,
];

/** What becomes of each statement. */
async function outcomes(
  statements: readonly string[],
  attempt: (statement: string) => Promise<unknown>,
): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const statement of statements) found[statement] = await sqlState(attempt(statement));
  return found;
}

const all = (statements: readonly string[], code: string) =>
  Object.fromEntries(statements.map((statement) => [statement, code]));

describe("the running role", () => {
  test.each(["codespar_app", "codespar_maintenance"])("%s only reads the trail", async (role) => {
    for (const table of [...trail, ...copies]) {
      const statements = [...changes(table), ...additions(table)];
      const found = await outcomes(statements, (statement) =>
        asRole(login.as(database.url), role, "alpha", (run) => run(statement)),
      );
      expect(found).toEqual(all(statements, "42501"));
    }
  });

  test("adds checkpoints, and changes none", async () => {
    const attempt = (statement: string) =>
      asRole(login.as(database.url), "codespar_app", "alpha", (run) => run(statement));
    const [update, remove, truncate, mergeUpdate, mergeDelete, upsert] = changes(checkpoints);
    expect(await outcomes(changes(checkpoints), attempt)).toEqual({
      ...all([update, mergeUpdate] as string[], "CS004"),
      ...all([remove, truncate, mergeDelete] as string[], "42501"),
      // One of this size is there.
      ...all([upsert] as string[], "CS001"),
    });
  });

  test("can't call what a function of the trail calls", async () => {
    const calls = [
      "codespar.audit_lock('alpha', 'x')",
      "codespar.audit_grow('alpha', 0, 0, 256)",
      "codespar.audit_erase('alpha', '{0}', '{details}')",
      "codespar.erase_some('alpha', 'public.audit_log', NULL, 1)",
      "codespar.erase_rows('alpha', 'public.audit_log', NULL, 1)",
      "codespar.erase_head('alpha')",
    ].map((call) => `SELECT ${call}`);
    const found = await outcomes(calls, (statement) =>
      asRole(login.as(database.url), "codespar_app", "alpha", (run) => run(statement)),
    );
    expect(found).toEqual(all(calls, "42501"));
  });

  test("lets nothing of the trail go by saying that it erases", async () => {
    const refused = asRole(login.as(database.url), "codespar_app", "alpha", async (run) => {
      await run("SET LOCAL codespar.erasing = 'part 0 details of alpha'");
      await run("DELETE FROM codespar.audit_parts WHERE seq = 0 AND name = 'details'");
    });
    expect(await sqlState(refused)).toBe("42501");
  });
});

describe("triggers", () => {
  const guarded = [...trail, checkpoints];
  const refused = new Set(["CS004", "CS001"]);

  /** With the rights of the tables' owner, or more. */
  async function attempts(table: string, setting: string): Promise<Record<string, unknown>> {
    return outcomes([...changes(table), `TRUNCATE ${table} CASCADE`], (statement) =>
      withClient(database.url, async (client) => {
        await client.query(setting);
        await client.query(statement);
      }),
    );
  }

  test.each(guarded)("keep the owner's accidents from %s", async (table) => {
    const found = await attempts(table, "SET ROLE codespar_owner");
    // Row-level security hides the rows from an owner who doesn't say that it maintains them.
    expect(found[`TRUNCATE ${table}`]).toBe("CS004");
    const maintained = await attempts(
      table,
      "SET ROLE codespar_owner; SET codespar.maintenance = 'on'",
    );
    expect(Object.values(maintained).filter((code) => !refused.has(String(code)))).toEqual([]);
  });

  test.each(guarded)("keep a superuser's from %s, in replica sessions too", async (table) => {
    for (const role of ["origin", "replica"]) {
      const found = await attempts(table, `SET session_replication_role = ${role}`);
      expect(Object.values(found).filter((code) => !refused.has(String(code)))).toEqual([]);
    }
  });

  test.each(kept)("keep a superuser from removing what is in %s", async (table) => {
    for (const role of ["origin", "replica"]) {
      const removing = [`DELETE FROM ${table}`, `TRUNCATE ${table}`];
      const found = await outcomes(removing, (statement) =>
        withClient(database.url, async (client) => {
          await client.query(`SET session_replication_role = ${role}`);
          await client.query(statement);
        }),
      );
      expect(found).toEqual(all(removing, "CS004"));
    }
  });

  test("stand on nothing that may change", async () => {
    const found = await query(
      database.url,
      "SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
    );
    const short = (name: string) => name.replace(/^public\./, "");
    expect(found).toEqual([...guarded, ...kept].map(short).sort());
    expect(records.filter((name) => guarded.includes(name))).toEqual([]);
  });
});

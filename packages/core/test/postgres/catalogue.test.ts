import { getTableConfig, PgTable } from "drizzle-orm/pg-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TestDatabase } from "../../../../tooling/postgres.ts";
import * as machinery from "../../src/storage/machinery.ts";
import { drizzleTables } from "../../src/storage/postgres/record-sql.ts";
import * as schema from "../../src/storage/schema.ts";
import { type ColumnType, tableNames, tables } from "../../src/storage/tables.ts";
import { type CatalogueTable, readTables } from "./catalogue.ts";
import { migratedDatabase, query, withClient } from "./support.ts";

let database: TestDatabase;
let found: CatalogueTable[];

beforeAll(async () => {
  database = await migratedDatabase();
  found = await withClient(database.url, readTables);
});

afterAll(() => database.drop());

/** No organisation's: the deployment's own key. */
const ofNobody = "codespar.key_canary";
/** A Slack workspace belongs to one organisation only, so its key can't lead with one. */
const byTeam = "codespar.slack_routes";
/** What the application may do to those of the trail; it adds by functions, and what signs as records. */
const appendOnly = new Map([
  ["codespar.audit_anchors", ["INSERT", "SELECT", "UPDATE"]],
  ["codespar.audit_checkpoints", ["INSERT", "SELECT", "UPDATE"]],
  ["codespar.audit_heads", ["SELECT"]],
  ["codespar.audit_keys", ["INSERT", "SELECT", "UPDATE"]],
  ["codespar.audit_parts", ["SELECT"]],
  ["codespar.audit_tiles", ["SELECT"]],
  ["public.audit_log", ["SELECT"]],
]);
const byFunctionsOnly = new Set([ofNobody, byTeam]);
/** What a function keeps and the application reads. */
const readOnly = new Set(["codespar.audit_open_intents"]);

describe("every table", () => {
  test("is there, in public exactly the eight", () => {
    const names = found.map(({ name }) => name).filter((name) => name.startsWith("public."));
    expect(names).toEqual(namesOf(schema));
    expect(found.map(({ name }) => name)).toEqual(
      [...namesOf(schema), ...namesOf(machinery)].sort(),
    );
  });

  test("has org_id, but for the deployment's key", () => {
    expect(
      found.filter(({ columns }) => !columns.includes("org_id")).map(({ name }) => name),
    ).toEqual([ofNobody]);
  });

  test("leads every unique index with org_id", () => {
    const others = found.filter(({ uniqueLeads }) =>
      uniqueLeads.some((column) => column !== "org_id"),
    );
    expect(others.map(({ name }) => name)).toEqual([ofNobody, byTeam]);
  });

  test("enables and forces row-level security, and belongs to codespar_owner", () => {
    expect(found.map(({ enabled, forced, owner }) => [enabled, forced, owner])).toEqual(
      found.map(() => [true, true, "codespar_owner"]),
    );
  });

  test("has the organisation's policy and the owner's", () => {
    for (const { name, policies } of found) {
      const table = name.split(".")[1];
      const own = name === ofNobody ? [] : [`${table}_organisation`];
      expect(policies).toEqual([`${table}_maintenance`, ...own]);
    }
  });

  test("grants the application what it needs and no more", () => {
    for (const { name, grants } of found) {
      const expected = byFunctionsOnly.has(name) ? [] : ["DELETE", "INSERT", "SELECT", "UPDATE"];
      const added = readOnly.has(name) ? ["SELECT"] : appendOnly.get(name);
      expect([name, grants]).toEqual([name, added ?? expected]);
    }
  });

  test("grants nothing to the role that erases, which has a function for it", () => {
    expect(found.filter(({ maintenance }) => maintenance.length > 0)).toEqual([]);
  });

  test("of the trail has its triggers, whatever the replication role", () => {
    const guarded = found.filter(({ triggers }) => triggers.length > 0);
    expect(guarded.map(({ name }) => name)).toEqual([...appendOnly.keys()]);
    for (const { name, triggers } of guarded) {
      const checked = appendOnly.get(name)?.includes("INSERT") === true ? ["checked"] : [];
      expect(triggers).toEqual(["append_only", "append_only_rows", ...checked]);
    }
  });
});

describe("roles and functions", () => {
  test("nobody logs in as one of ours, which don't pass row-level security by", async () => {
    const roles = await query(
      database.url,
      `SELECT rolname::text FROM pg_roles WHERE rolname IN ('codespar_owner', 'codespar_app', 'codespar_maintenance')
       AND NOT rolcanlogin AND NOT rolsuper AND NOT rolbypassrls ORDER BY 1`,
    );
    expect(roles).toEqual(["codespar_app", "codespar_maintenance", "codespar_owner"]);
  });

  test("the application erases nothing of the trail, and codespar_maintenance does nothing else", async () => {
    const callable = (role: string) =>
      query(
        database.url,
        `SELECT p.proname::text FROM pg_proc AS p WHERE p.pronamespace = 'codespar'::regnamespace
         AND has_function_privilege($1, p.oid, 'EXECUTE') ORDER BY 1`,
        [role],
      );
    expect(await callable("codespar_maintenance")).toEqual([
      "audit_erase",
      "erase_head",
      "erase_rows",
    ]);
    const application = await callable("codespar_app");
    expect(application).toContain("audit_append");
    for (const name of [
      "audit_erase",
      "erase_some",
      "erase_rows",
      "erase_head",
      "audit_grow",
      "audit_lock",
      "refuse_change",
    ])
      expect(application).not.toContain(name);
  });

  test("every definer function belongs to codespar_owner, fixes its search path and is nobody else's to call", async () => {
    const bad = await query(
      database.url,
      `SELECT p.oid::regprocedure::text FROM pg_proc AS p WHERE p.pronamespace = 'codespar'::regnamespace
       AND (pg_get_userbyid(p.proowner) <> 'codespar_owner' OR p.proconfig IS NULL
         OR NOT 'search_path=pg_catalog, pg_temp' = ANY (p.proconfig)
         OR EXISTS (SELECT 1 FROM aclexplode(p.proacl) AS g WHERE g.grantee = 0))`,
    );
    expect(bad).toEqual([]);
  });
});

test("the Drizzle schema says what tables.ts says", () => {
  const sqlTypes: Record<ColumnType, string> = {
    text: 'text COLLATE "C"',
    integer: "integer",
    boolean: "boolean",
    json: "json",
    instant: "timestamp(3) with time zone",
  };
  for (const name of tableNames) {
    const { columns } = getTableConfig(drizzleTables[name]);
    const { key, columns: own } = tables[name];
    const meta = {
      version: "text",
      created_at: "instant",
      updated_at: "instant",
      expires_at: "instant",
    } as const;
    const expected = new Map<string, ColumnType>([
      ["org_id", "text"],
      ...key.map((column) => [column, "text"] as const),
      ...Object.entries(own),
      ...Object.entries(meta),
      ["overwritten", "boolean"],
    ]);
    expect(new Map(columns.map((column) => [column.name, column.getSQLType()]))).toEqual(
      new Map([...expected].map(([column, type]) => [column, sqlTypes[type]])),
    );
  }
});

/** The tables of a module, as `schema.table`, sorted. */
function namesOf(module: Readonly<Record<string, unknown>>): string[] {
  return Object.values(module)
    .filter((value) => value instanceof PgTable)
    .map((table) => {
      const config = getTableConfig(table);
      return `${config.schema ?? "public"}.${config.name}`;
    })
    .sort();
}

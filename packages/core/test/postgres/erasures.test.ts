import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createLogin,
  createTestDatabase,
  type TestDatabase,
  type TestLogin,
} from "../../../../tooling/postgres.ts";
import { migrate } from "../../src/index.ts";
import type { Commit, Erasure } from "../../src/storage/backend.ts";
import type { PostgresBackend } from "../../src/storage/postgres/postgres-backend.ts";
import { expectCode } from "../support/expect-code.ts";
import { backendOn, entry, migratedDatabase, query, withClient } from "./support.ts";

const now = Date.UTC(2026, 0, 1);

let database: TestDatabase;

beforeAll(async () => {
  database = await migratedDatabase();
});

afterAll(() => database.drop());

const commitOf = (commit: Partial<Commit>): Commit => ({
  checks: [],
  writes: [],
  appends: [],
  ...commit,
});

/** Appends an entry with two parts, and erases some of what the trail holds together with another one. */
async function appendAndErase(
  backend: PostgresBackend,
  orgId: string,
  erasures: readonly Erasure[],
): Promise<void> {
  const appends = [entry({ details: "1", other: "2" })];
  await backend.commit(orgId, commitOf({ appends }), { now });
  await backend.commit(orgId, commitOf({ appends: [entry()], erasures }), { now });
}

/** The parts that the trail has, as `seq name`. */
async function partsOf(backend: PostgresBackend, orgId: string): Promise<string[]> {
  const rows = await backend.listAudit(orgId, { filter: {}, limit: 100, order: "asc" }, { now });
  return rows.flatMap(({ seq, parts }) => parts.map(({ name }) => `${seq} ${name}`));
}

describe("erasing a part", () => {
  test("takes that part and no other, and passes over what isn't there", async () => {
    await using backend = backendOn(database.url);
    await appendAndErase(backend, "beside", []);
    await appendAndErase(backend, "org", [
      { seq: 0, name: "details" },
      { seq: 0, name: "nothing" },
      { seq: 9, name: "details" },
    ]);
    expect(await partsOf(backend, "org")).toEqual(["0 other"]);
    expect(await partsOf(backend, "beside")).toEqual(["0 details", "0 other"]);
    const again = commitOf({ erasures: [{ seq: 0, name: "details" }] });
    await backend.commit("org", again, { now });
    expect(await partsOf(backend, "org")).toEqual(["0 other"]);
  });

  test("and the entries beside it happen both or neither", async () => {
    await using backend = backendOn(database.url);
    await backend.commit("both", commitOf({ appends: [entry({ details: "1" })] }), { now });
    const known = entry();
    await backend.commit("both", commitOf({ appends: [known] }), { now });
    const { id } = known.content;
    const other = { ...known, content: { ...known.content, action: "other" } };
    const refused = commitOf({
      appends: [{ ...other, segments: entry().segments }],
      chosenIds: [id],
      erasures: [{ seq: 0, name: "details" }],
    });
    await expect(backend.commit("both", refused, { now })).rejects.toThrow(id);
    expect(await partsOf(backend, "both")).toEqual(["0 details"]);
  });

  test("beside other commits shares no transaction with them", async () => {
    await using backend = backendOn(database.url);
    await appendAndErase(backend, "crowd", []);
    const login = await createLogin(database.adminUrl);
    await query(database.adminUrl, `GRANT codespar_app TO ${login.name}`);
    try {
      await using lesser = backendOn(login.as(database.url));
      const outcomes = await Promise.allSettled([
        ...Array.from({ length: 20 }, () =>
          lesser.commit("crowd", commitOf({ appends: [entry()] }), { now }),
        ),
        lesser.commit("crowd", commitOf({ erasures: [{ seq: 0, name: "details" }] }), { now }),
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual([
        ...Array.from({ length: 20 }, () => "fulfilled"),
        "rejected",
      ]);
    } finally {
      await login.drop();
    }
  });
});

describe("who may erase", () => {
  let login: TestLogin;

  beforeAll(async () => {
    login = await createLogin(database.adminUrl);
    await query(database.adminUrl, `GRANT codespar_app TO ${login.name}`);
  });

  afterAll(() => login.drop());

  test("a login that may not hears what to grant, and may as soon as it was granted", async () => {
    await using backend = backendOn(login.as(database.url));
    const erase = () => appendAndErase(backend, "granted", [{ seq: 0, name: "details" }]);
    const { message } = await expectCode(erase(), "UNSUPPORTED");
    expect(message).toContain(`GRANT codespar_maintenance TO ${login.name}`);
    // The entry beside the erasure wasn't appended either.
    expect(await partsOf(backend, "granted")).toEqual(["0 details", "0 other"]);

    await query(database.adminUrl, `GRANT codespar_maintenance TO ${login.name}`);
    await erase();
    expect(await partsOf(backend, "granted")).toEqual(["0 other", "1 details", "1 other"]);

    await query(database.adminUrl, `REVOKE codespar_maintenance FROM ${login.name}`);
    const refused = await expectCode(erase(), "UNSUPPORTED");
    expect(refused.message).toContain(`GRANT codespar_maintenance TO ${login.name}`);
  });

  test("a plain owner may, of what the transaction's organisation has", async () => {
    const owner = await createLogin(database.adminUrl);
    const own = await createTestDatabase({ owner: owner.name });
    try {
      const databaseUrl = owner.as(own.url);
      await migrate({ databaseUrl });
      await using backend = backendOn(databaseUrl);
      await appendAndErase(backend, "beside", []);
      await appendAndErase(backend, "org", [{ seq: 0, name: "details" }]);
      expect(await partsOf(backend, "org")).toEqual(["0 other"]);
      expect(await partsOf(backend, "beside")).toEqual(["0 details", "0 other"]);
      // Its own DELETE is stopped by the trigger, which only lets go what the function names.
      const deleted = withClient(databaseUrl, async (client) => {
        await client.query("SET codespar.maintenance = 'on'");
        await client.query("DELETE FROM codespar.audit_parts");
      });
      await expect(deleted).rejects.toMatchObject({ code: "CS004" });
    } finally {
      await own.drop();
      await owner.drop();
    }
  });

  test("codespar_maintenance itself can do nothing but erase for the organisation it names", async () => {
    const asMaintenance = (...statements: string[]) =>
      withClient(database.url, async (client) => {
        await client.query("BEGIN");
        await client.query("SET LOCAL ROLE codespar_maintenance");
        await client.query("SET LOCAL codespar.org_id = 'org'");
        for (const statement of statements) await client.query(statement);
      });
    const refused = (...statements: string[]) =>
      expect(asMaintenance(...statements)).rejects.toMatchObject({ code: "42501" });
    await refused("SELECT codespar.audit_erase('beside', '{0}', '{other}')");
    await refused("SELECT codespar.erase_rows('beside', 'public.audit_log', NULL, 1)");
    await refused("SELECT codespar.erase_head('beside')");
    // Only of tables that belong to organisations.
    await expect(
      asMaintenance("SELECT codespar.erase_rows('org', 'codespar.key_canary', NULL, 1)"),
    ).rejects.toMatchObject({ code: "P0002" });
    await refused("SELECT * FROM codespar.audit_parts");
    await refused("DELETE FROM codespar.audit_parts");
    await refused("SELECT * FROM public.audit_log");
  });
});

import { Buffer } from "node:buffer";
import { getTableConfig } from "drizzle-orm/pg-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type Cluster,
  createLogin,
  createTestDatabase,
  sharedServer,
  startCluster,
  type TestDatabase,
  type TestLogin,
  THROWAWAY_SETTINGS,
} from "../../../../tooling/postgres.ts";
import { testKey, testSecret } from "../../../../tooling/secrets.ts";
import {
  createStorage,
  deploymentOf,
  deploymentOrgId,
  type KeeperEvent,
  KeyRing,
  keepCheckpoints,
  migrate,
} from "../../src/index.ts";
import { drizzleTables } from "../../src/storage/postgres/record-sql.ts";
import { tableNames } from "../../src/storage/tables.ts";
import { expectCode } from "../support/expect-code.ts";
import { appendMany, backendOn, migrated, query } from "./support.ts";
import { asRole, encryptionKey, fill, records, trail } from "./two-organisations.ts";

/*
 * What concerns all organisations, as the login that docs/reference/postgres.md recommends: a member of codespar_app, and where it erases of
 * codespar_maintenance.
 */

const credentials = { token: testSecret() };

describe.each([14, 18] as const)("on PostgreSQL %i a member of codespar_app", (major) => {
  let cluster: Cluster;
  let database: TestDatabase;
  let login: TestLogin;
  let databaseUrl: string;

  beforeAll(async () => {
    cluster = await startCluster({ major, settings: THROWAWAY_SETTINGS });
  });
  afterAll(() => cluster[Symbol.asyncDispose]());

  beforeEach(async () => {
    database = await createTestDatabase({ adminUrl: cluster.adminUrl, template: migrated });
    login = await createLogin(cluster.adminUrl, "IN ROLE codespar_app");
    databaseUrl = login.as(database.url);
  });
  afterEach(async () => {
    await database.drop();
    await login.drop();
  });

  test("lists every organisation that has a row anywhere, in order and by pages", async () => {
    await fill(database.url);
    const expected = ["alpha", "beta"];
    for (const table of tableNames.map((each) => drizzleTables[each])) {
      const { schema = "public", name, columns } = getTableConfig(table);
      const others = columns.map((column) => `"${column.name}"`).filter((c) => c !== '"org_id"');
      const orgId = `only-${name}`;
      await query(database.url, `ALTER TABLE ${schema}.${name} DISABLE TRIGGER USER`);
      await query(
        database.url,
        `INSERT INTO ${schema}.${name} (org_id, ${others}) SELECT '${orgId}', ${others} FROM ${schema}.${name} WHERE org_id = 'alpha' LIMIT 1 RETURNING 1`,
      );
      expected.push(orgId);
    }
    const heads = Array.from({ length: 2100 }, (_, i) => `${i % 2 ? "Über" : "über"}-${i}`);
    await query(
      database.url,
      "INSERT INTO codespar.audit_heads (org_id, log) SELECT o, 'log' FROM unnest($1::text[]) AS o RETURNING 1",
      [heads],
    );
    expected.push(...heads);
    expected.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    await using backend = backendOn(databaseUrl);
    expect(await backend.organisations({ now: 0 })).toEqual(expected);
    const paged: string[] = [];
    for (;;) {
      const page = { after: paged.at(-1) ?? "", limit: 150 };
      const found = await backend.organisations({ now: 0 }, page);
      paged.push(...found);
      if (found.length < 150) break;
    }
    expect(paged).toEqual(expected);
    await using storage = createStorage("alpha", { databaseUrl });
    const listed: string[] = [];
    for await (const { orgId } of deploymentOf(storage).organisations.list({ limit: 1000 }))
      listed.push(orgId);
    expect(listed).toEqual(expected);
  });

  test("is warned of a key that records need and that isn't set, and counts what each has sealed", async () => {
    const [present, gone] = [testKey(), testKey()];
    for (const [orgId, encryptionKey] of [
      ["acme", present],
      ["other", `${gone},${present}`],
    ] as const) {
      await using owner = createStorage(orgId, { databaseUrl: database.url, encryptionKey });
      await owner.channelConfigs.set("sentry", { credentials });
      await owner.slackInstallations.set({ teamId: `T${orgId}`, tokens: credentials });
      await owner.audit.checkpoint();
    }
    await using storage = createStorage("acme", { databaseUrl, encryptionKey: present });
    const [presentId, goneId] = KeyRing.parse(`${present},${gone}`).keyIds;
    const { warnings } = await storage.health({ timeoutMs: 20_000 });
    expect(warnings).toEqual([
      expect.stringContaining(`of 3 records can't be opened: the key(s) ${goneId} that sealed`),
    ]);
    expect(await deploymentOf(storage).secrets.status()).toMatchObject({
      keys: [
        { id: presentId, available: true, records: 3 },
        { id: goneId, available: false, records: 3 },
      ],
      remaining: 3,
    });
  });

  test("signs what an earlier process left, and counts it until then", async () => {
    {
      await using backend = backendOn(databaseUrl, { encryptionKey });
      for (const orgId of ["acme", "other"]) await appendMany(backend, orgId, 3);
    }
    await using storage = createStorage("acme", { databaseUrl, encryptionKey });
    const waiting = keepCheckpoints(storage, { everyEntries: 100, everySeconds: 3600 });
    await expect.poll(() => waiting.status()).toMatchObject({ off: null, unsignedEntries: 6 });
    await waiting.close();
    const signed = new Set<string>();
    const failed: unknown[] = [];
    let tell: () => void = () => undefined;
    const both = new Promise<void>((resolve) => {
      tell = () => (signed.size === 2 || failed.length > 0) && resolve();
    });
    const onEvent = (event: KeeperEvent) => {
      if (event.kind === "signed") signed.add(event.orgId);
      if (event.kind === "failed") failed.push(event.error);
      tell();
    };
    const keeper = keepCheckpoints(storage, { everyEntries: 1, onEvent });
    await both;
    await keeper.close();
    expect([failed, [...signed].sort()]).toEqual([[], ["acme", "other"]]);
    expect(keeper.status()).toMatchObject({ off: null, unsignedEntries: 0 });
  });

  test("erases an organisation once it is granted codespar_maintenance, and is told so before", async () => {
    await fill(database.url);
    await using storage = createStorage("alpha", { databaseUrl, encryptionKey });
    const { organisations } = deploymentOf(storage);
    const own = storage.forOrg(deploymentOrgId);
    const { message } = await expectCode(
      organisations.erase("alpha", { confirm: "alpha" }),
      "UNSUPPORTED",
    );
    expect(message).toContain(`GRANT codespar_maintenance TO ${login.name}`);
    expect(await organisations.get("alpha")).not.toBeNull();
    await login.grant("codespar_maintenance");
    const report = await organisations.erase("alpha", { confirm: "alpha" });
    expect(report).toMatchObject({ orgId: "alpha", resumed: false, damaged: false });
    expect(report.rows).toBeGreaterThan(256);
    expect(await organisations.get("alpha")).toBeNull();
    expect((await organisations.list()).items).toEqual([{ orgId: "beta" }]);
    const outcomes = (await own.audit.list({ action: "organisation.erased" })).items;
    expect(outcomes.map(({ outcome }) => outcome)).toEqual([
      "success",
      "pending",
      "denied",
      "pending",
    ]);
  });

  test("can't seal secrets anew, and is told what to grant, which is enough", async () => {
    const [old, fresh] = [testKey(), testKey()];
    {
      await using owner = createStorage("acme", { databaseUrl: database.url, encryptionKey: old });
      await owner.channelConfigs.set("sentry", { credentials });
      await owner.audit.checkpoint();
    }
    await using storage = createStorage("acme", { databaseUrl, encryptionKey: `${fresh},${old}` });
    const { secrets } = deploymentOf(storage);
    const before = await secrets.status();
    expect(before).toMatchObject({ records: 2, remaining: 2 });
    const { message } = await expectCode(secrets.rotate(), "UNSUPPORTED");
    expect(message).toContain(`GRANT codespar_owner TO ${login.name}`);
    expect(await secrets.status()).toEqual(before);
    expect((await storage.audit.list({ action: "secrets.rotated" })).items).toEqual([]);
    await login.grant("codespar_owner");
    expect(await secrets.rotate()).toMatchObject({ finished: true, resealed: 2, remaining: 0 });
  });

  test("gets nothing of what others hold by what it may call", async () => {
    await fill(database.url);
    const asApp = <Result>(work: Parameters<typeof asRole<Result>>[3]) =>
      asRole(databaseUrl, "codespar_app", "gamma", work);
    const ask = "SELECT json_agg(o) AS all FROM codespar.organisations(NULL, NULL) AS o";
    const counts =
      "SELECT array_agg(DISTINCT c.sealed_table) AS all FROM codespar.sealed_counts() AS c";
    await asApp(async (run) => {
      expect((await run(ask)).rows).toEqual([{ all: ["alpha", "beta"] }]);
      expect((await run(counts)).rows).toEqual([
        { all: ["audit_keys", "channel_configs", "slack_installations"] },
      ]);
      // What the functions put on is theirs alone.
      for (const table of [...records, ...trail])
        expect((await run(`SELECT 1 FROM ${table}`)).rowCount).toBe(0);
      expect(
        (await run("SELECT current_setting('codespar.maintenance', true) AS is")).rows,
      ).toEqual([{ is: "" }]);
    });
  });
});

test("where one user owns everything, nobody else may ask for all organisations", async () => {
  const [owner, stranger] = [await createLogin(sharedServer()), await createLogin(sharedServer())];
  const own = await createTestDatabase({ owner: owner.name });
  try {
    await migrate({ databaseUrl: owner.as(own.url) });
    const may = (name: string) =>
      query(
        own.url,
        `SELECT has_function_privilege($1, p.oid, 'EXECUTE') FROM pg_proc AS p
         WHERE p.pronamespace = 'codespar'::regnamespace AND p.proname IN ('organisations', 'sealed_counts')`,
        [name],
      );
    expect(await may(owner.name)).toEqual([true, true]);
    expect(await may(stranger.name)).toEqual([false, false]);
  } finally {
    await own.drop();
    await owner.drop();
    await stranger.drop();
  }
});

import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type Cluster,
  createLogin,
  startCluster,
  type TestDatabase,
} from "../../../../tooling/postgres.ts";
import { createStorage, migrate, type Storage, type StorageError } from "../../src/index.ts";
import { expectCode, expectEach } from "../support/expect-code.ts";
import { expectHonest, expectKept, expectNoLeak, Load } from "./load.ts";
import { migratedDatabase, query, withClient } from "./support.ts";
import { TcpProxy } from "./tcp-proxy.ts";

const rounds = Number(process.env["CODESPAR_TEST_ROUNDS"] ?? 1);

describe("a server that", () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster();
    await migrate({ databaseUrl: cluster.adminUrl });
  });

  afterAll(() => cluster[Symbol.asyncDispose]());

  test.each(Array.from({ length: rounds }, (_, round) => round + 1))(
    "ends sessions under load loses nothing acknowledged, round %i",
    async (round) => {
      await using storage = createStorage(`ended ${round}`, { databaseUrl: cluster.adminUrl });
      const load = new Load(storage, 16);
      for (let i = 0; i < 5; i += 1) {
        await load.goesOn();
        await query(
          cluster.adminUrl,
          "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'codespar'",
        );
      }
      await load.goesOn();
      await load.stop();
      expectHonest(load.errors);
      await expectKept(load);
      await expectNoLeak(storage, cluster.adminUrl);
    },
    60_000,
  );

  test.each(Array.from({ length: rounds }, (_, round) => round + 1))(
    "crashes under load loses nothing acknowledged, and is used again once it is up, round %i",
    async (round) => {
      await using storage = createStorage(`crashed ${round}`, { databaseUrl: cluster.adminUrl });
      const load = new Load(storage, 16);
      await load.goesOn();
      await cluster.restart("immediate");
      await load.goesOn();
      await load.stop();
      expect(load.errors.length).toBeGreaterThan(0);
      expectHonest(load.errors);
      await expectKept(load);
      await expectNoLeak(storage, cluster.adminUrl);
    },
    60_000,
  );

  test("refuses a login has that said, though it has no TLS to try instead, and lets it in later", async () => {
    const login = await createLogin(cluster.adminUrl);
    const databaseUrl = login.as(cluster.adminUrl);
    await query(cluster.adminUrl, `ALTER ROLE ${login.name} NOLOGIN`);
    await query(cluster.adminUrl, `GRANT codespar_app TO ${login.name}`);
    try {
      await using storage = createStorage("login", { databaseUrl });
      for (let round = 0; round < 2; round += 1) {
        const calls = ["a", "b", "c", "d"].map((agent) => storage.audit.list({ agentId: agent }));
        for (const refused of await expectEach(calls, "UNAVAILABLE")) {
          expect(refused.message).toContain("the login was refused");
        }
      }
      const migration = await expectCode(migrate({ databaseUrl }), "UNAVAILABLE");
      expect(migration.message).toContain("the login was refused");
      await query(cluster.adminUrl, `ALTER ROLE ${login.name} LOGIN`);
      await storage.memory.set("agent", "key", 1);
      expect(await storage.memory.get("agent", "key")).toBe(1);
    } finally {
      await login.drop();
    }
  });

  test("waits in vain for its standby doesn't get its commits acknowledged", async () => {
    await using storage = createStorage("standby", { databaseUrl: cluster.adminUrl });
    await storage.memory.set("agent", "before", 1);
    await query(cluster.adminUrl, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
    await query(cluster.adminUrl, "SELECT pg_reload_conf()");
    try {
      const untilRefused = async () => {
        // The server takes a moment to mind its new setting: until then commits still pass.
        for (;;) await storage.memory.set("agent", "unreplicated", 1);
      };
      const refused = expectCode(untilRefused(), "UNAVAILABLE");
      await expect
        .poll(() =>
          query(
            cluster.adminUrl,
            "SELECT count(pg_cancel_backend(pid))::int FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'codespar'",
          ),
        )
        .toEqual([1]);
      expect((await refused).message).toMatch(/standby.*outcome unknown/);
    } finally {
      await withClient(cluster.adminUrl, async (client) => {
        await client.query("SET synchronous_commit = local");
        await client.query("ALTER SYSTEM RESET synchronous_standby_names");
        await client.query("SELECT pg_reload_conf()");
      });
    }
  });

  test.each(["off", "local"])("with synchronous_commit %s shows as not durable", async (value) => {
    const url = new URL(cluster.adminUrl);
    url.searchParams.set("options", `-c synchronous_commit=${value}`);
    await using storage = createStorage("org", { databaseUrl: url.href });
    const { durable, warnings, ok } = await storage.health({ timeoutMs: 20_000 });
    expect([ok, durable]).toEqual([true, false]);
    expect(warnings).toEqual([expect.stringContaining("synchronous_commit")]);
  });
});

describe("a network that", () => {
  let database: TestDatabase;
  let proxy: TcpProxy;
  let storage: Storage;

  beforeEach(async () => {
    database = await migratedDatabase();
    proxy = await TcpProxy.start(database.url);
    const databaseUrl = proxy.through(database.url);
    storage = createStorage("org", {
      databaseUrl,
      statementTimeoutMs: 1500,
      connectionTimeoutMs: 1500,
    });
    await storage.memory.set("agent", "key", "before");
    // Enough connections for the calls of a test, so that each is sent.
    const others = Array.from({ length: 8 }, (_, n) => storage.forOrg(`other ${n}`));
    await Promise.all(others.map((other) => other.memory.get("agent", "key")));
  });

  afterEach(async () => {
    await proxy[Symbol.asyncDispose]();
    await storage.close();
    await database.drop();
  });

  test("swallows everything ends each call within its timeout, and health within its own", async () => {
    proxy.blackhole();
    const outcomes = await Promise.allSettled([
      storage.memory.get("agent", "key"),
      storage.memory.set("agent", "key", "lost"),
      storage.audit.append({ action: "test.lost" }),
      storage.forOrg("other").memory.get("agent", "key"),
    ]);
    const errors = outcomes.map((outcome) =>
      outcome.status === "rejected" ? (outcome.reason as StorageError) : null,
    );
    expect(errors.map((error) => error?.code)).toEqual(errors.map(() => "UNAVAILABLE"));
    expect(errors[1]?.message).toContain("outcome unknown");
    const health = await storage.health({ timeoutMs: 300 });
    expect(health).toMatchObject({
      ok: false,
      code: "UNAVAILABLE",
      reason: expect.stringContaining("didn't answer within 300 ms"),
    });
    proxy.heal();
    expect(await storage.memory.get("agent", "key")).toBe("before");
  });

  test("loses the answer leaves the outcome of a write open, and never doubles an entry", async () => {
    proxy.swallowReplies();
    const id = "6c1f7f2e-43c7-4d4e-9b5e-0d7a2f0b9a11";
    const write = await expectCode(storage.memory.set("agent", "key", "after"), "UNAVAILABLE");
    expect(write.message).toContain("outcome unknown");
    const append = storage.forOrg("other").audit.append({ id, action: "test.once" });
    expect((await expectCode(append, "UNAVAILABLE")).message).toContain("outcome unknown");
    proxy.heal();
    expect(await storage.memory.get("agent", "key")).toBe("after");
    const { audit } = storage.forOrg("other");
    expect(await audit.append({ id, action: "test.once" })).toMatchObject({ id, seq: 0 });
    expect(await audit.verify()).toMatchObject({ size: 1 });
  });

  test("cuts connections under load loses nothing acknowledged", async () => {
    const load = new Load(storage, 16);
    for (let i = 0; i < 5; i += 1) {
      await load.goesOn();
      proxy.cut();
    }
    await load.goesOn();
    await load.stop();
    expectHonest(load.errors);
    await expectKept(load);
  });
});

describe("connections", () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await migratedDatabase();
  });

  afterEach(() => database.drop());

  function open(): Promise<unknown[]> {
    return query(
      database.adminUrl,
      "SELECT count(*)::int FROM pg_stat_activity WHERE datname = $1 AND application_name = 'codespar'",
      [database.name],
    );
  }

  test("are at most as many as allowed, and gone after close", async () => {
    {
      await using storage = createStorage("org", { databaseUrl: database.url, maxConnections: 3 });
      const orgs = Array.from({ length: 30 }, (_, n) => storage.forOrg(`org ${n}`));
      await Promise.all(orgs.map((org) => org.memory.set("agent", "key", 1)));
      expect(await open()).toEqual([3]);
      await Promise.allSettled(
        orgs.map((org) => org.memory.set("agent", "key", 1, { ifAbsent: true })),
      );
      await Promise.all(orgs.map((org) => org.memory.get("agent", "key")));
      expect(await open()).toEqual([3]);
    }
    await expect.poll(open).toEqual([0]);
  });

  test("of the caller's pool are lent back, whatever happens, and the pool goes on", async () => {
    const pool = new pg.Pool({ connectionString: database.url, max: 2 });
    pool.on("error", () => undefined);
    {
      await using storage = createStorage("org", { pool });
      await Promise.allSettled(
        Array.from({ length: 20 }, (_, n) =>
          storage.forOrg(`org ${n % 5}`).memory.set("agent", "key", n, { ifAbsent: true }),
        ),
      );
    }
    expect([pool.waitingCount, pool.totalCount - pool.idleCount, pool.ended]).toEqual([
      0,
      0,
      false,
    ]);
    expect((await pool.query("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
    await pool.end();
  });

  test("a failed one isn't remembered", async () => {
    const proxy = await TcpProxy.start(database.url);
    const databaseUrl = proxy.through(database.url);
    await proxy[Symbol.asyncDispose]();
    await using storage = createStorage("org", { databaseUrl });
    const error = await expectCode(storage.memory.get("agent", "key"), "UNAVAILABLE");
    expect(error.message).toContain("nothing listens there");
  });

  test("that can't be made leaves health unknown, but for what is configured here", async () => {
    const databaseUrl = "postgres://user@127.0.0.1:1/none";
    const unknown = { ok: false, durable: null, isolation: null, migrations: null, warnings: [] };
    const encryptionKey = randomBytes(32).toString("base64");
    for (const [options, encryption] of [
      [{ databaseUrl, encryptionKey }, null],
      [{ databaseUrl }, "missing"],
    ] as const) {
      await using storage = createStorage("org", options);
      expect(await storage.health({ timeoutMs: 20_000 })).toMatchObject({ ...unknown, encryption });
    }
  });
});

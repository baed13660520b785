import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createLogin,
  createTestDatabase,
  hasPgBouncer,
  PGBOUNCER_MISSING,
  startPgBouncer,
  type TestDatabase,
  type TestLogin,
} from "../../../../tooling/postgres.ts";
import { createStorage, migrate } from "../../src/index.ts";
import { poolWithoutPredicates } from "../support/without-predicates.ts";
import { exercise } from "./exercise.ts";
import { migratedDatabase, query } from "./support.ts";
import {
  asRole,
  copies,
  encryptionKey,
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
  await query(database.adminUrl, `GRANT codespar_app TO ${login.name}`);
  await fill(database.url);
});

afterAll(async () => {
  await database.drop();
  await login.drop();
});

const asApp = <Result>(
  orgId: string | null,
  work: (run: (text: string) => Promise<pg.QueryResult>) => Promise<Result>,
) => asRole(login.as(database.url), "codespar_app", orgId, work);

/** How many rows a DELETE takes, or how it is refused. */
function deletedBy(orgId: string | null, text: string): Promise<unknown> {
  return asApp(orgId, (run) => run(text)).then(
    ({ rowCount }) => rowCount,
    ({ code }: pg.DatabaseError) => code,
  );
}

describe("raw SQL as codespar_app", () => {
  test.each([null, "", "gamma"])(
    "with the organisation %j sees and changes nothing",
    async (orgId) => {
      for (const table of [...records, ...trail, ...copies]) {
        expect([
          table,
          await asApp(orgId, (run) => run(`SELECT * FROM ${table}`)).then((r) => r.rowCount),
        ]).toEqual([table, 0]);
      }
      for (const table of records) {
        expect(
          await asApp(orgId, (run) => run(`UPDATE ${table} SET version = 'x'`)).then(
            (r) => r.rowCount,
          ),
        ).toBe(0);
        expect([table, await deletedBy(orgId, `DELETE FROM ${table}`)]).toEqual([
          table,
          kept.includes(table) ? "42501" : 0,
        ]);
      }
    },
  );

  test("sees the rows of its organisation only", async () => {
    for (const table of [...records, ...trail, ...copies]) {
      const seen = await asApp(
        "alpha",
        async (run) => (await run(`SELECT org_id, t::text AS row FROM ${table} AS t`)).rows,
      );
      expect(seen.length).toBeGreaterThan(0);
      expect(new Set(seen.map(({ org_id }) => org_id))).toEqual(new Set(["alpha"]));
    }
  });

  test("changes no row of another organisation, and moves none to or from it", async () => {
    for (const table of records) {
      const deleted = await deletedBy("alpha", `DELETE FROM ${table} WHERE org_id = 'beta'`);
      expect([table, deleted]).toEqual([table, kept.includes(table) ? "42501" : 0]);
      const moved = asApp("alpha", (run) => run(`UPDATE ${table} SET org_id = 'beta'`));
      expect([table, await sqlState(moved)]).toEqual([table, "42501"]);
      const columns = await query(
        database.url,
        `SELECT string_agg(quote_ident(attname), ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '${table}'::regclass AND attnum > 1`,
      );
      const inserted = asApp("alpha", (run) =>
        run(`INSERT INTO ${table} (org_id, ${columns}) SELECT 'beta', ${columns} FROM ${table}`),
      );
      expect([table, await sqlState(inserted)]).toEqual([table, "42501"]);
    }
  });

  test("reaches neither the routes of Slack nor the key's canary", async () => {
    for (const table of ["codespar.slack_routes", "codespar.key_canary"]) {
      expect(await sqlState(asApp("alpha", (run) => run(`SELECT * FROM ${table}`)))).toBe("42501");
    }
  });

  test("can't act for another organisation through a function", async () => {
    for (const call of [
      "codespar.slack_route('beta', '{}', '{Tbetas}')",
      "codespar.require_org('beta')",
    ]) {
      expect([call, await sqlState(asApp("alpha", (run) => run(`SELECT ${call}`)))]).toEqual([
        call,
        "42501",
      ]);
    }
  });

  test("can't put on the owner's eyes", async () => {
    const seen = await asApp(null, async (run) => {
      await run("SET LOCAL codespar.maintenance = 'on'");
      return run("SELECT * FROM public.agent_memory");
    });
    expect(seen.rowCount).toBe(0);
    expect(await sqlState(asApp(null, (run) => run("SET ROLE codespar_owner")))).toBe("42501");
  });
});

test("with the org_id predicates taken out of every statement organisations stay apart", async () => {
  await using own = await migratedDatabase();
  const careless = poolWithoutPredicates(own.url);
  {
    await using storage = createStorage("alpha", { pool: careless.pool, encryptionKey });
    const [alphas, betas] = await Promise.all([
      exercise(storage, "alphas"),
      exercise(storage.forOrg("beta"), "betas"),
    ]);
    expect(JSON.stringify(alphas)).toContain("alphas");
    expect(JSON.stringify(alphas)).not.toContain("betas");
    expect(JSON.stringify(betas)).not.toContain("alphas");
  }
  // Fails, too, for a statement on data that kept one, or had none to lose.
  await careless.close();
  expect(careless.broken).toEqual(careless.seen);
  expect(careless.seen.size).toBeGreaterThan(45);
});

describe("logging in", () => {
  test("as a user that was only granted codespar_app works, and shows roles", async () => {
    await using storage = createStorage("alpha", {
      databaseUrl: login.as(database.url),
      encryptionKey,
    });
    expect(await storage.health({ timeoutMs: 20_000 })).toMatchObject({
      ok: true,
      isolation: "roles",
      warnings: [],
    });
    expect(await storage.memory.get("agent", "one")).toBe("alphas");
  });

  test("as a user without it says what to grant", async () => {
    const other = await createLogin(database.adminUrl);
    try {
      await using storage = createStorage("alpha", {
        databaseUrl: other.as(database.url),
        encryptionKey,
      });
      await expect(storage.memory.get("agent", "one")).rejects.toThrow(
        `GRANT codespar_app TO ${other.name}`,
      );
      expect(await storage.health({ timeoutMs: 20_000 })).toMatchObject({
        ok: false,
        code: "UNAVAILABLE",
      });
    } finally {
      await other.drop();
    }
  });

  test("leaves nothing of it on a connection", async () => {
    const pool = new pg.Pool({ connectionString: database.url, max: 1 });
    {
      await using storage = createStorage("alpha", { pool, encryptionKey });
      await storage.memory.get("agent", "one");
      const { rows } = await pool.query(
        "SELECT current_user AS who, current_setting('codespar.org_id', true) AS org, current_setting('enable_sort') AS sort",
      );
      expect(rows).toEqual([{ who: "postgres", org: "", sort: "on" }]);
    }
    await pool.end();
  });
});

test("a plain owner that can't create roles is isolated by policies", async () => {
  const owner = await createLogin(database.adminUrl);
  const own = await createTestDatabase({ owner: owner.name });
  try {
    // As on a server of its own: nobody has granted this user our roles.
    const databaseUrl = owner.as(own.url);
    await migrate({ databaseUrl });
    {
      await using storage = createStorage("alpha", { databaseUrl, encryptionKey });
      const alphas = await exercise(storage, "alphas");
      const betas = await exercise(storage.forOrg("beta"), "betas");
      expect(JSON.stringify(alphas)).not.toContain("betas");
      expect(JSON.stringify(betas)).not.toContain("alphas");
      expect(await storage.health({ timeoutMs: 20_000 })).toMatchObject({
        ok: true,
        isolation: "policies",
        warnings: [],
      });
    }
    for (const table of [...records, ...trail, ...copies]) {
      expect([table, await query(databaseUrl, `SELECT count(*)::int FROM ${table}`)]).toEqual([
        table,
        [0],
      ]);
    }
    const withMaintenance = new URL(databaseUrl);
    withMaintenance.searchParams.set("options", "-c codespar.maintenance=on");
    expect(
      await query(withMaintenance.href, "SELECT DISTINCT org_id FROM agent_memory ORDER BY 1"),
    ).toEqual(["alpha", "beta"]);
    for (const verb of [
      "UPDATE audit_log SET action = 'x'",
      "DELETE FROM audit_log",
      "TRUNCATE audit_log",
    ]) {
      expect([verb, await sqlState(query(withMaintenance.href, verb))]).toEqual([verb, "42501"]);
    }
    const careless = poolWithoutPredicates(databaseUrl);
    {
      await using storage = createStorage("beta", { pool: careless.pool, encryptionKey });
      expect((await storage.memory.list("agent")).items.map(({ value }) => value)).not.toContain(
        "alphas",
      );
    }
    await careless.close();
  } finally {
    await own.drop();
    await owner.drop();
  }
});

describe("PgBouncer in transaction mode", () => {
  test.skipIf(!hasPgBouncer())(
    `keeps organisations apart on shared connections (${PGBOUNCER_MISSING})`,
    async () => {
      await using bouncer = await startPgBouncer(database.url, {
        settings: { default_pool_size: "2" },
      });
      await using storage = createStorage("alpha", {
        databaseUrl: bouncer.url,
        encryptionKey,
        preparedStatements: false,
        maxConnections: 8,
      });
      const other = storage.forOrg("beta");
      await Promise.all(
        Array.from({ length: 200 }, async (_, n) => {
          const [mine, theirs] = await Promise.all([
            storage.memory
              .set("bouncer", `${n}`, "alphas")
              .then(() => storage.memory.get("bouncer", `${n}`)),
            other.memory
              .set("bouncer", `${n}`, "betas")
              .then(() => other.memory.get("bouncer", `${n}`)),
          ]);
          expect([mine, theirs]).toEqual(["alphas", "betas"]);
        }),
      );
      expect(await storage.audit.verify()).toMatchObject({ verdict: "unanchored" });
    },
  );
});

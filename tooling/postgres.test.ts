import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import pg from "pg";
import { describe, expect, test } from "vitest";
import {
  createTestDatabase,
  type DatabaseTemplate,
  hasPgBouncer,
  PGBOUNCER_MISSING,
  startCluster,
  startPgBouncer,
} from "./postgres.ts";

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query({ text: sql, rowMode: "array" })).rows.flat();
  } finally {
    await client.end();
  }
}

describe("test databases", () => {
  test("are empty, of one's own and gone afterwards", async () => {
    const database = await createTestDatabase();
    await query(database.url, "CREATE TABLE t (n int)");
    await using other = await createTestDatabase();
    expect(await query(other.url, "SELECT to_regclass('t')::text")).toEqual([null]);
    await database.drop();
    const left = `SELECT count(*)::int FROM pg_database WHERE datname = '${database.name}'`;
    expect(await query(database.adminUrl, left)).toEqual([0]);
  });

  test("copy a template that is prepared once however many ask for it", async () => {
    let prepared = 0;
    const template: DatabaseTemplate = {
      name: "harness test",
      async prepare(url) {
        prepared += 1;
        await query(url, "CREATE TABLE t AS SELECT 7 AS n");
      },
    };
    const databases = await Promise.all([1, 2, 3, 4].map(() => createTestDatabase({ template })));
    for (const database of databases) {
      expect(await query(database.url, "SELECT n FROM t")).toEqual([7]);
      await database.drop();
    }
    expect(prepared).toBe(1);
  });
});

describe.each([14, 18] as const)("a cluster of PostgreSQL %i", (major) => {
  test("keeps what was committed over an immediate stop, and its port", async () => {
    await using cluster = await startCluster({ major, settings: { work_mem: "5MB" } });
    const { port } = cluster;
    expect(await query(cluster.adminUrl, "SHOW fsync")).toEqual(["on"]);
    expect(await query(cluster.adminUrl, "SHOW work_mem")).toEqual(["5MB"]);
    const version = await query(cluster.adminUrl, "SHOW server_version_num");
    expect(String(version[0]).slice(0, 2)).toBe(String(major));
    await query(cluster.adminUrl, "CREATE TABLE t AS SELECT 7 AS n");
    await cluster.restart("immediate");
    expect(cluster.port).toBe(port);
    expect(await query(cluster.adminUrl, "SELECT n FROM t")).toEqual([7]);
  });
});

test("a cluster that can't start says why, and leaves nothing", async () => {
  const settings = { shared_buffers: "nonsense" };
  await expect(startCluster({ settings })).rejects.toThrow(/invalid value.*shared_buffers/);
});

test("a cluster goes with its process, kill -9 included", async () => {
  const script = `
    import { startCluster } from ${JSON.stringify(new URL("./dist/postgres.js", import.meta.url).href)};
    const cluster = await startCluster();
    console.log(JSON.stringify({ pid: cluster.pid, folder: cluster.socketFolder }));
    setInterval(() => {}, 1000);
  `;
  await promisify(execFile)(process.execPath, ["scripts/setup.mjs", "tooling"]);
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const printed: string = await new Promise((resolve) =>
    child.stdout.once("data", (data) => resolve(String(data))),
  );
  const { pid, folder }: { pid: number; folder: string } = JSON.parse(printed);
  expect(isAlive(pid)).toBe(true);
  child.kill("SIGKILL");
  await expect.poll(() => [isAlive(pid), existsSync(folder)]).toEqual([false, false]);
});

describe("PgBouncer", () => {
  test.skipIf(!hasPgBouncer())(
    `shares connections per transaction (${PGBOUNCER_MISSING})`,
    async () => {
      await using database = await createTestDatabase();
      await using bouncer = await startPgBouncer(database.url, {
        settings: { default_pool_size: "1" },
      });
      const clients = [1, 2].map(() => new pg.Client({ connectionString: bouncer.url }));
      for (const client of clients) await client.connect();
      const pids = await Promise.all(
        clients.map((client) => client.query("SELECT pg_backend_pid()")),
      );
      expect(pids[0]?.rows).toEqual(pids[1]?.rows);
      for (const client of clients) await client.end();
    },
  );
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

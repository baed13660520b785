import pg from "pg";
import { afterEach, expect, test } from "vitest";
import type { TestDatabase } from "../../../../tooling/postgres.ts";
import { createStorage } from "../../src/index.ts";
import { migratedDatabase, query, withClient } from "./support.ts";

const instances = 3;
const callers = 24;
const appendsEach = 5;

let database: TestDatabase | undefined;
const pools: pg.Pool[] = [];

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.end()));
  await database?.drop();
  database = undefined;
});

test("instances that know nothing of each other make one trail without gap or fork", async () => {
  database = await migratedDatabase();
  const { url } = database;
  const storages = Array.from({ length: instances }, () => {
    const pool = new pg.Pool({ connectionString: url, max: 4 });
    pools.push(pool);
    return createStorage("org-shared", { pool });
  });
  const calls = storages.flatMap((storage, instance) =>
    Array.from({ length: callers }, async (_, caller) => {
      const entries = [];
      for (let n = 0; n < appendsEach; n += 1) {
        entries.push(
          await storage.audit.append({ action: `instance-${instance}.caller-${caller}` }),
        );
      }
      return entries;
    }),
  );
  const entries = (await Promise.all(calls)).flat();
  const total = instances * callers * appendsEach;
  expect(new Set(entries.map((entry) => entry.seq)).size).toBe(total);
  expect(Math.max(...entries.map((entry) => entry.seq))).toBe(total - 1);
  const [first] = storages;
  expect(await first?.audit.verify()).toMatchObject({
    verdict: "unanchored",
    size: total,
    firstFailure: null,
  });
  await Promise.all(storages.map((storage) => storage.close()));
});

// Instances that collide are only likely to: this shows without luck that one waits for the other.
test("an append waits for whoever holds the trail, and then follows what they did", async () => {
  database = await migratedDatabase();
  const { url } = database;
  const pool = new pg.Pool({ connectionString: url, max: 2 });
  pools.push(pool);
  const storage = createStorage("org-shared", { pool });
  await storage.audit.append({ action: "first" });

  await withClient(url, async (holder) => {
    await holder.query("BEGIN");
    await holder.query("SELECT 1 FROM codespar.audit_heads WHERE org_id = 'org-shared' FOR UPDATE");
    let settled = false;
    const appended = storage.audit.append({ action: "second" }).finally(() => {
      settled = true;
    });
    await expect.poll(() => waitingForLocks(url)).toBe(1);
    expect(settled).toBe(false);
    await holder.query("COMMIT");
    expect(await appended).toMatchObject({ seq: 1 });
  });
  await storage.close();
});

/** Asked on a connection of its own: within a transaction the answer never changes. */
async function waitingForLocks(url: string): Promise<unknown> {
  const [waiting] = await query(
    url,
    "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
  );
  return waiting;
}

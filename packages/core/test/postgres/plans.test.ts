import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterEach, describe, expect, test } from "vitest";
import {
  createTestDatabase,
  startCluster,
  type TestDatabase,
} from "../../../../tooling/postgres.ts";
import { createStorage, deploymentOf, migrate, type Storage } from "../../src/index.ts";

const stored = 400;
const times = 20;

let cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of cleanUp.reverse()) await step();
  cleanUp = [];
});

/** What is looked up by its key, wherever other indexes lead with the organisation too. */
async function lookUp(storage: Storage, n: number) {
  const { memory, agentStates, projects, subscribers, audit } = storage;
  await memory.get(`agent ${n}`, "key");
  await memory.getMany(`agent ${n}`, ["key", "other"]);
  await memory.set(`agent ${n}`, "key", n);
  await agentStates.get(`agent-${n}`);
  await agentStates.update(`agent-${n}`, { name: "renamed" });
  await projects.get(`project-${n}`);
  await projects.getBySlug(`slug-${n}`);
  await projects.rename(`project-${n}`, "Renamed");
  await subscribers.get(`s${n}@example.com`);
  await subscribers.confirm(`s${n}@example.com`);
  const { id, seq } = await audit.append({ action: "test.looked" });
  await audit.getById(id);
  await audit.get(seq);
  await audit.list({ limit: 1 });
  await audit.append({ id: randomUUID(), action: "test.looked" });
  // However much each of them holds.
  await deploymentOf(storage).organisations.list();
}

/** Makes what {@link lookUp} finds. */
async function fill(storage: Storage, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n += 1) {
    await storage.transaction(async (tx) => {
      await tx.memory.set(`agent ${n}`, "key", n);
      await tx.agentStates.set(`agent-${n}`, { status: "active" });
      await tx.projects.create({ id: `project-${n}`, name: `Project ${n}`, slug: `slug-${n}` });
      await tx.subscribers.subscribe(`s${n}@example.com`, { source: "test" });
    });
  }
}

/** Rows that indexes gave, and scans without one, in all of our tables so far. */
async function rowsRead(url: string, storage: Storage): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const number = async (query: string) =>
    Number(Object.values((await client.query<object>(query)).rows[0] ?? {})[0]);
  try {
    // A session reports what it did at the end of some transaction, all at once: when a lookup shows that finds nothing in a table that nothing
    // else uses here, so does all that went before it.
    const lookups =
      "SELECT sum(idx_scan) FROM pg_stat_user_indexes WHERE relname = 'project_configs'";
    const before = await number(lookups);
    const reported = async () => {
      await storage.projectConfigs.get("nothing");
      return number(lookups);
    };
    await expect.poll(reported, { interval: 200 }).toBeGreaterThan(before);
    return await number(
      "SELECT sum(idx_tup_read) + (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname <> '__drizzle_migrations') FROM pg_stat_user_indexes",
    );
  } finally {
    await client.end();
  }
}

/** A storage with a single connection: its plans are made on tables that hold next to nothing, and kept. */
function openOn(database: TestDatabase): Storage {
  const pool = new pg.Pool({ connectionString: database.url, max: 1 });
  cleanUp.push(() => pool.end());
  const storage = createStorage("org", { pool });
  cleanUp.push(() => storage.close());
  return storage;
}

describe.each([14, 18] as const)("on PostgreSQL %i", (major) => {
  test("a lookup reads as many rows among many records as among few, though planned among few", async () => {
    const cluster = await startCluster({ major, settings: { autovacuum: "off" } });
    cleanUp.push(() => cluster[Symbol.asyncDispose]());
    const database = await createTestDatabase({ adminUrl: cluster.adminUrl });
    cleanUp.push(() => database.drop());
    await migrate({ databaseUrl: database.url });
    const storage = openOn(database);
    await fill(storage, 0, times);
    const readBy = async (first: number) => {
      const before = await rowsRead(database.url, storage);
      for (let n = first; n < first + times; n += 1) await lookUp(storage, n);
      return (await rowsRead(database.url, storage)) - before;
    };
    const amongFew = await readBy(0);
    await fill(storage, times, stored);
    const amongMany = await readBy(stored - times);
    expect(amongFew).toBeGreaterThan(10 * times);
    // Halving the trail to find an instant, and pages of indexes, may add a little.
    expect(amongMany).toBeLessThan(2 * amongFew);
  });
});

import { afterEach, beforeEach, expect, test } from "vitest";
import type { TestDatabase } from "../../../../tooling/postgres.ts";
import { createStorage } from "../../src/index.ts";
import { migratedDatabase, query } from "./support.ts";

let database: TestDatabase;

beforeEach(async () => {
  database = await migratedDatabase();
});

afterEach(() => database.drop());

test("a process whose clock is fast gives its time to no entry", async () => {
  const yearMs = 365 * 24 * 3_600_000;
  let aheadMs = -yearMs;
  const options = { databaseUrl: database.url, clock: () => Date.now() + aheadMs };
  await using storage = createStorage("org", options);
  const sealed = async (ms: number) => {
    aheadMs = ms;
    return storage.audit.append({ action: "test.sealed" });
  };
  const entries = [await sealed(-yearMs), await sealed(yearMs), await sealed(-yearMs)];
  const [first = 0, second = 0, third] = entries.map(({ sealedAt }) => Date.parse(sealedAt));
  const [serverMs] = await query(
    database.url,
    "SELECT 1000 * extract(epoch FROM clock_timestamp())",
  );
  const now = Number(serverMs);
  expect(first).toBeLessThan(now - yearMs / 2);
  expect(second).toBeGreaterThan(now - yearMs / 2);
  expect(second).toBeLessThanOrEqual(now);
  // A trail's time never goes back.
  expect(third).toBe(second);
  expect((await storage.audit.list()).items).toEqual(entries.reverse());
  const { firstFailure, warnings } = await storage.audit.verify();
  expect([firstFailure, warnings]).toEqual([null, [expect.stringMatching(/^Nothing outside/)]]);
});

test.each(["infinity", "9999", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000Z\n"])(
  "nothing is sealed at %j",
  async (ts) => {
    const sealing = `SELECT codespar.audit_append('org', 'codespar/log/0', '${ts}', ${"'{}', ".repeat(19)}'{}')`;
    await expect(
      query(database.url, `SET codespar.org_id = 'org'; ${sealing}`),
    ).rejects.toMatchObject({ code: "22007" });
  },
);

import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { TestDatabase } from "../../../../tooling/postgres.ts";
import { createStorage, keepCheckpoints, type Storage } from "../../src/index.ts";
import { migratedDatabase } from "./support.ts";

const encryptionKey = randomBytes(32).toString("base64");
let database: TestDatabase;
let pools: pg.Pool[] = [];
let storages: Storage[] = [];

beforeEach(async () => {
  database = await migratedDatabase();
});

afterEach(async () => {
  await Promise.all(storages.map((storage) => storage.close()));
  await Promise.all(pools.map((pool) => pool.end()));
  [pools, storages] = [[], []];
  await database.drop();
});

/** An instance that shares nothing with the others but the database. */
function instance(): Storage {
  const pool = new pg.Pool({ connectionString: database.url, max: 4 });
  const storage = createStorage("org-shared", { pool, encryptionKey });
  pools.push(pool);
  storages.push(storage);
  return storage;
}

test("instances that sign at the same time never sign two trees of one size", async () => {
  const instances = [instance(), instance(), instance()];
  await instances[0]?.audit.append({ action: "test.first" });
  // Whoever comes too late often enough may be told so; what was signed is what counts.
  const signing = instances.flatMap(({ audit }) =>
    [1, 2, 3].map(async () => {
      await audit.append({ action: "test.more" });
      return audit.checkpoint();
    }),
  );
  const settled = await Promise.allSettled(signing);
  const codes = settled.flatMap((each) => (each.status === "rejected" ? [each.reason.code] : []));
  expect(codes.filter((code) => code !== "CONFLICT")).toEqual([]);
  const signed = settled.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  const { audit } = instance();
  await audit.checkpoint();
  const stored = (await audit.checkpoints()).items;
  for (const checkpoint of signed) expect(stored).toContainEqual(checkpoint);
  expect(await audit.keys()).toHaveLength(1);
  expect((await audit.list({ action: "audit.key_*" })).items).toHaveLength(1);
  expect(await audit.verify()).toMatchObject({
    firstFailure: null,
    checks: { signature: stored.length },
  });
});

test("an instance sees what others append, each entry once and in order", async () => {
  const [watching, other] = [instance(), instance()];
  await other.audit.append({ action: "test.before" });
  const seen: number[] = [];
  const { signal } = new AbortController();
  const done = (async () => {
    for await (const { seq } of watching.audit.watch({ after: 0, signal }))
      if (seen.push(seq) === 40) return;
  })();
  for (let n = 0; n < 10; n += 1) {
    const theirs = Promise.all([1, 2, 3].map(() => other.audit.append({ action: "test.theirs" })));
    await Promise.all([theirs, watching.audit.append({ action: "test.own" })]);
  }
  await done;
  expect(seen).toEqual(Array.from({ length: 40 }, (_, n) => n + 1));
});

test("what an instance that signs nothing appends is signed by one that does", async () => {
  const [signing, appending] = [instance(), instance()];
  const sizes = new Map<number, () => void>();
  const signed = (size: number) => new Promise<void>((resolve) => sizes.set(size, resolve));
  const [first, second] = [signed(2), signed(3)];
  await appending.audit.append({ action: "test.first" });
  const keeper = keepCheckpoints(signing, {
    everySeconds: 0.01,
    onEvent: (event) => {
      if (event.kind === "signed") sizes.get(event.checkpoint.size)?.();
    },
  });
  try {
    // At its start; the second entry announces the key.
    await first;
    await appending.audit.append({ action: "test.later" });
    await second;
    expect(keeper.status()).toMatchObject({ off: null, unsignedEntries: 0 });
  } finally {
    await keeper.close();
  }
});

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TestDatabase } from "../../../../tooling/postgres.ts";
import { createStorage } from "../../src/index.ts";
import { arrayParameter } from "../../src/storage/postgres/wire.ts";
import { backendOn, migratedDatabase, query, withClient } from "./support.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await migratedDatabase();
});

afterAll(() => database.drop());

/** What `codespar.jsonb` makes of JSON text. */
async function asJsonb(json: string): Promise<unknown> {
  const [value] = await query(database.url, "SELECT codespar.jsonb($1::json)", [json]);
  return value;
}

describe("codespar.jsonb", () => {
  test.each([
    [String.raw`"a\u0000b"`, "a\ufffdb"],
    [String.raw`"\u0000\u0000"`, "\ufffd\ufffd"],
    [String.raw`"\\u0000"`, String.raw`\u0000`],
    [String.raw`"\\\u0000"`, "\\\ufffd"],
    [String.raw`"\ud800"`, "\ufffd"],
    [String.raw`"\uDFFF x"`, "\ufffd x"],
    [String.raw`"\ud83d\ude00"`, "😀"],
    [String.raw`"\ud83d\ud83d\ude00\ude00"`, "\ufffd😀\ufffd"],
    [String.raw`"\\ud83d\ude00"`, "\\ud83d\ufffd"],
    [String.raw`{"\u0000": [1, "\ud800", {"x": "é"}]}`, { "\ufffd": [1, "\ufffd", { x: "é" }] }],
    ["null", null],
    ["[]", []],
  ])("makes %s a value that jsonb can hold", async (json, expected) => {
    expect(await asJsonb(json)).toEqual(expected);
  });

  test("makes a table queryable in which one value holds \\u0000, and carries an index", async () => {
    await using storage = createStorage("jsonb", { databaseUrl: database.url });
    await storage.memory.set("agent", "bad", { kind: "\u0000" });
    await storage.memory.set("agent", "good", { kind: "wanted" });
    await withClient(database.url, async (client) => {
      await client.query("CREATE INDEX ON agent_memory ((codespar.jsonb(value) ->> 'kind'))");
      const { rows } = await client.query(
        "SELECT key FROM agent_memory WHERE codespar.jsonb(value) ->> 'kind' = 'wanted'",
      );
      expect(rows).toEqual([{ key: "good" }]);
    });
  });
});

test.each([
  [[]],
  [[null]],
  [["", 'quote " brace } comma , back \\ NULL', null, "é😀"]],
  [Array.from({ length: 1000 }, (_, n) => `${n}`)],
])("an array parameter comes through as it is: %j", async (values) => {
  const rows = await query(database.url, "SELECT unnest($1::text[])", [arrayParameter(values)]);
  expect(rows).toEqual(values);
});

test("bytes come through an array parameter", async () => {
  const bytes = Buffer.from([0, 1, 255]);
  expect(
    await query(database.url, "SELECT unnest($1::bytea[])", [
      arrayParameter([bytes, null], "bytea"),
    ]),
  ).toEqual([bytes, null]);
});

test("neither DateStyle, TimeZone nor bytea_output of the login changes what is read", async () => {
  const url = new URL(database.url);
  url.searchParams.set(
    "options",
    "-c datestyle=SQL,DMY -c timezone=Asia/Kolkata -c bytea_output=escape -c intervalstyle=sql_standard",
  );
  await using storage = createStorage("settings", {
    databaseUrl: url.href,
    clock: () => Date.UTC(2024, 1, 3, 4, 5, 6, 7),
  });
  await storage.memory.set("agent", "key", 1, { ttlMs: 1000 });
  expect(await storage.memory.getEntry("agent", "key")).toMatchObject({
    createdAt: "2024-02-03T04:05:06.007Z",
    expiresAt: "2024-02-03T04:05:07.007Z",
  });
  await storage.audit.append({
    action: "test.settings",
    occurredAt: "2024-01-02T03:04:05.678Z",
    details: { a: 1 },
  });
  expect(await storage.audit.verify()).toMatchObject({ verdict: "unanchored", size: 1 });
});

describe("expired records", () => {
  test("are reclaimed in every organisation, and only those the server's own clock agrees on", async () => {
    const hourMs = 60 * 60 * 1000;
    const past = createStorage("expired", {
      databaseUrl: database.url,
      clock: () => Date.now() - hourMs,
    });
    await past.memory.set("agent", "long gone", 1, { ttlMs: 1000 });
    await past.forOrg("expired too").memory.set("agent", "long gone", 1, { ttlMs: 1000 });
    await past.close();
    const future = createStorage("expired", {
      databaseUrl: database.url,
      clock: () => Date.now() + hourMs,
    });
    await future.forOrg("expired").memory.set("agent", "lasting", 1);
    await future.close();
    await using storage = createStorage("expired", { databaseUrl: database.url });
    await storage.memory.set("agent", "current", 1, { ttlMs: hourMs / 2 });
    const backend = backendOn(database.url);
    await backend.commit(
      "expired",
      { checks: [], writes: [], appends: [] },
      { now: Date.now() + 10 * hourMs },
    );
    await backend.close();
    const left = await query(
      database.url,
      "SELECT key FROM agent_memory WHERE org_id LIKE 'expired%' ORDER BY key",
    );
    expect(left).toEqual(["current", "lasting"]);
  });
});

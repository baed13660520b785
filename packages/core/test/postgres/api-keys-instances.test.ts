import { afterEach, beforeEach, expect, test } from "vitest";
import type { TestDatabase } from "../../../../tooling/postgres.ts";
import { authenticateApiKey, createStorage, hasApiKeys } from "../../src/index.ts";
import { migratedDatabase, query } from "./support.ts";

let database: TestDatabase;
beforeEach(async () => {
  database = await migratedDatabase();
});
afterEach(() => database.drop());

/** A handle that shares nothing with others: as in another process. */
function instance(name: string, clock: () => number) {
  const url = new URL(database.url);
  url.searchParams.set("application_name", name);
  return createStorage("acme", { databaseUrl: url.href, clock });
}

test("what one instance changes, every other one follows within a second, whatever it remembers", async () => {
  let nowMs = Date.now();
  await using one = instance("one", () => nowMs);
  await using other = instance("other", () => nowMs);
  expect(await hasApiKeys(other)).toBe(false);
  const { key, token } = await one.apiKeys.create({ name: "CI", scopes: ["read"] });
  const text = token.reveal();
  nowMs += 999;
  expect(await hasApiKeys(other)).toBe(true);
  const works = async () => (await authenticateApiKey(other, text)) !== null;
  expect(await works()).toBe(true);
  await one.apiKeys.revoke(key.id);
  nowMs += 999;
  expect(await works()).toBe(false);
  const next = await one.apiKeys.create({ name: "CI", scopes: ["read"] });
  const rotated = await one.apiKeys.rotate(next.key.id, { overlapMs: 1000 });
  expect(await authenticateApiKey(other, next.token.reveal())).not.toBeNull();
  expect(await authenticateApiKey(other, rotated.token.reveal())).not.toBeNull();
  nowMs += 1000;
  expect(await authenticateApiKey(other, next.token.reveal())).toBeNull();
});

test("a clock that is set back doesn't make a process remember for longer", async () => {
  let nowMs = Date.now();
  await using one = instance("one", () => nowMs);
  await using other = instance("other", () => nowMs);
  const { key, token } = await one.apiKeys.create({ name: "CI", scopes: ["read"] });
  expect(await authenticateApiKey(other, token.reveal())).not.toBeNull();
  await one.apiKeys.revoke(key.id);
  nowMs -= 60_000;
  expect(await authenticateApiKey(other, token.reveal())).toBeNull();
});

test("guesses at one key cost one read in half a second, and an outage isn't remembered", async () => {
  const nowMs = Date.now();
  await using storage = instance("guessed", () => nowMs);
  const { token } = await storage.apiKeys.create({ name: "CI", scopes: ["read"] });
  const right = token.reveal();
  const guess = right.slice(0, -43) + "A".repeat(43);
  await query(database.url, "ALTER TABLE codespar.api_keys RENAME TO hidden");
  for (const text of [right, guess])
    await expect(authenticateApiKey(storage, text)).rejects.toMatchObject({
      code: expect.any(String),
    });
  await query(database.url, "ALTER TABLE codespar.hidden RENAME TO api_keys");
  expect(await authenticateApiKey(storage, guess)).toBeNull();
  // Even this can't be read now, and needn't be.
  await query(database.url, "ALTER TABLE codespar.api_keys RENAME TO hidden");
  const guesses = Array.from({ length: 50 }, () => authenticateApiKey(storage, guess));
  expect(await Promise.all(guesses)).toEqual(guesses.map(() => null));
  expect(await authenticateApiKey(storage, right)).not.toBeNull();
  await query(database.url, "ALTER TABLE codespar.hidden RENAME TO api_keys");
});

test("a use that can't be noted is no reason to refuse the key", async () => {
  const nowMs = Date.now();
  const storage = instance("unnoted", () => nowMs);
  const { key, token } = await storage.apiKeys.create({ name: "CI", scopes: ["read"] });
  await query(database.url, "REVOKE UPDATE ON codespar.api_keys FROM codespar_app");
  for (let i = 0; i < 3; i += 1)
    expect(await authenticateApiKey(storage, token.reveal())).not.toBeNull();
  // Waits for what is in flight.
  await storage.close();
  await using other = instance("other", () => nowMs);
  expect((await other.apiKeys.get(key.id))?.lastUsedAt).toBeNull();
});

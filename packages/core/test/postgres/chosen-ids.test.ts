import { afterEach, beforeEach, expect, test } from "vitest";
import type { TestDatabase } from "../../../../tooling/postgres.ts";
import { prepareEntry } from "../../src/audit/entry.ts";
import { EntryKnown } from "../../src/storage/backend.ts";
import type { PostgresBackend } from "../../src/storage/postgres/postgres-backend.ts";
import { backendOn, migratedDatabase } from "./support.ts";

const id = "0b8f6c1e-58d0-7c0e-8b58-6a6d2f5d9a10";

let database: TestDatabase;
let backend: PostgresBackend;

beforeEach(async () => {
  database = await migratedDatabase();
  backend = backendOn(database.url);
});

afterEach(async () => {
  await backend.close();
  await database.drop();
});

/** The smallest entry, and one with all that a leaf can hold. */
const entries = {
  least: { id, actor: { type: "user", id: "ada" }, action: "test.least", outcome: "success" },
  all: {
    id,
    actor: { type: "user", id: "ada" },
    action: "test.all",
    outcome: "approved",
    target: { type: "service", id: "wéb \u{1f600} \\ %" },
    agent: { id: "agent", autonomyLevel: 2 },
    project: "project",
    risk: "high",
    correlationId: "corr",
    occurredAt: "2024-05-06T05:08:09.501Z",
  },
} as const;

test.each(Object.values(entries))("sent again, $action is found to be itself", async (content) => {
  const call = { now: Date.now() };
  const send = (entry: ReturnType<typeof prepareEntry>) =>
    backend.commit(
      "org",
      { checks: [], writes: [], appends: [entry], chosenIds: [id] },
      { now: call.now + 1000 },
    );
  await backend.commit(
    "org",
    {
      checks: [],
      writes: [],
      appends: [prepareEntry({ ...content, id: id.replace("0b", "0c") }, {})],
    },
    call,
  );
  const entry = prepareEntry(content, { details: '{"text":"a\\u0000b"}' });
  const first = await send(entry);
  expect(first.appends).toMatchObject([{ seq: 1 }]);
  const appends = first.appends.map((appended) => ({ ...appended, known: true }));
  expect(await send(entry)).toEqual({ ...first, appends });
  await expect(send(prepareEntry(content, { details: '{"text":"a\\u0000b"}' }))).rejects.toThrow(
    EntryKnown,
  );
  expect(await backend.auditHead("org", call)).toMatchObject({ size: 2 });
});

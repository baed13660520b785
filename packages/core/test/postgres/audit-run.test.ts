import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { prepareEntry } from "../../src/audit/entry.ts";
import { backendOn, migratedDatabase, query } from "./support.ts";

const org = "org-run";
const now = { now: Date.UTC(2026, 0, 2, 3, 4, 5) };

test("a run of the trail reads as a search of it does, whatever the entries hold", async () => {
  await using database = await migratedDatabase();
  await using backend = backendOn(database.url);
  const odd = ['"\\\\ \u2028 é 😀', "plain", "\\101", "\\", "\u00ff\u0100"];
  for (const [n, text] of odd.entries()) {
    const said = {
      actor: { type: "user", id: text },
      action: "test.odd",
      outcome: "success",
    } as const;
    const more = n % 2 === 0 ? { occurredAt: "2024-05-06T07:08:09.123Z", project: text } : {};
    const parts: Record<string, string> =
      n === 1 ? {} : { details: JSON.stringify(text), more: "1" };
    const entry = prepareEntry({ id: randomUUID(), ...said, ...more }, parts);
    await backend.commit(org, { checks: [], writes: [], appends: [entry] }, now);
  }
  const run = { filter: {}, limit: 3, order: "asc" } as const;
  for (const after of [undefined, 0, 2, 3, 4]) {
    const found = await backend.listAudit(org, { ...run, after }, now);
    const searched = await backend.listAudit(
      org,
      { ...run, after, filter: { action: "test.odd" } },
      now,
    );
    expect(found).toEqual(searched);
    const bare = await backend.listAudit(org, { ...run, after, bare: true }, now);
    expect(bare).toEqual(found.map((row) => ({ ...row, parts: [], projection: null })));
  }
  expect(await backend.listAudit(org, run, now)).toHaveLength(3);
});

test("a run reads instants to the millisecond, however late", async () => {
  await using database = await migratedDatabase();
  await using backend = backendOn(database.url);
  const years = [1970, 1999, 2000, 2284, 2286, 4284, 6567, 9999];
  const instants = years.flatMap((year) =>
    [0, 1, 499, 500, 996, 997, 999].map((ms) =>
      new Date(Date.UTC(year, 11, 31, 23, 59, 59, ms)).toISOString(),
    ),
  );
  const said = {
    actor: { type: "user", id: "ada" },
    action: "test.late",
    outcome: "success",
  } as const;
  const appends = instants.map((occurredAt) =>
    prepareEntry({ id: randomUUID(), ...said, occurredAt }, {}),
  );
  await backend.commit(org, { checks: [], writes: [], appends }, now);
  const run = await backend.listAudit(org, { filter: {}, limit: 100, order: "asc" }, now);
  expect(run.map(({ projection }) => projection?.occurredAt)).toEqual(instants);
});

test("a run leaves nothing out behind an entry that was removed", async () => {
  await using database = await migratedDatabase();
  await using backend = backendOn(database.url);
  for (let n = 0; n < 6; n += 1) {
    const said = {
      actor: { type: "user", id: "ada" },
      action: "test.plain",
      outcome: "success",
    } as const;
    const entry = prepareEntry({ id: randomUUID(), ...said }, { details: String(n) });
    await backend.commit(org, { checks: [], writes: [], appends: [entry] }, now);
  }
  await query(database.url, "ALTER TABLE audit_log DISABLE TRIGGER USER");
  await query(database.url, "DELETE FROM audit_log WHERE seq = 1");
  const page = async (after?: number) =>
    (await backend.listAudit(org, { filter: {}, limit: 2, order: "asc", after }, now)).map(
      ({ seq }) => seq,
    );
  expect([await page(), await page(0), await page(2), await page(4)]).toEqual([
    [0, 2],
    [2, 3],
    [3, 4],
    [5],
  ]);
  const rows = await backend.listAudit(org, { filter: {}, limit: 3, order: "asc" }, now);
  expect(rows.map(({ seq, parts }) => [seq, parts[0]?.body])).toEqual([
    [0, "0"],
    [2, "2"],
    [3, "3"],
  ]);
});

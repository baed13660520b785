import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { AuditRow, Backend, StoredRecord } from "../../src/storage/backend.ts";
import { openBackend } from "../../src/storage/create-storage.ts";
import { move } from "../../src/storage/move/move.ts";
import { type End, folder, using } from "./ends.ts";

let from: End;
let to: End;

beforeEach(async () => {
  [from, to] = [await folder(), await folder()];
  await using(from, "acme", async ({ memory, audit }) => {
    const items = Array.from({ length: 120 }, (_, i) => ({ key: `k${i}`, value: { i } }));
    await memory.setMany("coder", items);
    for (let i = 0; i < 3; i += 1) await audit.append({ action: "a.b", details: { i } });
  });
});

afterEach(async () => {
  await from[Symbol.asyncDispose]();
  await to[Symbol.asyncDispose]();
});

/** A target that stores something else than what it is given. */
async function moveInto(changed: (target: Backend) => Partial<Backend>): Promise<unknown> {
  const [source, target] = [openBackend(from.at), openBackend(to.at)];
  const overrides = changed(target);
  const unfaithful = new Proxy(target, {
    get(real, name) {
      const own: unknown = Reflect.get(overrides, name) ?? Reflect.get(real, name, real);
      return typeof own === "function" ? own.bind(real) : own;
    },
  });
  try {
    return await move(source, unfaithful, { clock: Date.now, keys: undefined });
  } finally {
    await Promise.all([source.close(), target.close()]);
  }
}

const records = (change: (records: readonly StoredRecord[]) => readonly StoredRecord[]) =>
  moveInto((target) => ({
    importRecords: (orgId, table, given, context) =>
      target.importRecords(orgId, table, change(given), context),
  }));

/** Changes the last entry that is read back. */
const entries = (change: (row: AuditRow) => AuditRow) =>
  moveInto((target) => ({
    listAudit: async (orgId, query, context) => {
      const rows = await target.listAudit(orgId, query, context);
      return rows.map((row) => (row.seq === 2 ? change(row) : row));
    },
  }));

function last(change: Partial<StoredRecord>) {
  return (given: readonly StoredRecord[]) =>
    given.map((record, i) => (i === given.length - 1 ? { ...record, ...change } : record));
}

describe("reading back", () => {
  it("finds nothing to object to where nothing changed", async () => {
    await expect(records((given) => given)).resolves.toMatchObject({ count: 123 });
  });

  it.each<[string, (given: readonly StoredRecord[]) => readonly StoredRecord[]]>([
    ["a record is missing", (given) => given.slice(1)],
    ["the last record is missing", (given) => given.slice(0, -1)],
    ["a value differs", last({ columns: { value: '{"i": 0}' } })],
    ["a version differs", last({ version: "other" })],
    ["an instant differs", last({ updatedAt: "2020-01-01T00:00:00.000Z" })],
    ["an expiry appears", last({ expiresAt: "2999-01-01T00:00:00.000Z" })],
    ["a key differs", last({ key: ["coder", "zzz"] })],
  ])("notices that %s", async (_what, change) => {
    await expect(records(change)).rejects.toMatchObject({ code: "CORRUPTION" });
  });

  it("notices a record too many", async () => {
    const extra = moveInto((target) => ({
      importRecords: async (orgId, table, given, context) => {
        await target.importRecords(orgId, table, given, context);
        const [first] = given;
        if (first === undefined || first.key[1] !== "k0") return;
        await target.importRecords("acme", table, [{ ...first, key: ["zzz", "k"] }], context);
      },
    }));
    await expect(extra).rejects.toMatchObject({ code: "CORRUPTION" });
  });

  it.each<[string, (row: AuditRow) => AuditRow]>([
    [
      "a byte of an entry differs",
      (row) => ({ ...row, leaf: Buffer.from(row.leaf).fill(0, 5, 6) }),
    ],
    ["a hash differs", (row) => ({ ...row, hash: "0".repeat(64) })],
    ["a part is missing", (row) => ({ ...row, parts: [] })],
    [
      "a part's body differs",
      (row) => ({ ...row, parts: row.parts.map((part) => ({ ...part, body: "{}" })) }),
    ],
    [
      "a part's salt differs",
      (row) => ({ ...row, parts: row.parts.map((part) => ({ ...part, salt: Buffer.alloc(32) })) }),
    ],
  ])("notices that %s", async (_what, change) => {
    await expect(entries(change)).rejects.toMatchObject({ code: "CORRUPTION" });
  });
});

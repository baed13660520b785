import { Buffer } from "node:buffer";
import { expect, test } from "vitest";
import type { AuditQuery, AuditRow, Backend, StoredRecord } from "../../src/storage/backend.ts";
import { auditPages, recordPages } from "../../src/storage/pages.ts";
import { describeEachBackend } from "../support/backends.ts";
import { onPort } from "../support/port.ts";

const mebibyte = 1024 * 1024;

const recordBytes = ({ columns }: StoredRecord) =>
  Object.values(columns).reduce<number>(
    (sum, value) => sum + (typeof value === "string" ? Buffer.byteLength(value) : 0),
    0,
  );
const bodyBytes = ({ parts }: AuditRow) =>
  parts.reduce((sum, { body }) => sum + Buffer.byteLength(body), 0);

/** All pages that a listing gives, until one is empty. */
async function pagesOf<Row>(
  next: (last: Row | undefined) => Promise<readonly Row[]>,
): Promise<Row[][]> {
  const pages: Row[][] = [];
  for (;;) {
    const page = await next(pages.at(-1)?.at(-1));
    if (page.length === 0) return pages;
    pages.push([...page]);
  }
}

/** A page ends with the row by which it has its bytes, and with no other unless it is the last. */
function expectBounded<Row>(
  pages: Row[][],
  { limit, maxBytes }: { limit: number; maxBytes: number },
  bytesOf: (row: Row) => number,
): void {
  const sum = (rows: Row[]) => rows.reduce((bytes, row) => bytes + bytesOf(row), 0);
  for (const [i, page] of pages.entries()) {
    expect(sum(page.slice(0, -1))).toBeLessThan(maxBytes);
    if (page.length < limit && i < pages.length - 1)
      expect(sum(page)).toBeGreaterThanOrEqual(maxBytes);
  }
}

describeEachBackend("a page bounded by bytes", { otherProcesses: true }, (backend) => {
  const now = () => ({ now: backend.clock.nowMs });

  test("of records holds no more, and none is left out", async () => {
    const storage = backend.open();
    // Two and three bytes a character; few of 1, then large ones.
    for (const [i, size] of [1, 1, 1, 1, 1, 900, 20, 5000, 5000, 1, 30_000, 1, 1].entries())
      await storage.memory.set("é", `k/${String(i).padStart(2, "0")}`, "é…".repeat(size));
    await storage.close();
    await onPort(backend, async (port) => {
      const all = await port.list(backend.orgId, { table: "agent_memory", limit: 100 }, now());
      for (const reverse of [false, true]) {
        for (const bound of [
          { limit: 100, maxBytes: 10_000 },
          { limit: 3, maxBytes: 10_000 },
          { limit: 100, maxBytes: 1 },
          { limit: 100, maxBytes: mebibyte },
        ]) {
          const query = {
            table: "agent_memory",
            within: ["é"],
            prefix: "k/",
            reverse,
            ...bound,
          } as const;
          const pages = await pagesOf((last: StoredRecord | undefined) =>
            port.list(backend.orgId, { ...query, after: last?.key }, now()),
          );
          expectBounded(pages, bound, recordBytes);
          const keys = pages.flat().map(({ key }) => key);
          expect(reverse ? keys.reverse() : keys).toEqual(all.map(({ key }) => key));
        }
      }
    });
  });

  test("of the trail holds whole entries, and none is left out", async () => {
    const storage = backend.open();
    const sizes = [0, 0, 5, 900, 5000, 0, 0, 20, 12_000, 0, 0, 0, 12_000, 12_000];
    for (const [i, size] of sizes.entries())
      await storage.audit.append({
        action: i % 2 ? "test.odd" : "test.even",
        ...(size > 0 && { details: { text: "é…".repeat(size) } }),
      });
    // What was erased takes room in the files still.
    await storage.audit.redact(8, "asked for");
    await storage.close();
    await onPort(backend, async (port) => {
      for (const filter of [{}, { action: "test.*" }, { action: "test.even" }])
        await expectTrail(port, filter);
    });
  });

  async function expectTrail(port: Backend, filter: AuditQuery["filter"]): Promise<void> {
    const query = { filter, order: "asc", limit: 100 } as const;
    const all = await port.listAudit(backend.orgId, query, now());
    expect(all.length).toBeGreaterThan(5);
    for (const bound of [
      { limit: 100, maxBytes: 10_000 },
      { limit: 3, maxBytes: 10_000 },
      { limit: 100, maxBytes: 1 },
      { limit: 100, maxBytes: mebibyte },
    ]) {
      const pages = await pagesOf((last: AuditRow | undefined) =>
        port.listAudit(backend.orgId, { ...query, ...bound, after: last?.seq }, now()),
      );
      expectBounded(pages, bound, bodyBytes);
      expect(pages.flat()).toEqual(all);
    }
  }

  test("never is many large ones after many small ones", async () => {
    const storage = backend.open();
    for (let i = 0; i < 12; i += 1)
      await storage.memory.setMany(
        "a",
        Array.from({ length: 100 }, (_, n) => ({ key: `${1000 + 100 * i + n}`, value: i })),
      );
    const large = "x".repeat(200 * 1024);
    for (let i = 0; i < 60; i += 1) await storage.memory.set("b", String(100 + i), large);
    for (let i = 0; i < 400; i += 1) await storage.audit.append({ action: "test.small" });
    const details = "x".repeat(60 * 1024);
    for (let i = 0; i < 200; i += 1) await storage.audit.append({ action: "test.large", details });
    await storage.close();
    const [records, entries]: [StoredRecord[][], AuditRow[][]] = [[], []];
    await onPort(backend, async (port) => {
      for await (const page of recordPages(port, backend.orgId, "agent_memory", now()))
        records.push([...page]);
      for await (const page of auditPages(port, backend.orgId, now())) entries.push([...page]);
    });
    const bytes = [
      ...records.map((page) => page.reduce((sum, row) => sum + recordBytes(row), 0)),
      ...entries.map((page) => page.reduce((sum, row) => sum + bodyBytes(row), 0)),
    ];
    expect(Math.max(...bytes)).toBeLessThan(4.25 * mebibyte);
    expect(records.flat().map(({ key }) => key.join("/"))).toHaveLength(1260);
    expect(new Set(records.flat().map(({ key }) => key.join("/"))).size).toBe(1260);
    expect(entries.flat().map(({ seq }) => seq)).toEqual(Array.from({ length: 600 }, (_, i) => i));
    // Few pages: the small ones come many at a time.
    expect(records.length + entries.length).toBeLessThan(25);
  });
});

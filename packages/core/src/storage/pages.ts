import type { AuditQuery, AuditRow, Backend, CallContext, StoredRecord } from "./backend.ts";
import type { TableName } from "./tables.ts";

/*
 * A page is a batch of one transaction and lies in memory twice: 256 KiB for a record is ordinary, 1 MiB possible. The backend ends it once it has
 * so many bytes. How many records are asked for follows what was seen, so that a database needn't look at many that don't come.
 */
const firstPage = 100;
const largestPage = 2000;
const pageBytes = 4 * 1024 * 1024;
/** A backend counts UTF-8 bytes, of which a UTF-16 unit takes three at most. */
const bytesPerUnit = 3;

/** All pages of a table in key order. The next page is being read while the consumer works on one. */
export async function* recordPages(
  backend: Backend,
  orgId: string,
  table: TableName,
  context: CallContext,
): AsyncGenerator<readonly StoredRecord[]> {
  yield* readAhead(
    (limit, last: StoredRecord | undefined) =>
      backend.list(orgId, { table, limit, after: last?.key, maxBytes: pageBytes }, context),
    (record) => Object.values(record.columns).reduce<number>((sum, v) => sum + sizeOf(v), 100),
  );
}

/**
 * All pages of an organisation's trail, in order.
 *
 * @param range - `after`: the sequence number to go on behind; and what the entries have to match; see {@link AuditQuery.bare}
 */
export async function* auditPages(
  backend: Backend,
  orgId: string,
  context: CallContext,
  { after, filter = {}, bare }: Partial<Pick<AuditQuery, "after" | "filter" | "bare">> = {},
): AsyncGenerator<readonly AuditRow[]> {
  yield* readAhead(
    (limit, last: AuditRow | undefined) => {
      const maxBytes = bare === true ? undefined : pageBytes;
      const from = last?.seq ?? after;
      const query: AuditQuery = { filter, order: "asc", limit, after: from, bare, maxBytes };
      return backend.listAudit(orgId, query, context);
    },
    (row) => row.parts.reduce((sum, { body }) => sum + body.length, row.leaf.length),
  );
}

function sizeOf(value: unknown): number {
  return typeof value === "string" ? value.length : 8;
}

async function* readAhead<Row>(
  fetch: (limit: number, last: Row | undefined) => Promise<readonly Row[]>,
  size: (row: Row) => number,
): AsyncGenerator<readonly Row[]> {
  let limit = firstPage;
  let next: Promise<readonly Row[]> | null = fetch(limit, undefined);
  try {
    while (next !== null) {
      const page: readonly Row[] = await next;
      const bytes = page.reduce((sum, row) => sum + size(row), 0);
      const full = page.length === limit || bytes * bytesPerUnit >= pageBytes;
      const fitting = Math.floor((pageBytes * page.length) / Math.max(bytes, 1));
      limit = Math.max(1, Math.min(fitting, limit * 4, largestPage));
      next = full && page.length > 0 ? fetch(limit, page.at(-1)) : null;
      // Its failure is met when its turn comes.
      next?.catch(() => undefined);
      if (page.length > 0) yield page;
    }
  } finally {
    // A consumer that stops early must not leave a read in flight behind.
    await next?.catch(() => undefined);
  }
}

import { StorageError } from "../../errors/storage-error.ts";
import type { AuditRow, Backend, CallContext, StoredRecord } from "../backend.ts";
import { auditPages, recordPages } from "../pages.ts";
import { type TableName, tables } from "../tables.ts";
import { type Content, ContentDigest, type Holding } from "./content.ts";

/** What a transfer works with. */
export interface Transfer {
  readonly from: Backend;
  readonly to: Backend;
  readonly context: CallContext;
  readonly clock: () => number;
  /** Told the number of entries of each page that was stored. */
  readonly onPage: (entries: number) => void;
}

/**
 * Copies what the target lacks of one organisation's table, page by page. Each page is read back once it is stored, while the next
 * one is being stored, and compared with what was read from the source.
 *
 * @returns the whole table's content at the source
 * @throws StorageError `CORRUPTION` when what was read back differs
 */
export async function transfer(ends: Transfer, { orgId, table }: Holding): Promise<Content> {
  return table === "audit_log" ? transferTrail(ends, orgId) : transferRecords(ends, orgId, table);
}

async function transferRecords(ends: Transfer, orgId: string, table: TableName): Promise<Content> {
  const { from, to, context, clock } = ends;
  // An earlier attempt stored whole pages in key order, so what is missing is the rest.
  const [last] = await to.list(orgId, { table, limit: 1, reverse: true }, context);
  const isMissing = ({ key }: StoredRecord) => last === undefined || compareKeys(key, last.key) > 0;
  const digest = new ContentDigest();
  let before: StoredRecord | undefined;
  await inTandem(ends, recordPages(from, orgId, table, context), {
    store: async (page) => {
      const missing = page.filter(isMissing);
      if (missing.length > 0) await to.importRecords(orgId, table, missing, context);
    },
    sumUp: (page) => digest.addRecords(table, page),
    isThere: async (page) => {
      const after = before?.key;
      before = page.at(-1);
      const stored = await to.list(orgId, { table, after, limit: page.length }, context);
      return sameRecords(table, page, stored) || sameUnexpired(table, page, stored, clock());
    },
    what: `${table} of organisation "${orgId}"`,
  });
  return digest.result();
}

async function transferTrail(ends: Transfer, orgId: string): Promise<Content> {
  const { from, to, context } = ends;
  const { size } = await to.auditHead(orgId, context);
  const digest = new ContentDigest();
  await inTandem(ends, auditPages(from, orgId, context), {
    store: async (page) => {
      const missing = page.filter(({ seq }) => seq >= size);
      if (missing.length > 0) await to.importAudit(orgId, missing, context);
    },
    sumUp: (page) => digest.addAudit(page),
    isThere: async (page) => {
      const after = page[0] === undefined || page[0].seq === 0 ? undefined : page[0].seq - 1;
      const query = { filter: {}, order: "asc", limit: page.length, after } as const;
      return sameEntries(page, await to.listAudit(orgId, query, context));
    },
    what: `the trail of organisation "${orgId}"`,
  });
  return digest.result();
}

interface Steps<Row> {
  store(page: readonly Row[]): Promise<void>;
  sumUp(page: readonly Row[]): void;
  /** Reads a stored page back and compares. */
  isThere(page: readonly Row[]): Promise<boolean>;
  readonly what: string;
}

async function inTandem<Row>(
  { onPage }: Transfer,
  pages: AsyncIterable<readonly Row[]>,
  { store, sumUp, isThere, what }: Steps<Row>,
): Promise<void> {
  const compare = async (page: readonly Row[]) => {
    if (await isThere(page)) return;
    throw new StorageError(
      "CORRUPTION",
      `What was read back from the target differs from the source (${what}). Stop whatever writes to either, and move again into a new, empty target.`,
    );
  };
  let comparing = Promise.resolve();
  try {
    for await (const page of pages) {
      const storing = store(page);
      storing.catch(() => undefined);
      sumUp(page);
      await comparing;
      await storing;
      onPage(page.length);
      comparing = compare(page);
      // Its failure is met with the next page.
      comparing.catch(() => undefined);
    }
  } finally {
    await comparing;
  }
}

/** By UTF-8 bytes. Key parts hold no control characters, so NUL sorts a part before all that continue it. */
function compareKeys(a: readonly string[], b: readonly string[]): number {
  return Buffer.compare(Buffer.from(a.join("\0")), Buffer.from(b.join("\0")));
}

function sameRecords(
  table: TableName,
  expected: readonly StoredRecord[],
  actual: readonly StoredRecord[],
): boolean {
  const columns = Object.keys(tables[table].columns);
  return (
    expected.length === actual.length &&
    expected.every((record, i) => {
      const other = actual[i];
      return (
        other !== undefined &&
        record.version === other.version &&
        record.createdAt === other.createdAt &&
        record.updatedAt === other.updatedAt &&
        record.expiresAt === other.expiresAt &&
        record.key.length === other.key.length &&
        record.key.every((part, n) => part === other.key[n]) &&
        columns.every((name) => record.columns[name] === other.columns[name])
      );
    })
  );
}

/** What expired since the move began may be reclaimed already; what else came in its place belongs to later pages. */
function sameUnexpired(
  table: TableName,
  expected: readonly StoredRecord[],
  actual: readonly StoredRecord[],
  nowMs: number,
): boolean {
  const last = expected.at(-1);
  const now = new Date(nowMs).toISOString();
  const lives = ({ expiresAt }: StoredRecord) => expiresAt === null || expiresAt > now;
  const within = actual.filter(({ key }) => last !== undefined && compareKeys(key, last.key) <= 0);
  return sameRecords(table, expected.filter(lives), within.filter(lives));
}

function sameEntries(expected: readonly AuditRow[], actual: readonly AuditRow[]): boolean {
  return (
    expected.length === actual.length &&
    expected.every((row, i) => {
      const other = actual[i];
      return (
        other !== undefined &&
        row.seq === other.seq &&
        row.hash === other.hash &&
        Buffer.compare(row.leaf, other.leaf) === 0 &&
        sameParts(row.parts, other.parts)
      );
    })
  );
}

function sameParts(expected: AuditRow["parts"], actual: AuditRow["parts"]): boolean {
  return (
    expected.length === actual.length &&
    expected.every(({ name, salt, body }) => {
      const other = actual.find((part) => part.name === name);
      return other?.body === body && Buffer.compare(salt, other.salt) === 0;
    })
  );
}

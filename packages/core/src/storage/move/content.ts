import { createHash, type Hash } from "node:crypto";
import type { AuditRow, Backend, CallContext, StoredRecord } from "../backend.ts";
import { type TableName, tableNames, tables } from "../tables.ts";

/** Whatever moves: the seven tables of mutable records, and the trail. */
export type MovableTable = TableName | "audit_log";

/**
 * In this order an organisation is taken over: PostgreSQL holds what is signed, and the anchors' sizes, against what they are of and refuses what
 * isn't there.
 */
export const stages: readonly ReadonlySet<MovableTable>[] = [
  new Set([
    ...tableNames.filter((name) => !/^audit_(?:anchors|checkpoints|keys)$/.test(name)),
    "audit_log",
  ]),
  new Set(["audit_checkpoints", "audit_keys"]),
  new Set(["audit_anchors"]),
];

/** What one organisation holds in one table. */
export interface Holding {
  readonly orgId: string;
  readonly table: MovableTable;
  readonly count: number;
}

/** Everything that a backend holds, by organisation, in the order in which it is taken over. Empty tables are left out. */
export async function holdings(
  backend: Backend,
  organisations: readonly string[],
  context: CallContext,
): Promise<Holding[]> {
  const held: Holding[] = [];
  for (const orgId of organisations) {
    // One after the other: Node takes more than ten that listen to one signal for a leak.
    for (const table of stages.flatMap((stage) => [...stage])) {
      const count = await countOf(backend, orgId, table, context);
      if (count > 0) held.push({ orgId, table, count });
    }
  }
  return held;
}

async function countOf(
  backend: Backend,
  orgId: string,
  table: MovableTable,
  context: CallContext,
): Promise<number> {
  if (table === "audit_log") return (await backend.auditHead(orgId, context)).size;
  const rows = await backend.countBy(orgId, table, [], context);
  return rows.reduce((sum, row) => sum + row.count, 0);
}

/** Number and digest of what a table holds for one organisation. Equal exactly when all records are, in all they consist of. */
export interface Content {
  readonly count: number;
  /** SHA-256, lower-case hex. */
  readonly digest: string;
}

/** Sums up a table's records page by page. */
export class ContentDigest {
  readonly #hash: Hash = createHash("sha256");
  #count = 0;

  addRecords(table: TableName, records: readonly StoredRecord[]): void {
    const columns = Object.keys(tables[table].columns);
    let text = "";
    for (const { key, columns: values, version, createdAt, updatedAt, expiresAt } of records) {
      for (const part of key) text += framed(part);
      for (const column of columns) text += framed(values[column]);
      text += framed(version) + framed(createdAt) + framed(updatedAt) + framed(expiresAt);
    }
    this.#count += records.length;
    this.#hash.update(text);
  }

  addAudit(rows: readonly AuditRow[]): void {
    for (const { seq, hash, leaf, parts } of rows) {
      this.#hash.update(`${seq} ${hash} ${leaf.length}:`).update(leaf);
      const sorted = [...parts].sort((a, b) => (a.name < b.name ? -1 : 1));
      for (const { name, salt, body } of sorted) {
        this.#hash
          .update(`${framed(name)}${salt.length}:`)
          .update(salt)
          .update(framed(body));
      }
    }
    this.#count += rows.length;
  }

  result(): Content {
    return { count: this.#count, digest: this.#hash.digest("hex") };
  }
}

/** Says type and length first, so that no two different sequences of values become the same text. */
function framed(value: unknown): string {
  if (typeof value === "string") return `s${value.length}:${value}`;
  return value === undefined || value === null ? "n" : `${typeof value}${String(value)};`;
}

import type { ColumnValue, CountRow, KeyRange, RecordQuery, StoredRecord } from "../backend.ts";
import { type TableName, tables } from "../tables.ts";
import { KeyList } from "./key-list.ts";
import { sortKey, sortPrefix } from "./key-order.ts";
import { sizeOf } from "./record-codec.ts";
import type { Usage } from "./usage.ts";

export const isLive = (record: StoredRecord, nowIso: string): boolean =>
  record.expiresAt === null || record.expiresAt > nowIso;

/**
 * One organisation's records of one table in memory. What it holds is durable; `stage` shows what the frame being formed would
 * make of it, until {@link Table.apply} or {@link Table.discard}.
 */
export class Table {
  readonly name: TableName;
  /** Whether anything changed since the last snapshot of this table. */
  changed = false;
  readonly #records = new Map<string, StoredRecord>();
  readonly #order = new KeyList((key) => this.#records.has(key));
  /** Records that expire: instant and key, so that the first to go comes first. */
  readonly #expiring = new KeyList((entry) => this.#expires(entry));
  readonly #holders: ReadonlyMap<string, Map<ColumnValue, string>>;
  readonly #staged = new Map<string, StoredRecord | null>();
  readonly #usage: Usage;

  constructor(name: TableName, usage: Usage) {
    this.name = name;
    this.#usage = usage;
    this.#holders = new Map(tables[name].unique.map((column) => [column, new Map()]));
  }

  get size(): number {
    return this.#records.size;
  }

  /** The record, expired or not, as it is on disk. */
  get(key: string): StoredRecord | undefined {
    return this.#records.get(key);
  }

  /** The record as the frame being formed would leave it. */
  staged(key: string): StoredRecord | null {
    if (this.#staged.size > 0) {
      const staged = this.#staged.get(key);
      if (staged !== undefined) return staged;
    }
    return this.#records.get(key) ?? null;
  }

  /** Adds to the frame being formed; the function returned takes it back. */
  stage(key: string, record: StoredRecord | null): () => void {
    const before = this.#staged.get(key);
    this.#staged.set(key, record);
    return () => {
      if (before === undefined) this.#staged.delete(key);
      else this.#staged.set(key, before);
    };
  }

  /** Whether another unexpired record, staged or stored, has this value in a unique column. */
  isTaken(column: string, value: ColumnValue, ownKey: string, nowIso: string): boolean {
    const has = (key: string) => {
      const record = key === ownKey ? null : this.staged(key);
      return record !== null && record.columns[column] === value && isLive(record, nowIso);
    };
    const holder = this.#holders.get(column)?.get(value);
    if (holder !== undefined && has(holder)) return true;
    // Frames are small, and few tables have a unique column.
    return [...this.#staged.keys()].some(has);
  }

  /** Makes what was staged the state. */
  apply(): void {
    for (const [key, record] of this.#staged) {
      if (record === null) this.delete(key);
      else this.put(key, record);
    }
    this.#staged.clear();
  }

  discard(): void {
    this.#staged.clear();
  }

  put(key: string, record: StoredRecord): void {
    const before = this.#records.get(key);
    if (before === undefined) this.#order.add(key);
    else this.#forget(key, before);
    this.changed = true;
    this.#records.set(key, record);
    for (const [column, holders] of this.#holders) {
      const value = record.columns[column] ?? null;
      if (value !== null) holders.set(value, key);
    }
    if (record.expiresAt !== null) this.#expiring.add(expiryEntry(key, record.expiresAt));
    this.#usage.add(1, sizeOf(record));
  }

  delete(key: string): void {
    const before = this.#records.get(key);
    if (before === undefined) return;
    this.#records.delete(key);
    this.#order.delete(key);
    this.#forget(key, before);
    this.changed = true;
  }

  /** Drops up to `limit` records that have expired. Needs no journal: replayed, they are expired still. */
  reclaim(nowIso: string, limit: number): number {
    let dropped = 0;
    while (dropped < limit) {
      const first = this.#expiring.ordered.minKey();
      if (first === undefined || first.slice(0, instantLength) > nowIso) break;
      this.delete(first.slice(instantLength));
      dropped++;
    }
    return dropped;
  }

  #expires(entry: string): boolean {
    const record = this.#records.get(entry.slice(instantLength));
    return record?.expiresAt === entry.slice(0, instantLength);
  }

  #forget(key: string, record: StoredRecord): void {
    this.#usage.add(-1, -sizeOf(record));
    if (record.expiresAt !== null) this.#expiring.delete(expiryEntry(key, record.expiresAt));
    for (const [column, holders] of this.#holders) {
      const value = record.columns[column] ?? null;
      if (holders.get(value) === key) holders.delete(value);
    }
  }

  /** Keys in order, from (not including) `after`, as far as they are settled. Not to be used on once the table changed. */
  *settledKeysAfter(after: string | undefined): Generator<string, void> {
    for (const key of this.#order.settled.keys(after)) {
      if (key !== after) yield key;
    }
  }

  /** How many keys aren't in order yet. */
  get unsettled(): number {
    return Math.max(this.#order.unsettled, this.#expiring.unsettled);
  }

  /** Uses spare time to put up to `limit` new keys in order. */
  settle(limit: number): void {
    this.#order.settle(limit);
    this.#expiring.settle(limit);
  }

  /** Puts all keys in order, so that no listing has to wait for it. */
  settleAll(): void {
    void this.#order.ordered;
    void this.#expiring.ordered;
  }

  /** Lets go of everything; the table isn't used after. */
  unload(): void {
    for (const record of this.#records.values()) this.#usage.add(-1, -sizeOf(record));
    this.#records.clear();
  }

  /** Every record, in no order. */
  records(): IterableIterator<StoredRecord> {
    return this.#records.values();
  }

  list(query: RecordQuery, nowIso: string): StoredRecord[] {
    const within = query.within ?? [];
    const begins =
      within.length === 0 && (query.prefix ?? "") === ""
        ? ""
        : sortPrefix(within, query.prefix ?? "");
    const found: StoredRecord[] = [];
    let left = query.maxBytes ?? Number.POSITIVE_INFINITY;
    for (const record of this.#matching(begins, query, nowIso)) {
      found.push(record);
      if (query.maxBytes !== undefined) left -= sizeOf(record);
      if (found.length >= query.limit || left <= 0) break;
    }
    return found;
  }

  *#matching(begins: string, query: RecordQuery, nowIso: string): Generator<StoredRecord, void> {
    const where = Object.entries(query.where ?? {});
    for (const key of this.#range(begins, query)) {
      const record = this.#records.get(key);
      if (record === undefined || !isLive(record, nowIso)) continue;
      if (where.every(([column, value]) => record.columns[column] === value)) yield record;
    }
  }

  /** How many unexpired records there are of each combination of the columns' values. */
  countBy(columns: readonly string[], nowIso: string): CountRow[] {
    const counts = new Map<string, { values: ColumnValue[]; count: number }>();
    for (const record of this.#records.values()) {
      if (!isLive(record, nowIso)) continue;
      const values = columns.map((column) => record.columns[column] ?? null);
      const id = JSON.stringify(values);
      const row = counts.get(id);
      if (row === undefined) counts.set(id, { values, count: 1 });
      else row.count++;
    }
    return [...counts.values()];
  }

  /** The distinct first parts of the keys of unexpired records; skips from one to the next. */
  firstParts(query: KeyRange, nowIso: string): string[] {
    const found: string[] = [];
    const order = this.#order.ordered;
    const step = (key: string | undefined) =>
      query.reverse === true ? order.nextLowerKey(key) : order.nextHigherKey(key);
    const skip = (part: string) => (query.reverse === true ? `${part}\0` : `${part}\u0001`);
    let key = step(query.after === undefined ? undefined : skip(sortKey(query.after)));
    while (key !== undefined && found.length < query.limit) {
      const record = this.#records.get(key);
      if (record !== undefined && isLive(record, nowIso)) {
        found.push(record.key[0] ?? "");
        key = step(skip(sortKey([record.key[0] ?? ""])));
      } else {
        key = step(key);
      }
    }
    return found;
  }

  #range(begins: string, query: RecordQuery): Generator<string, void> {
    const after = query.after === undefined ? undefined : sortKey(query.after);
    return query.reverse === true ? this.#downwards(begins, after) : this.#upwards(begins, after);
  }

  *#upwards(begins: string, after: string | undefined): Generator<string, void> {
    const first = after !== undefined && after > begins ? after : begins;
    for (const key of this.#order.ordered.keys(first)) {
      if (!key.startsWith(begins)) return;
      if (key !== after) yield key;
    }
  }

  *#downwards(begins: string, after: string | undefined): Generator<string, void> {
    const top = begins === "" ? undefined : begins + topUnit;
    for (const [key] of this.#order.ordered.entriesReversed(lower(after, top), undefined, true)) {
      if (!key.startsWith(begins)) return;
      yield key;
    }
  }
}

/** ISO 8601 with milliseconds, in the years that a time to live can reach. */
const instantLength = "2026-01-01T00:00:00.000Z".length;

const expiryEntry = (key: string, expiresAt: string): string => expiresAt + key;

/** Sorts behind whatever can follow a prefix: only a low surrogate moves here, and text never goes on with one. */
const topUnit = "\uffff";

function lower(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a < b ? a : b;
}

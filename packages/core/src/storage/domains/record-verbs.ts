import { isDeepStrictEqual } from "node:util";
import type { Delete, Put, RecordRef, StoredRecord } from "../backend.ts";
import type { Preconditions } from "../options.ts";
import { expectationOf } from "../validation.ts";
import { type AutomaticContent, automaticEntry } from "./audit-entries.ts";
import { unmet } from "./memory-records.ts";
import type { UnitOfWork } from "./unit-of-work.ts";

/** Reads a record and shows it; what is missing is `null`. */
export async function readShown<Shown>(
  unit: UnitOfWork,
  ref: RecordRef,
  show: (record: StoredRecord) => Shown,
): Promise<Shown | null> {
  const record = await unit.read(ref);
  return record === null ? null : show(record);
}

/**
 * Buffers a put.
 *
 * @param before - the record as the transaction read it
 * @returns the record as it stands once the transaction commits
 */
export function putRecord(
  unit: UnitOfWork,
  ref: RecordRef,
  before: StoredRecord | null,
  columns: Put["columns"],
  more?: Pick<Put, "claims">,
): StoredRecord {
  const version = unit.put(ref, columns, more);
  const updatedAt = new Date(unit.call.now).toISOString();
  const createdAt = before?.createdAt ?? updatedAt;
  return { key: ref.key, columns, version, createdAt, updatedAt, expiresAt: null };
}

/**
 * Buffers the delete of a record that is there, and its audit entry.
 *
 * @param said - what the entry says of the record that goes
 * @returns whether there was one
 * @throws StorageError `PRECONDITION_FAILED`
 */
export async function deleteRecord(
  unit: UnitOfWork,
  ref: RecordRef,
  options: Preconditions | undefined,
  said: (before: StoredRecord) => AutomaticContent,
  more?: Pick<Delete, "releases">,
): Promise<boolean> {
  const before = await unit.read(ref);
  assertPreconditions(ref, before, options);
  if (before === null) return false;
  unit.delete(ref, more);
  unit.append(automaticEntry(unit.context.actor, said(before)));
  return true;
}

/** Holds a caller's preconditions against what the transaction read. @throws StorageError `PRECONDITION_FAILED` */
export function assertPreconditions(
  ref: RecordRef,
  before: StoredRecord | null,
  options: Preconditions | undefined,
): void {
  const expected = expectationOf(options);
  if (expected === undefined) return;
  const holds = "version" in expected ? before?.version === expected.version : before === null;
  if (!holds) throw unmet(ref, before?.version ?? null);
}

/** What changed, field by field, for the details of an audit entry. */
export function changesBetween<Fields extends object>(
  before: Fields | null,
  after: Fields,
): Record<string, { from: unknown; to: unknown }> {
  const changes: Record<string, { from: unknown; to: unknown }> = {};
  for (const [field, to] of Object.entries(after)) {
    const from: unknown = before === null ? null : before[field as keyof Fields];
    if (!isDeepStrictEqual(from, to)) changes[field] = { from, to };
  }
  return changes;
}

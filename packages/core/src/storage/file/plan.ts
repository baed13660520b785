import type { PreparedEntry, SealedLeaf } from "../../audit/entry.ts";
import { isoOf } from "../../domain/instant.ts";
import {
  type Check,
  type Commit,
  type Delete,
  EntryKnown,
  type Expectation,
  ExpectationFailed,
  type Put,
  type RecordRef,
  type StoredRecord,
  UniqueViolation,
  type WriteResult,
} from "../backend.ts";
import { type TableName, tables } from "../tables.ts";
import type { ErasedPart } from "./audit-parts.ts";
import type { AuditTrail, SealedEntry } from "./audit-trail.ts";
import { sortKey } from "./key-order.ts";
import { encodeAudit, encodeDelete, encodeErase, encodePut } from "./operations.ts";
import { sizeOf } from "./record-codec.ts";
import type { RouteClaims } from "./route-claims.ts";
import { isLive, type Table } from "./table.ts";
import type { Usage } from "./usage.ts";

/** What a commit comes to once its frame is durable: its lines in the frame, and its results. */
export interface Plan {
  readonly lines: string;
  readonly writes: readonly WriteResult[];
  /** Sealed entries; a number stands for one that the trail has already. */
  readonly appends: readonly (SealedLeaf | number)[];
  readonly erased: readonly ErasedPart[];
  /** Gives back the room taken for it, to be called once the frame is applied or dropped. */
  readonly release: () => void;
}

/** What a commit is planned against. */
export interface PlanTarget {
  readonly orgId: string;
  readonly tables: Readonly<Record<TableName, Table>>;
  readonly trail: AuditTrail;
  readonly usage: Usage;
  readonly routes: RouteClaims;
}

/**
 * Checks a commit against the state that the frame being formed leads to, and adds it to that frame. When something doesn't
 * hold, nothing is added.
 *
 * @param erased - where the parts are that the commit erases: see {@link AuditTrail.locate}
 * @throws ExpectationFailed, EntryKnown, UniqueViolation, StorageError `LIMIT_EXCEEDED`
 */
export function planCommit(
  target: PlanTarget,
  commit: Commit,
  erased: readonly ErasedPart[],
  nowMs: number,
): Plan {
  const nowIso = isoOf(nowMs);
  for (const check of commit.checks) expectHolds(target, check, check.expect, nowIso);
  for (const write of commit.writes) {
    if (write.expect !== undefined) expectHolds(target, write, write.expect, nowIso);
  }
  for (const id of commit.chosenIds ?? []) {
    if (target.trail.knows(id)) throw new EntryKnown(id);
  }
  return planStaged(target, { entries: commit.appends, erased }, nowMs, (undo) => {
    const staged = commit.writes.map((write) => stageWrite(target, write, nowIso, undo));
    for (const write of commit.writes) {
      if (write.kind === "put") expectUnique(target, write, nowIso, undo);
    }
    return staged;
  });
}

/**
 * Adds writes, entries and erasures to the frame being formed; when something doesn't hold, nothing is added.
 *
 * @param stage - stages the writes, and remembers in `undo` how each step is taken back
 */
export function planStaged(
  target: PlanTarget,
  {
    entries,
    erased,
  }: { readonly entries: readonly PreparedEntry[]; readonly erased: readonly ErasedPart[] },
  nowMs: number,
  stage: (undo: (() => void)[]) => readonly StagedWrite[],
): Plan {
  const undo: (() => void)[] = [];
  try {
    const staged = stage(undo);
    const release = reserve(target, staged);
    undo.push(release);
    const appends = entries.map((entry) => target.trail.stage(entry, nowMs));
    const audit = appends.filter((entry): entry is SealedEntry => typeof entry !== "number");
    target.trail.stageErasures(erased);
    const lines = [
      ...staged.map((write) => write.line),
      ...audit.map(encodeAudit),
      ...erased.map(encodeErase),
    ];
    return {
      lines: lines.join(""),
      writes: staged.map((write) => write.result),
      appends,
      erased,
      release,
    };
  } catch (error) {
    for (const takeBack of undo.reverse()) takeBack();
    throw error;
  }
}

/** A write on its way into a frame. */
export interface StagedWrite {
  readonly line: string;
  readonly result: WriteResult;
  readonly before: StoredRecord | null;
  readonly after: StoredRecord | null;
}

function stageWrite(
  target: PlanTarget,
  write: Put | Delete,
  nowIso: string,
  undo: (() => void)[],
): StagedWrite {
  const table = target.tables[write.table];
  const key = sortKey(write.key);
  const before = table.staged(key);
  const current = before !== null && isLive(before, nowIso) ? before : null;
  if (write.kind === "delete") {
    const result: WriteResult = { kind: "delete", existed: current !== null };
    if (before === null) return { line: "", result, before, after: null };
    undo.push(table.stage(key, null));
    return { line: encodeDelete(write.table, write.key), result, before, after: null };
  }
  const replaced = write.anew ? null : current;
  const after: StoredRecord = {
    key: write.key,
    columns: write.columns,
    version: write.version,
    createdAt: replaced?.createdAt ?? nowIso,
    updatedAt: nowIso,
    expiresAt: write.expiresAt,
  };
  undo.push(table.stage(key, after));
  const result: WriteResult = {
    kind: "put",
    created: replaced === null,
    createdAt: after.createdAt,
    updatedAt: nowIso,
  };
  return { line: encodePut(write.table, after), result, before, after };
}

function expectHolds(
  target: PlanTarget,
  ref: RecordRef | Check,
  expect: Expectation,
  nowIso: string,
): void {
  const record = target.tables[ref.table].staged(sortKey(ref.key));
  const version = record !== null && isLive(record, nowIso) ? record.version : null;
  const wanted = "version" in expect ? expect.version : null;
  if (version !== wanted) throw new ExpectationFailed({ table: ref.table, key: ref.key }, version);
}

function expectUnique(target: PlanTarget, put: Put, nowIso: string, undo: (() => void)[]): void {
  for (const column of tables[put.table].unique) {
    const value = put.columns[column] ?? null;
    if (value === null) continue;
    if (target.tables[put.table].isTaken(column, value, sortKey(put.key), nowIso)) {
      throw new UniqueViolation(put.table, column);
    }
  }
  for (const route of put.claims ?? []) {
    const giveBack = target.routes.claim(route, target.orgId);
    if (giveBack === null) throw new UniqueViolation(put.table, "route");
    undo.push(giveBack);
  }
}

function reserve(target: PlanTarget, staged: readonly StagedWrite[]): () => void {
  let records = 0;
  let bytes = 0;
  for (const { before, after } of staged) {
    records += (after === null ? 0 : 1) - (before === null ? 0 : 1);
    bytes += (after === null ? 0 : sizeOf(after)) - (before === null ? 0 : sizeOf(before));
  }
  return target.usage.reserve(records, bytes);
}

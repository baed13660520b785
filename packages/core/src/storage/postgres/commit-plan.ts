import { randomUUID } from "node:crypto";
import { sql } from "drizzle-orm";
import type { PreparedEntry, SealedLeaf } from "../../audit/entry.ts";
import { isoOf } from "../../domain/instant.ts";
import type {
  Check,
  Commit,
  CommitResult,
  Delete,
  Expectation,
  Put,
  RecordRef,
  Write,
  WriteResult,
} from "../backend.ts";
import type { TableName } from "../tables.ts";
import { appendEntries, sealedBy } from "./audit-sql.ts";
import { expectOwnEntries } from "./chosen-ids.ts";
import { eraseParts } from "./erasure.ts";
import type { Call } from "./pipeline.ts";
import { texts } from "./record-sql.ts";
import {
  deleteRecord,
  lockRecords,
  placeholderColumns,
  putRecords,
  type Timed,
} from "./record-writes.ts";
import type { Statements } from "./statements.ts";
import { arrayParameter, fromEpoch, type WireRow } from "./wire.ts";

/** A commit with the instant of its call. */
export interface TimedCommit {
  readonly commit: Commit;
  readonly now: number;
}

/** Statements for some commits, and how to read what they return. */
export interface CommitPlan {
  readonly calls: readonly Call[];
  /** Those that follow them, and need the role that may erase. */
  readonly erasing: readonly Call[];
  /** The result of each commit, from the rows of each call. */
  readonly results: (rows: readonly (readonly WireRow[])[]) => CommitResult[];
}

interface Locked extends RecordRef {
  readonly expect?: Expectation | undefined;
}

interface TableWork {
  readonly locked: Timed<Locked>[];
  readonly puts: Timed<Put>[];
  readonly deletes: Timed<Delete>[];
}

/**
 * Makes one transaction of commits that touch different records. Rows are locked in (table, key) order, whoever writes them, so that
 * two such transactions never wait for each other in a circle; the trail's lock comes last.
 */
export function planCommits(
  statements: Statements,
  org: string,
  commits: readonly TimedCommit[],
): CommitPlan {
  const calls: Call[] = [];
  const readers: Readers = { puts: [], deletes: new Map(), sealed: () => new Map() };
  for (const [table, work] of workByTable(commits)) {
    planTable(statements, org, table, work, calls, readers);
  }
  const routes = planRoutes(statements, org, commits);
  if (routes !== null) calls.push(routes);
  const entries = distinctEntries(commits);
  if (entries.length > 0) {
    const place = calls.push(appendEntries(statements, org, entries, latest(commits))) - 1;
    readers.sealed = (rows) => sealedBy(rows[place]?.[0], entries);
    const chosen = new Set(commits.flatMap(({ commit }) => commit.chosenIds ?? []));
    const own = entries.filter(({ content }) => chosen.has(content.id));
    if (own.length > 0) calls.push(expectOwnEntries(statements, org, own));
  }
  const erasures = commits.flatMap(({ commit }) => commit.erasures ?? []);
  const erasing = erasures.length === 0 ? [] : [eraseParts(statements, org, erasures)];
  return { calls, erasing, results: (rows) => readResults(commits, rows, readers) };
}

type Rows = readonly (readonly WireRow[])[];

interface Readers {
  /** Places of the calls that put. */
  readonly puts: number[];
  /** The place of the call that makes each delete. */
  readonly deletes: Map<Write, number>;
  sealed: (rows: Rows) => ReadonlyMap<string, SealedLeaf>;
}

/** What is to be done in each table, in the order of tables and, within each, of keys. */
function workByTable(commits: readonly TimedCommit[]): [TableName, TableWork][] {
  const works = new Map<TableName, TableWork>();
  const on = (table: TableName) => {
    const known = works.get(table);
    if (known) return known;
    const work: TableWork = { locked: [], puts: [], deletes: [] };
    works.set(table, work);
    return work;
  };
  for (const { commit, now } of commits) {
    for (const check of commit.checks) addCheck(on(check.table), check, now);
    for (const write of commit.writes) addWrite(on(write.table), write, now);
  }
  for (const work of works.values()) {
    for (const items of [work.locked, work.puts, work.deletes]) items.sort(byKey);
  }
  return [...works].sort(([a], [b]) => (a < b ? -1 : 1));
}

function addWrite(work: TableWork, write: Write, now: number): void {
  work.locked.push({ item: write, now });
  if (write.kind === "put") work.puts.push({ item: write, now });
  else work.deletes.push({ item: write, now });
}

/**
 * A record that must stay absent can't be locked: a row in its place, made and removed within the transaction, keeps others from making
 * it until the commit.
 */
function addCheck(work: TableWork, check: Check, now: number): void {
  work.locked.push({ item: check, now });
  if (!("absent" in check.expect)) return;
  const { table, key } = check;
  const version = randomUUID();
  const columns = placeholderColumns(table, version, now);
  const item: Put = {
    kind: "put",
    table,
    key,
    columns,
    version,
    expiresAt: null,
    expect: { absent: true },
  };
  work.puts.push({ item, now });
  work.deletes.push({ item: { kind: "delete", table, key }, now });
}

function planTable(
  statements: Statements,
  org: string,
  table: TableName,
  { locked, puts, deletes }: TableWork,
  calls: Call[],
  readers: Readers,
): void {
  // Upserts alone, and deletes alone, lock in order by themselves; and upserts decide absence.
  const anew = puts.filter(({ item }) => item.anew);
  const mustLock =
    anew.length > 0 ||
    locked.some(({ item }) => item.expect !== undefined && "version" in item.expect) ||
    (puts.length > 0 && deletes.length > 0);
  if (mustLock) calls.push(lockRecords(statements, org, table, locked));
  for (const { item, now } of anew) calls.push(deleteRecord(statements, org, { item, now }));
  if (puts.length > 0) readers.puts.push(calls.push(putRecords(statements, org, table, puts)) - 1);
  for (const timed of deletes) {
    readers.deletes.set(timed.item, calls.push(deleteRecord(statements, org, timed)) - 1);
  }
}

function planRoutes(
  statements: Statements,
  org: string,
  commits: readonly TimedCommit[],
): Call | null {
  const claims: string[] = [];
  const releases: string[] = [];
  for (const { commit } of commits) {
    for (const write of commit.writes) {
      if (write.kind === "put") claims.push(...(write.claims ?? []));
      else releases.push(...(write.releases ?? []));
    }
  }
  if (claims.length === 0 && releases.length === 0) return null;
  return statements.call(
    "slack_route",
    () =>
      sql`SELECT codespar.slack_route(${sql.placeholder("org")}::text, ${texts("claims")}, ${texts("releases")})`,
    { org, claims: arrayParameter(claims), releases: arrayParameter(releases) },
  );
}

function readResults(
  commits: readonly TimedCommit[],
  rows: Rows,
  readers: Readers,
): CommitResult[] {
  const puts = new Map(
    readers.puts.flatMap((place) => rows[place] ?? []).map((row) => [row[0], row]),
  );
  const sealed = readers.sealed(rows);
  return commits.map(({ commit, now }) => {
    const writes = commit.writes.map((write): WriteResult => {
      if (write.kind === "delete") {
        const [row] = rows[readers.deletes.get(write) ?? -1] ?? [];
        return { kind: "delete", existed: row?.[0] === "t" };
      }
      const [, created, createdAt] = puts.get(write.version) ?? [];
      return {
        kind: "put",
        created: created === "t",
        createdAt: fromEpoch(createdAt ?? ""),
        updatedAt: isoOf(now),
      };
    });
    const appends = commit.appends.flatMap(({ content }) => sealed.get(content.id) ?? []);
    return { writes, appends };
  });
}

/** An id is one entry, however often a commit names it. */
function distinctEntries(commits: readonly TimedCommit[]): readonly PreparedEntry[] {
  const entries = commits.flatMap(({ commit }) => commit.appends);
  return [...new Map(entries.map((entry) => [entry.content.id, entry])).values()];
}

function byKey(a: Timed<RecordRef>, b: Timed<RecordRef>): number {
  for (let i = 0; i < a.item.key.length; i += 1) {
    const left = a.item.key[i] ?? "";
    const right = b.item.key[i] ?? "";
    // Any order will do, as long as every process has the same.
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

function latest(commits: readonly TimedCommit[]): number {
  return Math.max(...commits.map(({ now }) => now));
}

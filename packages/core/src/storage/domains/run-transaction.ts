import { setTimeout as sleep } from "node:timers/promises";
import { limits } from "../../domain/limits.ts";
import { StorageError } from "../../errors/storage-error.ts";
import {
  type CallContext,
  type Commit,
  type CommitResult,
  EntryKnown,
  ExpectationFailed,
  UniqueViolation,
} from "../backend.ts";
import { deferred } from "../deferred.ts";
import type { OptionNames } from "../option-names.ts";
import type { CallOptions } from "../options.ts";
import { sameEntry } from "./audit-entries.ts";
import { beginCall, type HandleContext } from "./context.ts";
import { commitOn } from "./trail-signal.ts";
import { UnitOfWork } from "./unit-of-work.ts";

/** What a committed attempt leaves. */
export interface Committed<Result> {
  readonly value: Result;
  readonly commit: Commit;
  readonly result: CommitResult;
}

/**
 * Runs a function on a fresh buffer and commits, up to five times. From the second attempt on, attempts of this process that touched
 * the same records take turns: otherwise of sixteen that change one record only five would ever succeed.
 */
export async function runTransaction<Result>(
  context: HandleContext,
  work: (unit: UnitOfWork) => Promise<Result>,
  options?: CallOptions,
  names?: OptionNames,
): Promise<Committed<Result>> {
  let contended: readonly string[] = [];
  for (let attempt = 1; attempt <= limits.transactionAttempts; attempt += 1) {
    const release = await takeTurns(contended);
    const unit = new UnitOfWork(context, beginCall(context, options, names));
    try {
      return await attemptOnce(unit, work, () => beginCall(context, options, names));
    } catch (error) {
      if (!(error instanceof ExpectationFailed)) throw error;
      contended = unit.touched().map((id) => `${context.orgId}\0${id}`);
    } finally {
      release();
    }
    // Other processes contend too, and can't take turns with this one.
    if (attempt > 1) await sleep(Math.random() * 2 ** attempt);
  }
  throw new StorageError(
    "CONFLICT",
    `The transaction met newer versions on all ${limits.transactionAttempts} attempts; nothing was written. Try again later.`,
  );
}

async function attemptOnce<Result>(
  unit: UnitOfWork,
  work: (unit: UnitOfWork) => Promise<Result>,
  begin: () => CallContext,
): Promise<Committed<Result>> {
  const { context } = unit;
  let value: Result;
  try {
    value = await work(unit);
  } finally {
    unit.end();
  }
  const commit = unit.toCommit();
  // What one read saw was true at that moment; only several reads need to be checked against each other.
  if (commit.writes.length + commit.appends.length === 0 && commit.checks.length <= 1) {
    return { value, commit, result: { writes: [], appends: [] } };
  }
  const call = { ...unit.call, signal: begin().signal };
  return { value, commit, result: await settle(context, commit, call) };
}

/** Commits. What the trail has already and says the same isn't appended again; nothing is written beside one that says something else. */
async function settle(
  context: HandleContext,
  commit: Commit,
  call: CallContext,
): Promise<CommitResult> {
  try {
    return await commitOn(context, commit, call);
  } catch (error) {
    if (!(error instanceof EntryKnown)) return explain(error);
  }
  // Whatever the trail holds it holds for good: what is found now is no longer in question.
  const chosen = new Set(commit.chosenIds);
  for (const entry of commit.appends) {
    const { id } = entry.content;
    if (chosen.has(id) && (await sameEntry(context, entry, call)) !== null) chosen.delete(id);
  }
  return settle(context, { ...commit, chosenIds: [...chosen] }, call);
}

/** A taken unique value in the caller's words. */
function explain(error: unknown): never {
  if (!(error instanceof UniqueViolation)) throw error;
  const what =
    error.column === "route"
      ? "The Slack workspace or enterprise is installed by another organisation. Remove it there first."
      : `Another record of ${error.table} has this ${error.column}. Choose another one.`;
  throw new StorageError("ALREADY_EXISTS", what, { cause: error });
}

/** How long a turn is waited for. It only spares attempts, so a holder that waits for the waiter in turn must not stop both. */
const turnWaitMs = 1000;

const turns = new Map<string, Promise<void>>();

/** Waits for those before it on any of the records; resolves to what lets the next ones go. */
async function takeTurns(ids: readonly string[]): Promise<() => void> {
  if (ids.length === 0) return () => undefined;
  const { promise, resolve } = deferred<void>();
  // All at once and before any wait: so nobody can stand before another on one record and behind it on the next.
  const before = ids.map((id) => turns.get(id));
  for (const id of ids) turns.set(id, promise);
  const timer = new AbortController();
  const tooLong = sleep(turnWaitMs, undefined, { signal: timer.signal }).catch(() => undefined);
  await Promise.race([Promise.all(before), tooLong]);
  timer.abort();
  return () => {
    for (const id of ids) if (turns.get(id) === promise) turns.delete(id);
    resolve();
  };
}

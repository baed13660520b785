import { setTimeout as sleep } from "node:timers/promises";
import { StorageError } from "../../errors/storage-error.ts";
import { aborted, unlessAborted } from "../abort.ts";
import {
  type CallContext,
  type Commit,
  type CommitResult,
  EntryKnown,
  ExpectationFailed,
  type RecordRef,
  UniqueViolation,
} from "../backend.ts";
import { deferred } from "../deferred.ts";
import { type TableName, tableNames, tables } from "../tables.ts";
import { planCommits, type TimedCommit } from "./commit-plan.ts";
import { confirmCommit } from "./confirm.ts";
import { type Connections, PipelineFailure } from "./connections.ts";
import { type Job, Lane, Lanes } from "./lane.ts";
import type { Session } from "./session.ts";
import {
  databaseError,
  isServerError,
  isTransient,
  outcomeUnknown,
  ownStates,
} from "./sql-state.ts";
import type { Statements } from "./statements.ts";

type CommitJob = Job<TimedCommit, CommitResult>;

const bounds = { leastJobs: 16, maxJobs: 256, maxWeight: 2 * 1024 * 1024 };
const transientAttempts = 6;

/** Commits; concurrent ones of one organisation share a transaction, and only those that fail are taken out of it. */
export class Writer {
  readonly #session: Session;
  readonly #connections: Connections;
  readonly #statements: Statements;
  readonly #coalesce: boolean;
  readonly #lanes: Lanes<TimedCommit, CommitResult>;

  constructor(
    session: Session,
    connections: Connections,
    statements: Statements,
    coalesce: boolean,
  ) {
    this.#session = session;
    this.#connections = connections;
    this.#statements = statements;
    this.#coalesce = coalesce;
    const options = {
      ...bounds,
      ...connections.patience,
      parallel: coalesce ? 2 : Number.POSITIVE_INFINITY,
    };
    this.#lanes = new Lanes((orgId) => new Lane((jobs) => this.#settle(orgId, jobs), options));
  }

  /** As `Backend.commit`. */
  commit(orgId: string, commit: Commit, { now, signal }: CallContext): Promise<CommitResult> {
    const lane = this.#lanes.of(orgId);
    const { promise, resolve, reject } = deferred<CommitResult>();
    const job: CommitJob = {
      input: { commit, now },
      keys: keysOf(commit),
      weight: weightOf(commit),
      // What erases runs as another role, which the others' login may not have.
      shares: commit.erasures === undefined && (this.#coalesce || !isSingle(commit)),
      ordered: commit.appends.length > 0,
      since: 0,
      sent: false,
      resolve,
      reject,
    };
    lane.add(job);
    return unlessAborted(promise, signal, (fired) => {
      const taken = lane.remove(job);
      return aborted(
        fired,
        taken ? "before it was sent; nothing was written" : "after it was sent; outcome unknown",
      );
    });
  }

  async #settle(orgId: string, jobs: readonly CommitJob[]): Promise<void> {
    let rest = jobs;
    for (let attempt = 1; rest.length > 0; attempt += 1) {
      try {
        const results = await this.#send(
          orgId,
          rest.map(({ input }) => input),
        );
        for (const [i, job] of rest.entries()) {
          const result = results[i];
          if (result) job.resolve(result);
          this.#failStale(orgId, job);
        }
        return;
      } catch (error) {
        rest = await this.#afterFailure(orgId, rest, error, attempt);
      }
    }
  }

  /**
   * Of those that wait to replace the version which `job` has just replaced, none can succeed: versions never come back. In a crowd on one
   * record this saves all but one of them their round trip.
   */
  #failStale(orgId: string, { input }: CommitJob): void {
    for (const write of input.commit.writes) {
      if (write.expect === undefined || !("version" in write.expect)) continue;
      const { version } = write.expect;
      const current = write.kind === "put" ? write.version : null;
      const text = keyText(write);
      const stale = this.#lanes
        .of(orgId)
        .withdraw(
          ({ keys, input: other }) => keys.includes(text) && expects(other.commit, text, version),
        );
      for (const job of stale) job.reject(new ExpectationFailed(write, current));
    }
  }

  /** @returns the jobs to send once more, together */
  async #afterFailure(
    orgId: string,
    jobs: readonly CommitJob[],
    error: unknown,
    attempt: number,
  ): Promise<readonly CommitJob[]> {
    const failure = error instanceof PipelineFailure ? error : null;
    if (failure?.effect === "unreplicated") {
      for (const job of jobs) job.reject(this.#unknown(failure));
      return [];
    }
    if (failure?.effect === "unknown") {
      await this.#confirmAll(orgId, jobs, failure);
      return [];
    }
    if (failure && isTransient(failure.cause) && attempt < transientAttempts) {
      await sleep(Math.random() * 10 * attempt);
      return jobs;
    }
    const mismatches = failure ? mismatchesOf(failure.cause) : [];
    const failed = new Set(mismatches.flatMap((mismatch) => rejectMismatch(jobs, mismatch)));
    if (failed.size > 0) return jobs.filter((job) => !failed.has(job));
    if (jobs.length === 1 || !isOfOne(error)) {
      for (const job of jobs)
        job.reject(uniqueViolation(failure?.cause) ?? this.#connections.storageError(error));
    } else await this.#settleSingly(orgId, jobs);
    return [];
  }

  /** One of them spoils it for all: finds it by sending each by itself, while that is quicker than a statement may be. */
  async #settleSingly(orgId: string, jobs: readonly CommitJob[]): Promise<void> {
    const { maxWaitMs, overdue } = this.#connections.patience;
    const start = performance.now();
    for (const job of jobs) {
      if (performance.now() - start > maxWaitMs) job.reject(overdue());
      else await this.#settle(orgId, [job]);
    }
  }

  /** Clears up what became of commits whose answer was lost, one by one, as long as somebody answers. */
  async #confirmAll(
    orgId: string,
    jobs: readonly CommitJob[],
    failure: PipelineFailure,
  ): Promise<void> {
    let answered = !failure.isSilence;
    for (const job of jobs) {
      let result: CommitResult | null = null;
      try {
        if (answered) result = await this.#confirm(orgId, job);
      } catch {
        // What is reported is the first failure: the second only means that it can't be cleared up.
        answered = false;
      }
      if (result) job.resolve(result);
      else job.reject(this.#unknown(failure));
    }
  }

  async #confirm(orgId: string, { input }: CommitJob): Promise<CommitResult | null> {
    const { writes, checks } = input.commit;
    // The trail knows its ids: appending again appends nothing twice.
    if (writes.length === 0 && checks.length === 0)
      return (await this.#send(orgId, [input]))[0] ?? null;
    return confirmCommit(this.#session, this.#statements, orgId, input);
  }

  #unknown({ message, cause }: PipelineFailure): StorageError {
    return outcomeUnknown(this.#connections.label, message, cause);
  }

  async #send(orgId: string, commits: readonly TimedCommit[]): Promise<CommitResult[]> {
    const { calls, erasing, results } = planCommits(this.#statements, orgId, commits);
    if (calls.length === 0 && erasing.length === 0) return results([]);
    return results(
      await (erasing.length === 0
        ? this.#session.run(orgId, calls)
        : this.#session.runErasing(orgId, calls, erasing)),
    );
  }
}

/** Whether one of several commits may be to blame; without a connection none of them would fare better alone. */
function isOfOne(error: unknown): boolean {
  if (error instanceof PipelineFailure) return isServerError(error.cause);
  // Not all may need what is gone.
  return !StorageError.is(error) || error.code === "SCHEMA_DRIFT";
}

function keysOf(commit: Commit): string[] {
  return [
    ...[...commit.checks, ...commit.writes].map(keyText),
    ...commit.writes.flatMap(
      (write) => (write.kind === "put" ? write.claims : write.releases) ?? [],
    ),
    ...commit.appends.map(({ content }) => entryText(content.id)),
  ];
}

function expects(commit: Commit, text: string, version: string): boolean {
  return [...commit.checks, ...commit.writes].some(
    (item) =>
      keyText(item) === text &&
      item.expect !== undefined &&
      "version" in item.expect &&
      item.expect.version === version,
  );
}

function keyText({ table, key }: RecordRef): string {
  // Ids hold no control characters.
  return `${table}\n${key.join("\n")}`;
}

function entryText(id: string): string {
  return `audit ${id}`;
}

function weightOf(commit: Commit): number {
  let weight = 0;
  for (const write of commit.writes) {
    weight += 100;
    if (write.kind !== "put") continue;
    for (const value of Object.values(write.columns))
      if (typeof value === "string") weight += value.length;
  }
  for (const { segments, parts } of commit.appends) {
    for (const segment of segments) weight += segment.length;
    for (const part of parts) weight += part.body.length;
  }
  return weight;
}

function isSingle(commit: Commit): boolean {
  return commit.writes.length === 1 && commit.checks.length === 0 && commit.appends.length === 0;
}

type Mismatch =
  | {
      readonly table: TableName;
      readonly key: readonly string[];
      readonly version: string | null;
    }
  | { readonly entry: string };

function mismatchesOf(error: unknown): readonly Mismatch[] {
  const { code, detail } = databaseError(error);
  return code === ownStates.expectationFailed && detail !== undefined
    ? (JSON.parse(detail) as Mismatch[])
    : [];
}

function rejectMismatch(jobs: readonly CommitJob[], mismatch: Mismatch): CommitJob[] {
  const text = "entry" in mismatch ? entryText(mismatch.entry) : keyText(mismatch);
  const failed = jobs.filter((job) => job.keys.includes(text));
  for (const job of failed) {
    job.reject(
      "entry" in mismatch
        ? new EntryKnown(mismatch.entry)
        : new ExpectationFailed(mismatch, mismatch.version),
    );
  }
  return failed;
}

function uniqueViolation(error: unknown): UniqueViolation | null {
  const { code, constraint } = databaseError(error);
  if (code === ownStates.routeTaken) return new UniqueViolation("slack_installations", "route");
  if (code !== "23505") return null;
  for (const table of tableNames) {
    const column = tables[table].unique.find((name) => constraint === `${table}_${name}_key`);
    if (column !== undefined) return new UniqueViolation(table, column);
  }
  return null;
}

import type { CallContext, RecordRef, StoredRecord } from "../backend.ts";
import { type Connections, PipelineFailure } from "./connections.ts";
import { type Job, Lane, Lanes } from "./lane.ts";
import type { Call } from "./pipeline.ts";
import { isLive, readMany, readOne, recordOf } from "./record-reads.ts";
import type { Session } from "./session.ts";
import { isServerError } from "./sql-state.ts";
import type { Statements } from "./statements.ts";
import type { WireRow } from "./wire.ts";

interface Request {
  readonly refs: readonly RecordRef[];
  readonly now: number;
}

interface Wanted {
  readonly ref: RecordRef;
  readonly now: number;
  record: StoredRecord | null;
}

type ReadJob = Job<Request, (StoredRecord | null)[]>;

const bounds = { leastJobs: 4, maxJobs: 256, maxWeight: 512 };
const attempts = 3;

/** Reads records; concurrent reads of one organisation share a statement. */
export class Reader {
  readonly #session: Session;
  readonly #connections: Connections;
  readonly #statements: Statements;
  readonly #coalesce: boolean;
  readonly #lanes: Lanes<Request, (StoredRecord | null)[]>;

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
    const options = { ...bounds, ...connections.patience, parallel: 2 };
    this.#lanes = new Lanes((orgId) => new Lane((jobs) => this.#runBatch(orgId, jobs), options));
  }

  /** As `Backend.read`, without its signal. */
  read(
    orgId: string,
    refs: readonly RecordRef[],
    context: CallContext,
  ): Promise<(StoredRecord | null)[]> {
    const input = { refs, now: context.now };
    if (!this.#coalesce) return this.#fetch(orgId, [input]).then(([found]) => found ?? []);
    return new Promise((resolve, reject) => {
      const job: ReadJob = {
        input,
        keys: [],
        weight: refs.length,
        shares: true,
        ordered: false,
        since: 0,
        sent: false,
        resolve,
        reject,
      };
      this.#lanes.of(orgId).add(job);
    });
  }

  /** Sends calls that only read. They are sent again when the connection was lost: nothing can happen twice. */
  async query(orgId: string, calls: readonly Call[]): Promise<WireRow[][]> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#session.run(orgId, calls);
      } catch (error) {
        const lost =
          error instanceof PipelineFailure &&
          error.effect === "unknown" &&
          !isServerError(error.cause);
        if (!lost || attempt >= attempts || error.isSilence)
          throw this.#connections.storageError(error);
      }
    }
  }

  async #runBatch(orgId: string, jobs: readonly ReadJob[]): Promise<void> {
    try {
      const found = await this.#fetch(
        orgId,
        jobs.map(({ input }) => input),
      );
      for (const [i, job] of jobs.entries()) job.resolve(found[i] ?? []);
    } catch (error) {
      for (const job of jobs) job.reject(error);
    }
  }

  async #fetch(orgId: string, requests: readonly Request[]): Promise<(StoredRecord | null)[][]> {
    const wanted = requests.flatMap(({ refs, now }) =>
      refs.map((ref): Wanted => ({ ref, now, record: null })),
    );
    const [only, ...others] = wanted;
    if (only && others.length === 0) only.record = await this.#fetchOne(orgId, only.ref, only.now);
    else if (only) await this.#fetchMany(orgId, wanted);
    let next = 0;
    return requests.map(({ refs }) => {
      const records = wanted.slice(next, next + refs.length).map(({ record }) => record);
      next += refs.length;
      return records;
    });
  }

  /** One statement for each table. */
  async #fetchMany(orgId: string, wanted: readonly Wanted[]): Promise<void> {
    const tables = [...new Set(wanted.map(({ ref }) => ref.table))];
    const groups = tables.map((table) => wanted.filter(({ ref }) => ref.table === table));
    const keys = groups.map((group) => group.map(({ ref }) => ref.key));
    const calls = tables.map((table, i) => readMany(this.#statements, orgId, table, keys[i] ?? []));
    const results = await this.query(orgId, calls);
    for (const [i, group] of groups.entries()) {
      for (const row of results[i] ?? []) {
        const one = group[Number(row[0]) - 1];
        if (one === undefined) continue;
        const record = recordOf(one.ref.table, one.ref.key, row, 1);
        one.record = isLive(record, one.now) ? record : null;
      }
    }
  }

  async #fetchOne(orgId: string, ref: RecordRef, now: number): Promise<StoredRecord | null> {
    const [rows] = await this.query(orgId, [readOne(this.#statements, orgId, ref)]);
    const row = rows?.[0];
    if (row === undefined) return null;
    const record = recordOf(ref.table, ref.key, row);
    return isLive(record, now) ? record : null;
  }
}

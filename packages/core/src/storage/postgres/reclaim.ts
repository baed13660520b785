import { sql } from "drizzle-orm";
import { isoOf } from "../../domain/instant.ts";
import type { Session } from "./session.ts";
import type { Statements } from "./statements.ts";

const intervalMs = 30_000;
const batchSize = 1000;

/** Removes expired records now and then, beside the calls that made work for it: there is no timer, and a failure is nobody's. */
export class Reclaimer {
  readonly #session: Session;
  readonly #statements: Statements;
  #last = 0;
  #work: Promise<void> | null = null;

  constructor(session: Session, statements: Statements) {
    this.#session = session;
    this.#statements = statements;
  }

  /** Called after a commit; at most every half minute, and a bounded number of records at a time, it does something. */
  nudge(nowMs: number): void {
    if (this.#work || Date.now() - this.#last < intervalMs) return;
    this.#last = Date.now();
    this.#work = this.reclaim(nowMs).then(
      (count) => {
        this.#work = null;
        // More is left: go on with the next commit.
        if (count >= batchSize) this.#last = 0;
      },
      () => {
        this.#work = null;
      },
    );
  }

  /** Removes up to a thousand records that expired before `nowMs` and before the server's own clock. @returns how many */
  async reclaim(nowMs: number): Promise<number> {
    const call = this.#statements.call(
      "reclaim",
      () =>
        sql`SELECT codespar.reclaim_expired(${sql.placeholder("now")}::timestamptz, ${sql.placeholder("limit")}::integer)`,
      { now: isoOf(nowMs), limit: String(batchSize) },
    );
    const [rows] = await this.#session.run("", [call]);
    return Number(rows?.[0]?.[0]);
  }

  /** Waits for what is under way. */
  async settled(): Promise<void> {
    await this.#work;
  }
}

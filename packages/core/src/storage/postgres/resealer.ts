import { sql } from "drizzle-orm";
import { ExpectationFailed } from "../backend.ts";
import type { ResealedEnvelope, ResealStep, SealedCount } from "../secrets-port.ts";
import { type SealedTable, sealedColumns, sealedTables } from "../stored-keys.ts";
import { planCommits } from "./commit-plan.ts";
import { type Connections, PipelineFailure } from "./connections.ts";
import type { Call } from "./pipeline.ts";
import { keyArrays } from "./record-reads.ts";
import {
  all,
  column,
  drizzleTables,
  list,
  ofOrg,
  parameterOf,
  specOf,
  texts,
} from "./record-sql.ts";
import { lockRecords } from "./record-writes.ts";
import type { Session } from "./session.ts";
import { databaseError, isTransient, ownStates } from "./sql-state.ts";
import type { Statements } from "./statements.ts";
import { arrayParameter } from "./wire.ts";

const transientAttempts = 6;

/** Seals records anew, and tells which keys sealed them. */
export class Resealer {
  readonly #session: Session;
  readonly #connections: Connections;
  readonly #statements: Statements;

  constructor(session: Session, connections: Connections, statements: Statements) {
    this.#session = session;
    this.#connections = connections;
    this.#statements = statements;
  }

  /** As `SecretsPort.sealedCounts`. */
  async counts(): Promise<readonly SealedCount[]> {
    const call = this.#statements.call(
      "sealed_counts",
      () => sql`SELECT c.sealed_table, c.key_id, c.records FROM codespar.sealed_counts() AS c`,
      {},
    );
    try {
      // No organisation's matter; transactions name one all the same.
      const [rows] = await this.#session.run("", [call]);
      return (rows ?? []).map(([table, keyId, count]) => ({
        table: table as SealedTable,
        keyId: keyId ?? "",
        count: Number(count),
      }));
    } catch (error) {
      throw this.#connections.storageError(error);
    }
  }

  /** As `SecretsPort.reseal`. */
  async reseal(orgId: string, step: ResealStep, nowMs: number): Promise<void> {
    const entries = { checks: [], writes: [], appends: step.entries };
    const calls = [
      ...sealedTables.flatMap((table) => this.#resealTable(orgId, table, step.envelopes)),
      // The trail's lock comes last, as in every transaction.
      ...planCommits(this.#statements, orgId, [{ commit: entries, now: nowMs }]).calls,
    ];
    for (let attempt = 1; ; attempt += 1) {
      try {
        // The application's role can't put another text in a signing key's place.
        await this.#session.runAsOwner(calls, orgId);
        return;
      } catch (error) {
        const cause = error instanceof PipelineFailure ? error.cause : null;
        const [first] = step.envelopes;
        if (databaseError(cause).code === ownStates.expectationFailed && first !== undefined)
          throw new ExpectationFailed(first, null);
        if (!isTransient(cause) || attempt >= transientAttempts)
          throw this.#connections.storageError(error);
      }
    }
  }

  /** Keeps this canary in the place of any other. */
  async keepCanary(canary: string): Promise<void> {
    const call = this.#statements.call(
      "replace_key_canary",
      () =>
        sql`INSERT INTO codespar.key_canary AS k (id, canary) VALUES (1, ${sql.placeholder("canary")}::text) ON CONFLICT (id) DO UPDATE SET canary = excluded.canary`,
      { canary },
    );
    try {
      await this.#session.runAsOwner([call]);
    } catch (error) {
      throw this.#connections.storageError(error);
    }
  }

  #resealTable(org: string, table: SealedTable, envelopes: readonly ResealedEnvelope[]): Call[] {
    const items = envelopes.filter((envelope) => envelope.table === table);
    if (items.length === 0) return [];
    const locked = items.map(({ key }) => ({ item: { table, key }, now: 0 }));
    const { key } = specOf(table);
    const sealed = sealedColumns[table];
    const changed = sql`UPDATE ${drizzleTables[table]} AS t SET ${sql.identifier(sealed)} = u.to_envelope FROM unnest(${list(
      [...key.map(parameterOf), "from_envelope", "to_envelope"].map(texts),
    )}) AS u(${list([...key, "from_envelope", "to_envelope"].map((name) => sql`${sql.identifier(name)}`))}) WHERE ${all(
      [
        ofOrg("t"),
        ...key.map((name) => sql`${column("t", name)} = ${column("u", name)}`),
        sql`${column("t", sealed)} = u.from_envelope`,
      ],
    )} RETURNING 1`;
    const update = this.#statements.call(
      `reseal:${table}`,
      () =>
        sql`WITH changed AS (${changed}) SELECT codespar.expectation_failed('[]') FROM changed HAVING count(*) < cardinality(${texts("to_envelope")})`,
      {
        org,
        ...keyArrays(
          key,
          items.map((item) => item.key),
        ),
        from_envelope: arrayParameter(items.map(({ from }) => from)),
        to_envelope: arrayParameter(items.map(({ to }) => to)),
      },
    );
    return [lockRecords(this.#statements, org, table, locked), update];
  }
}

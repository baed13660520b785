import { sql } from "drizzle-orm";
import { isoOf } from "../../domain/instant.ts";
import type { CommitResult, Put, WriteResult } from "../backend.ts";
import { entryOf, findEntry } from "./audit-sql.ts";
import type { TimedCommit } from "./commit-plan.ts";
import type { Call } from "./pipeline.ts";
import { all, column, drizzleTables, epoch, ofOrg, parameterOf, specOf } from "./record-sql.ts";
import type { Session } from "./session.ts";
import type { Statements } from "./statements.ts";
import { fromEpoch, type Parameter, type WireRow } from "./wire.ts";

/**
 * Finds out whether a commit whose answer was lost did happen: its versions and entry ids are nobody else's. Only presence proves
 * anything: absence may be a server that still works on it, or somebody who wrote since. The rows are locked, which makes this a commit of
 * its own: with a synchronous standby it is confirmed only after what it found.
 *
 * @returns its result when all of it is found; `null` when that can't be told
 */
export async function confirmCommit(
  session: Session,
  statements: Statements,
  orgId: string,
  { commit, now }: TimedCommit,
): Promise<CommitResult | null> {
  const puts = commit.writes.filter((write) => write.kind === "put");
  if (puts.length < commit.writes.length || puts.length === 0) return null;
  const calls = [
    ...puts.map((put) => findPut(statements, orgId, put)),
    ...commit.appends.map(({ content }) => findEntry(statements, orgId, content.id)),
  ];
  const rows = (await session.run(orgId, calls)).map(([row]) => row);
  if (rows.some((row) => row === undefined)) return null;
  const found = rows.filter((row) => row !== undefined);
  return {
    writes: found.slice(0, puts.length).map((row) => resultOf(row, now)),
    appends: found.slice(puts.length).map((row) => {
      const { seq, leaf, hash } = entryOf(row);
      return { seq, leaf: Buffer.from(leaf).toString("utf8"), hash };
    }),
  };
}

function resultOf([created, createdAt]: WireRow, now: number): WriteResult {
  return {
    kind: "put",
    created: created === "t",
    createdAt: fromEpoch(createdAt ?? ""),
    updatedAt: isoOf(now),
  };
}

function findPut(statements: Statements, org: string, { table, key, version }: Put): Call {
  const names = specOf(table).key;
  const values: Record<string, Parameter> = { org, version };
  for (const [i, name] of names.entries()) values[parameterOf(name)] = key[i] ?? null;
  return statements.call(
    `confirm:${table}`,
    () =>
      sql`SELECT NOT t.overwritten, ${epoch(sql`t.created_at`)} FROM ${drizzleTables[table]} AS t WHERE ${all(
        [
          ofOrg("t"),
          ...names.map((name) => sql`${column("t", name)} = ${sql.placeholder(parameterOf(name))}`),
          sql`t.version = ${sql.placeholder("version")}`,
        ],
      )} FOR UPDATE`,
    values,
  );
}

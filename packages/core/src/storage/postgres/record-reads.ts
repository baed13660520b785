import { type SQL, sql } from "drizzle-orm";
import { isoOf } from "../../domain/instant.ts";
import type { CountRow, KeyRange, RecordRef, StoredRecord } from "../backend.ts";
import type { TableName } from "../tables.ts";
import type { Call } from "./pipeline.ts";
import {
  all,
  column,
  drizzleTables,
  list,
  ofOrg,
  parameterOf,
  recordColumns,
  specOf,
  texts,
  unexpired,
} from "./record-sql.ts";
import type { Statements } from "./statements.ts";
import { arrayParameter, fromEpoch, fromText, type Parameter, type WireRow } from "./wire.ts";

const now = sql`${sql.placeholder("now")}::timestamptz`;

/** Reads one record by its key; expired ones too. */
export function readOne(statements: Statements, org: string, ref: RecordRef): Call {
  const { key } = specOf(ref.table);
  const values: Record<string, Parameter> = { org };
  for (const [i, name] of key.entries()) values[parameterOf(name)] = ref.key[i] ?? null;
  return statements.call(
    `read:${ref.table}`,
    () =>
      sql`SELECT ${recordColumns("t", ref.table)} FROM ${drizzleTables[ref.table]} AS t WHERE ${all(
        [
          ofOrg("t"),
          ...key.map((name) => sql`${column("t", name)} = ${sql.placeholder(parameterOf(name))}`),
        ],
      )}`,
    values,
  );
}

/**
 * Reads many records of one table as of one moment; expired ones too. Each row begins with its place among the keys, from 1. The
 * subquery's LIMIT keeps the plan a walk over the keys, whatever the statistics say.
 */
export function readMany(
  statements: Statements,
  org: string,
  table: TableName,
  keys: readonly (readonly string[])[],
): Call {
  const { key } = specOf(table);
  return statements.call(
    `readMany:${table}`,
    () =>
      sql`SELECT u.n, r.* FROM unnest(${list(key.map((name) => texts(parameterOf(name))))}) WITH ORDINALITY AS u(${list(
        [...key, "n"].map((name) => sql`${sql.identifier(name)}`),
      )}) CROSS JOIN LATERAL (SELECT ${recordColumns("t", table)} FROM ${drizzleTables[table]} AS t WHERE ${all(
        [ofOrg("t"), ...key.map((name) => sql`${column("t", name)} = ${column("u", name)}`)],
      )} LIMIT 1) AS r`,
    { org, ...keyArrays(key, keys) },
  );
}

/** The keys' parts as one array parameter each. */
export function keyArrays(
  names: readonly string[],
  keys: readonly (readonly string[])[],
): Record<string, Parameter> {
  return Object.fromEntries(
    names.map((name, i) => [parameterOf(name), arrayParameter(keys.map((key) => key[i] ?? null))]),
  );
}

/** Reads a record from a row of {@link recordColumns}. */
export function recordOf(
  table: TableName,
  key: readonly string[],
  row: WireRow,
  from = 0,
): StoredRecord {
  const columns: Record<string, ReturnType<typeof fromText>> = {};
  let i = from + metadata;
  for (const [name, type] of Object.entries(specOf(table).columns)) {
    columns[name] = fromText(row[i] ?? null, type);
    i += 1;
  }
  const at = (place: number) => row[from + place];
  // Most readers want the value alone: instants are written out only for those who ask.
  return {
    key,
    columns,
    version: at(0) ?? "",
    get createdAt() {
      return fromEpoch(at(1) ?? "");
    },
    get updatedAt() {
      return fromEpoch(at(2) ?? "");
    },
    get expiresAt() {
      const expiresAt = at(3);
      return expiresAt == null ? null : fromEpoch(expiresAt);
    },
  };
}

/** How many of {@link recordColumns} come before the table's own. */
const metadata = 4;

/** Whether a record counts as there at `nowMs`. */
export function isLive(record: StoredRecord, nowMs: number): boolean {
  return record.expiresAt === null || Date.parse(record.expiresAt) > nowMs;
}

/** Counts records by the values of some columns. */
export function countRecords(
  statements: Statements,
  org: string,
  table: TableName,
  columns: readonly string[],
  nowMs: number,
): Call {
  const named = columns.map((name) => column("t", name));
  const shown = columns.map((name) => sql`${column("t", name)},`);
  const grouping =
    columns.length === 0 ? sql`` : sql` GROUP BY ${list(named)} ORDER BY ${list(named)}`;
  return statements.call(
    `count:${table},${columns.join(",")}`,
    () =>
      sql`SELECT ${sql.join(shown, sql` `)} count(*) FROM ${drizzleTables[table]} AS t WHERE ${all([
        ofOrg("t"),
        unexpired("t", now),
      ])}${grouping}`,
    { org, now: isoOf(nowMs) },
  );
}

/** Reads a row of {@link countRecords}. */
export function countOf(table: TableName, columns: readonly string[], row: WireRow): CountRow {
  const types = specOf(table).columns;
  return {
    values: columns.map((name, i) => fromText(row[i] ?? null, types[name] ?? "text")),
    count: Number(row[columns.length]),
  };
}

/** Distinct agents with unexpired memory: one index probe each, however many entries they have. */
export function agentsWithMemory(
  statements: Statements,
  org: string,
  range: KeyRange,
  nowMs: number,
): Call {
  const direction = range.reverse ? sql`DESC` : sql`ASC`;
  const comparison = range.reverse ? sql`<` : sql`>`;
  const start =
    range.after === undefined
      ? sql``
      : sql` AND t.agent_id ${comparison} ${sql.placeholder("after")}`;
  const next = (condition: SQL) =>
    sql`(SELECT t.agent_id FROM ${drizzleTables.agent_memory} AS t WHERE ${all([
      ofOrg("t"),
      unexpired("t", now),
    ])}${condition} ORDER BY t.agent_id ${direction} LIMIT 1)`;
  return statements.call(
    `agents:${range.reverse ? "desc" : "asc"},${range.after !== undefined}`,
    () =>
      sql`WITH RECURSIVE agents(agent_id) AS (${next(start)} UNION ALL SELECT ${next(
        sql` AND t.agent_id ${comparison} agents.agent_id`,
      )} FROM agents WHERE agents.agent_id IS NOT NULL) SELECT agent_id FROM agents WHERE agent_id IS NOT NULL LIMIT ${sql.placeholder("limit")}::bigint`,
    {
      org,
      now: isoOf(nowMs),
      limit: String(range.limit),
      ...(range.after === undefined ? {} : { after: range.after[0] ?? "" }),
    },
  );
}

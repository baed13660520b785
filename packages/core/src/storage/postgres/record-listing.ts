import { type SQL, sql } from "drizzle-orm";
import { isoOf } from "../../domain/instant.ts";
import type { RecordQuery } from "../backend.ts";
import type { TableName } from "../tables.ts";
import type { Call } from "./pipeline.ts";
import {
  all,
  cast,
  column,
  drizzleTables,
  list,
  ofOrg,
  recordColumns,
  specOf,
  unexpired,
} from "./record-sql.ts";
import type { Statements } from "./statements.ts";
import { type Parameter, toText } from "./wire.ts";

/** Conditions of a listing, as they gather: the values that go with them, and the name of the shape. */
interface Conditions {
  readonly sql: SQL[];
  readonly values: Record<string, Parameter>;
  readonly shape: string[];
}

/** One page of a table in key order. Its rows begin with the key's parts. */
export function listRecords(
  statements: Statements,
  org: string,
  query: RecordQuery,
  nowMs: number,
): Call {
  const { key } = specOf(query.table);
  const conditions: Conditions = {
    sql: [ofOrg("t"), unexpired("t", sql`${sql.placeholder("now")}::timestamptz`)],
    values: { org, now: isoOf(nowMs), limit: String(query.limit) },
    shape: [query.table, query.reverse ? "desc" : "asc"],
  };
  addWithin(conditions, key, query.within ?? []);
  const rest = key.slice(query.within?.length ?? 0);
  if (query.prefix) addPrefix(conditions, rest[0] ?? "", query.prefix);
  if (query.after)
    addAfter(conditions, rest, query.after.slice(key.length - rest.length), query.reverse === true);
  for (const [name, value] of Object.entries(query.where ?? {}))
    addEqual(conditions, query, name, toText(value));
  const order = list(
    orderOf(query).map((name) => sql`${column("t", name)}${query.reverse ? sql` DESC` : sql``}`),
  );
  const rows = sql`FROM ${drizzleTables[query.table]} AS t WHERE ${all(conditions.sql)} ORDER BY ${order} LIMIT ${sql.placeholder("limit")}::bigint`;
  if (query.maxBytes !== undefined) {
    conditions.shape.push("bytes");
    conditions.values["maxBytes"] = String(query.maxBytes);
  }
  return statements.call(
    `list:${conditions.shape.join(",")}`,
    () =>
      sql`SELECT ${list(key.map((name) => column("t", name)))}, ${recordColumns("t", query.table)} ${
        query.maxBytes === undefined ? rows : upToBytes(rows, order, query.table)
      }`,
    conditions.values,
  );
}

/** Of some rows in their order, those before which they haven't reached the bytes yet. Only these leave the database. */
function upToBytes(rows: SQL, order: SQL, table: TableName): SQL {
  const sizes = Object.entries(specOf(table).columns)
    .filter(([, type]) => type === "json" || type === "text")
    .map(([name]) => sql`coalesce(octet_length(${column("t", name)}::text), 0)`);
  const sized = sql`SELECT t.*, ${sql.join(sizes, sql` + `)} AS bytes ${rows}`;
  const summed = sql`SELECT t.*, sum(t.bytes) OVER (ORDER BY ${order} ROWS UNBOUNDED PRECEDING) - t.bytes AS bytes_before FROM (${sized}) AS t`;
  return sql`FROM (${summed}) AS t WHERE t.bytes_before < ${sql.placeholder("maxBytes")}::bigint ORDER BY ${order}`;
}

/** A page of at most one record walks along the index of its unique column, which only that order makes sure of. */
function orderOf({ table, where }: RecordQuery): readonly string[] {
  const { key, unique } = specOf(table);
  const one = unique.find((name) => (where?.[name] ?? null) !== null);
  return one === undefined ? key : [one];
}

function addWithin(
  { sql: conditions, values, shape }: Conditions,
  key: readonly string[],
  within: readonly string[],
): void {
  shape.push(`within ${within.length}`);
  within.forEach((part, i) => {
    values[`within${i}`] = part;
    conditions.push(sql`${column("t", key[i] ?? "")} = ${sql.placeholder(`within${i}`)}`);
  });
}

function addPrefix(
  { sql: conditions, values, shape }: Conditions,
  name: string,
  prefix: string,
): void {
  const end = afterPrefix(prefix);
  shape.push(end === null ? "from" : "prefix");
  values["from"] = prefix;
  conditions.push(sql`${column("t", name)} >= ${sql.placeholder("from")}`);
  if (end === null) return;
  values["to"] = end;
  conditions.push(sql`${column("t", name)} < ${sql.placeholder("to")}`);
}

function addAfter(
  { sql: conditions, values, shape }: Conditions,
  names: readonly string[],
  after: readonly string[],
  reverse: boolean,
): void {
  shape.push("after");
  names.forEach((name, i) => {
    values[`after_${name}`] = after[i] ?? null;
  });
  const left = list(names.map((name) => column("t", name)));
  const right = list(names.map((name) => sql`${sql.placeholder(`after_${name}`)}::text`));
  conditions.push(reverse ? sql`(${left}) < (${right})` : sql`(${left}) > (${right})`);
}

function addEqual(
  { sql: conditions, values, shape }: Conditions,
  { table }: RecordQuery,
  name: string,
  value: string | null,
): void {
  shape.push(value === null ? `where ${name} null` : `where ${name}`);
  if (value === null) {
    conditions.push(sql`${column("t", name)} IS NULL`);
    return;
  }
  values[`where_${name}`] = value;
  const { columns, unique } = specOf(table);
  const wanted = cast(sql`${sql.placeholder(`where_${name}`)}::text`, columns[name] ?? "text");
  const own = column("t", name);
  // A column that is held equal gives no order.
  conditions.push(
    unique.includes(name)
      ? sql`${own} >= ${wanted} AND ${own} <= ${wanted}`
      : sql`${own} = ${wanted}`,
  );
}

/** The first text in UTF-8 order after all that begin with `prefix`, or `null` when nothing can follow. */
function afterPrefix(prefix: string): string | null {
  const points = Array.from(prefix, (character) => character.codePointAt(0) ?? 0);
  for (let point = points.pop(); point !== undefined; point = points.pop()) {
    if (point < 0x10ffff)
      return String.fromCodePoint(...points, point === 0xd7ff ? 0xe000 : point + 1);
  }
  return null;
}

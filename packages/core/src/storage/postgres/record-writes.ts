import { type SQL, sql } from "drizzle-orm";
import { isoOf } from "../../domain/instant.ts";
import type { Expectation, Put, RecordRef, StoredRecord } from "../backend.ts";
import type { ColumnType, TableName } from "../tables.ts";
import type { Call } from "./pipeline.ts";
import { keyArrays } from "./record-reads.ts";
import {
  all,
  cast,
  column,
  drizzleTables,
  epoch,
  list,
  ofOrg,
  parameterOf,
  specOf,
  texts,
  unexpired,
} from "./record-sql.ts";
import type { Statements } from "./statements.ts";
import { arrayParameter, type Parameter, toText } from "./wire.ts";

/** A write or check with the instant of its call. */
export interface Timed<Item> {
  readonly item: Item;
  readonly now: number;
}

const u = (name: string) => column("u", name);
const sameKey = (key: readonly string[]) =>
  key.map((name) => sql`${column("t", name)} = ${u(name)}`);
const named = (names: readonly string[]) => list(names.map((name) => sql`${sql.identifier(name)}`));

/** `null`: anything goes; '': absent; otherwise the version. */
function expected(expectation: Expectation | undefined): string | null {
  if (expectation === undefined) return null;
  return "absent" in expectation ? "" : expectation.version;
}

/** What `codespar.expectation_failed` is told: it comes back as the error's detail. */
const mismatch = (table: TableName, alias: string, version: SQL) =>
  sql`json_build_object('table', ${sql.raw(`'${table}'`)}::text, 'key', json_build_array(${list(
    specOf(table).key.map((name) => column(alias, name)),
  )}), 'version', ${version})`;

/**
 * Locks records in the order given and compares their versions; ends the transaction, naming every mismatch, unless all are as expected.
 * What isn't there can't be locked: a `put` that expects absence decides by its insert.
 */
export function lockRecords(
  statements: Statements,
  org: string,
  table: TableName,
  items: readonly Timed<RecordRef & { readonly expect?: Expectation | undefined }>[],
): Call {
  const { key } = specOf(table);
  return statements.call(
    `lock:${table}`,
    () =>
      sql`SELECT codespar.expectation_failed(json_agg(${mismatch(table, "m", sql`m.version`)})) FROM (SELECT ${list(
        key.map(u),
      )}, u.expected, CASE WHEN ${unexpired("r", sql`u.now::timestamptz`)} THEN r.version END AS version FROM unnest(${list(
        [...key.map(parameterOf), "expected", "nows"].map(texts),
      )}) AS u(${named([...key, "expected", "now"])}) LEFT JOIN LATERAL (SELECT t.version, t.expires_at FROM ${
        drizzleTables[table]
      } AS t WHERE ${all([ofOrg("t"), ...sameKey(key)])} FOR UPDATE) AS r ON true OFFSET 0) AS m WHERE m.expected IS NOT NULL AND m.expected <> coalesce(m.version, '') HAVING count(*) > 0`,
    {
      org,
      ...keyArrays(
        key,
        items.map(({ item }) => item.key),
      ),
      expected: arrayParameter(items.map(({ item }) => expected(item.expect))),
      nows: nows(items),
    },
  );
}

/**
 * Writes records, replacing what is there. Returns for each its version, whether it was made, and since when it is there. One that
 * expects absence and meets a record ends the transaction.
 */
export function putRecords(
  statements: Statements,
  org: string,
  table: TableName,
  items: readonly Timed<Put>[],
): Call {
  const [only, ...others] = items;
  const absent = items.filter(({ item }) => item.expect !== undefined && "absent" in item.expect);
  const shape = `put:${table}${absent.length > 0 ? ",absent" : ""}`;
  if (only && others.length === 0) {
    const values: Record<string, Parameter> = { org, absent: only.item.version };
    for (const [name, pick] of putColumns(table)) values[name] = pick(only);
    return statements.call(
      `${shape},one`,
      () => upsert(table, absent.length > 0, oneRow(table)),
      values,
    );
  }
  const values: Record<string, Parameter> = {
    org,
    absent: arrayParameter(absent.map(({ item }) => item.version)),
  };
  for (const [name, pick] of putColumns(table)) values[name] = arrayParameter(items.map(pick));
  return statements.call(shape, () => upsert(table, absent.length > 0, manyRows(table)), values);
}

type Pick = (put: Timed<Put>) => string | null;

/** What a put's row is made of besides the organisation, under the names of its parameters. */
const putColumns = memoize((table: TableName): readonly [name: string, pick: Pick][] => {
  const { key, columns } = specOf(table);
  return [
    ...key.map((name, i): [string, Pick] => [parameterOf(name), ({ item }) => item.key[i] ?? null]),
    ...Object.keys(columns).map((name): [string, Pick] => [
      parameterOf(name),
      ({ item }) => toText(item.columns[name] ?? null),
    ]),
    ["version", ({ item }) => item.version],
    ["now", ({ now }) => isoOf(now)],
    ["expires_at", ({ item }) => item.expiresAt],
  ];
});

/** Where the rows of an upsert come from, and how it tells those that must be new. */
interface Rows {
  readonly source: SQL;
  readonly absent: SQL;
}

/** One row of scalar parameters: cheaper than arrays for the lone call. */
function oneRow(table: TableName): Rows {
  const values = typedColumns(table).map(([name, type]) =>
    cast(sql`${sql.placeholder(name)}::text`, type),
  );
  return {
    source: sql`VALUES (${list([sql`${sql.placeholder("org")}::text`, ...values])})`,
    absent: sql`excluded.version = ${sql.placeholder("absent")}`,
  };
}

function manyRows(table: TableName): Rows {
  const columns = typedColumns(table);
  const names = columns.map(([name]) => name);
  return {
    source: sql`SELECT ${list([
      sql`${sql.placeholder("org")}::text`,
      ...columns.map(([name, type]) => cast(u(name), type)),
    ])} FROM unnest(${list([...new Set(names)].map(texts))}) AS u(${named([...new Set(names)])})`,
    absent: sql`excluded.version = ANY (${texts("absent")})`,
  };
}

/** Parameters in the order of the columns to insert; `now` is two of them. */
function typedColumns(table: TableName): [name: string, type: ColumnType][] {
  const { key, columns } = specOf(table);
  return [
    ...key.map((name): [string, ColumnType] => [parameterOf(name), "text"]),
    ...Object.entries(columns).map(([name, type]): [string, ColumnType] => [
      parameterOf(name),
      type,
    ]),
    ["version", "text"],
    ["now", "instant"],
    ["now", "instant"],
    ["expires_at", "instant"],
  ];
}

function upsert(table: TableName, someAbsent: boolean, { source, absent }: Rows): SQL {
  const { key, columns } = specOf(table);
  const own = Object.keys(columns);
  const met = unexpired("t", sql`excluded.updated_at`);
  const failure = sql`codespar.expectation_failed(json_build_array(${mismatch(table, "t", sql`t.version`)}))`;
  const version = someAbsent
    ? sql`CASE WHEN ${absent} AND ${met} THEN ${failure} ELSE excluded.version END`
    : sql`excluded.version`;
  return sql`INSERT INTO ${drizzleTables[table]} AS t (${named(["org_id", ...key, ...own, "version", "created_at", "updated_at", "expires_at"])}) ${source} ON CONFLICT (${named(
    ["org_id", ...key],
  )}) DO UPDATE SET ${list([
    ...own.map((name) => sql`${sql.identifier(name)} = ${column("excluded", name)}`),
    sql`version = ${version}`,
    sql`created_at = CASE WHEN ${met} THEN t.created_at ELSE excluded.created_at END`,
    sql`updated_at = excluded.updated_at, expires_at = excluded.expires_at, overwritten = ${met}`,
  ])} WHERE ${ofOrg("t")} RETURNING version, NOT overwritten, ${epoch(sql`created_at`)}`;
}

/** Deletes a record. Returns whether it had not expired, or no row when there was none. */
export function deleteRecord(
  statements: Statements,
  org: string,
  { item, now }: Timed<RecordRef>,
): Call {
  const { key } = specOf(item.table);
  const values: Record<string, Parameter> = { org, now: isoOf(now) };
  for (const [i, name] of key.entries()) values[parameterOf(name)] = item.key[i] ?? null;
  return statements.call(
    `delete:${item.table}`,
    () =>
      sql`DELETE FROM ${drizzleTables[item.table]} AS t WHERE ${all([
        ofOrg("t"),
        ...key.map((name) => sql`${column("t", name)} = ${sql.placeholder(parameterOf(name))}`),
      ])} RETURNING ${unexpired("t", sql`${sql.placeholder("now")}::timestamptz`)}`,
    values,
  );
}

function memoize<Key, Value>(make: (key: Key) => Value): (key: Key) => Value {
  const made = new Map<Key, Value>();
  return (key) => {
    const known = made.get(key);
    if (known !== undefined) return known;
    const value = make(key);
    made.set(key, value);
    return value;
  };
}

function nows(items: readonly Timed<unknown>[]): Parameter {
  return arrayParameter(items.map(({ now }) => isoOf(now)));
}

/** Columns of a row that only holds its key's place until the commit. */
export function placeholderColumns(
  table: TableName,
  version: string,
  nowMs: number,
): Record<string, string> {
  const values = {
    text: version,
    integer: "0",
    boolean: "false",
    json: "null",
    instant: isoOf(nowMs),
  };
  const columns = Object.entries(specOf(table).columns).map(([name, type]) => [name, values[type]]);
  return { ...Object.fromEntries(columns), ...statusOf[table] };
}

/** The tables' checks demand one of their statuses. */
const statusOf: Partial<Record<TableName, { readonly status: string }>> = {
  agent_states: { status: "idle" },
  subscribers: { status: "pending" },
};

/** Writes records as they are, versions and instants included, over what may be there. */
export function importRecords(
  statements: Statements,
  org: string,
  table: TableName,
  records: readonly StoredRecord[],
): Call {
  const { key, columns } = specOf(table);
  const meta = ["version", "created_at", "updated_at", "expires_at"] as const;
  const names = [...key, ...Object.keys(columns), ...meta];
  const array = (pick: (record: StoredRecord) => string | null) =>
    arrayParameter(records.map(pick));
  const values: Record<string, Parameter> = {
    org,
    ...keyArrays(
      key,
      records.map((record) => record.key),
    ),
    ...Object.fromEntries(
      Object.keys(columns).map((name) => [
        parameterOf(name),
        array((record) => toText(record.columns[name] ?? null)),
      ]),
    ),
    [parameterOf("version")]: array((record) => record.version),
    [parameterOf("created_at")]: array((record) => record.createdAt),
    [parameterOf("updated_at")]: array((record) => record.updatedAt),
    [parameterOf("expires_at")]: array((record) => record.expiresAt),
  };
  return statements.call(
    `import:${table}`,
    () =>
      sql`INSERT INTO ${drizzleTables[table]} AS t (${named(["org_id", ...names])}) SELECT ${list([
        sql`${sql.placeholder("org")}::text`,
        ...key.map(u),
        ...Object.entries(columns).map(([name, type]) => cast(u(name), type)),
        sql`u.version, u.created_at::timestamptz, u.updated_at::timestamptz, u.expires_at::timestamptz`,
      ])} FROM unnest(${list(names.map((name) => texts(parameterOf(name))))}) AS u(${named(names)}) ON CONFLICT (${named(
        ["org_id", ...key],
      )}) DO UPDATE SET ${list(
        names
          .slice(key.length)
          .map((name) => sql`${sql.identifier(name)} = ${column("excluded", name)}`),
      )} WHERE ${ofOrg("t")}`,
    values,
  );
}

import { type SQL, sql } from "drizzle-orm";
import type { PgTable } from "drizzle-orm/pg-core";
import * as machinery from "../machinery.ts";
import * as schema from "../schema.ts";
import { type ColumnType, type TableName, type TableSpec, tables } from "../tables.ts";

/** The Drizzle tables by their names. */
export const drizzleTables: Readonly<Record<TableName, PgTable>> = {
  agent_memory: schema.agentMemory,
  agent_states: schema.agentStates,
  api_keys: machinery.apiKeys,
  audit_anchors: machinery.auditAnchors,
  audit_checkpoints: machinery.auditCheckpoints,
  audit_keys: machinery.auditKeys,
  channel_configs: schema.channelConfigs,
  project_configs: schema.projectConfigs,
  projects: schema.projects,
  slack_installations: schema.slackInstallations,
  subscribers: schema.subscribers,
};

/** What is known of a table, seen as a plain record. */
export function specOf(table: TableName): TableSpec {
  return tables[table];
}

/** Rows of the organisation: the first of the two lines of defence, in every statement on data. */
export function ofOrg(alias: string): SQL {
  return sql`${sql.identifier(alias)}.org_id = ${sql.placeholder("org")}`;
}

/** A column under an alias. */
export function column(alias: string, name: string): SQL {
  return sql`${sql.identifier(alias)}.${sql.identifier(name)}`;
}

/** An array parameter of text. */
export function texts(name: string): SQL {
  return sql`${sql.placeholder(name)}::text[]`;
}

/** Joins with commas. */
export function list(parts: readonly SQL[]): SQL {
  return sql.join([...parts], sql`, `);
}

/** Joins with AND. */
export function all(parts: readonly SQL[]): SQL {
  return sql.join([...parts], sql` AND `);
}

/** Whether the row under `alias` has not expired at `now`. */
export function unexpired(alias: string, now: SQL): SQL {
  return sql`(${column(alias, "expires_at")} IS NULL OR ${column(alias, "expires_at")} > ${now})`;
}

/** A name for the key part or column `name` among the placeholders. */
export function parameterOf(name: string): string {
  return `c_${name}`;
}

const casts: Readonly<Record<ColumnType, SQL>> = {
  text: sql``,
  integer: sql`::integer`,
  boolean: sql`::boolean`,
  json: sql`::json`,
  instant: sql`::timestamptz`,
};

/** Casts text to a column's type. */
export function cast(value: SQL, type: ColumnType): SQL {
  return sql`${value}${casts[type]}`;
}

/** Selects a column in the form that `fromText` reads. */
export function shown(alias: string, name: string, type: ColumnType): SQL {
  return type === "instant" ? epoch(column(alias, name)) : column(alias, name);
}

/** An instant as seconds since the epoch: as text it would depend on the session's settings. */
export function epoch(value: SQL): SQL {
  return sql`date_part('epoch', ${value})`;
}

/** What is selected of a record besides its key: metadata first, then the table's columns. */
export function recordColumns(alias: string, table: TableName): SQL {
  const columns = Object.entries(specOf(table).columns).map(([name, type]) =>
    shown(alias, name, type),
  );
  return list([
    column(alias, "version"),
    ...["created_at", "updated_at", "expires_at"].map((name) => epoch(column(alias, name))),
    ...columns,
  ]);
}

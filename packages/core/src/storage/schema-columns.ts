import { type SQL, sql } from "drizzle-orm";
import {
  boolean,
  check,
  customType,
  type PgTableExtraConfigValue,
  pgPolicy,
  timestamp,
} from "drizzle-orm/pg-core";

/** Text ordered by its UTF-8 bytes, on every server. */
export const text = customType<{ data: string }>({ dataType: () => 'text COLLATE "C"' });
export const bytea = customType<{ data: Buffer }>({ dataType: () => "bytea" });
export const instant = (name: string) =>
  timestamp(name, { withTimezone: true, precision: 3, mode: "string" });

/** Leads every key. */
export const orgId = () => text("org_id").notNull();

/** What every mutable record has besides its own columns. */
export const meta = () => ({
  version: text("version").notNull(),
  createdAt: instant("created_at").notNull(),
  updatedAt: instant("updated_at").notNull(),
  expiresAt: instant("expires_at"),
  /** Whether the last write met an unexpired record: how an upsert knows that it made one. */
  overwritten: boolean("overwritten").notNull().default(false),
});

/** Rows of the organisation that the transaction named, and none when it named none (the setting is '' after a transaction). */
const ownRows: SQL = sql`org_id = nullif(current_setting('codespar.org_id', true), '')`;

export const guarded = (
  table: string,
  orgColumn: SQL.Aliased | unknown,
): PgTableExtraConfigValue[] => [
  check(`${table}_org_id_check`, sql`${orgColumn} <> ''`),
  pgPolicy(`${table}_organisation`, {
    as: "permissive",
    for: "all",
    to: "public",
    using: ownRows,
    withCheck: ownRows,
  }),
];

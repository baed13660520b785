import type { Client } from "pg";
import { KeyRing } from "../../../crypto/key-ring.ts";
import { StorageError } from "../../../errors/storage-error.ts";
import { checkRing } from "../../stored-keys.ts";
import { tableNames } from "../../tables.ts";
import { databaseError, isMissingSchema, toStorageError } from "../sql-state.ts";
import { type Migration, readMigrations, statementsOf } from "./journal.ts";
import {
  type AppliedMigration,
  appliedMigrationsSql,
  compareState,
  drift,
  type SchemaState,
} from "./state.ts";

/** Which database to migrate. */
export interface MigrateOptions {
  readonly databaseUrl: string;
  /** Creates the database when it is missing. Default `false`. */
  readonly create?: boolean;
  /**
   * What secrets are to be sealed with, as in `createStorage`: a database that another key has sealed isn't changed. Default: that isn't looked at.
   */
  readonly encryptionKey?: string;
  /** Told before each migration is applied. */
  readonly onMigration?: (name: string) => void;
  /** The migrations; for tests. Default: the package's own. */
  readonly folder?: URL;
}

/** What `migrate` did. */
export interface MigrateResult {
  /** Names of the migrations it applied, in order. */
  readonly applied: readonly string[];
  /** How many the database has now. */
  readonly total: number;
}

/** Where a database stands. */
export interface MigrationStatus {
  readonly applied: readonly string[];
  readonly pending: readonly string[];
}

/** A pending migration and what it would execute. */
export interface PlannedMigration {
  readonly name: string;
  readonly sql: string;
}

/** "codespar" in ASCII: whoever migrates holds this advisory lock. */
const lockKey = "7165916604736864626";

const minimumVersion = 140_000;

/**
 * Brings a database up to date. All pending migrations happen in one transaction, under a lock: any number of processes may start at once, and
 * one that fails leaves nothing behind. Safe behind a pooler in transaction mode.
 *
 * @throws StorageError `SCHEMA_DRIFT` when an applied migration was edited, the database is newer, or a foreign table has one of our names;
 * nothing was changed then. `KEY_MISMATCH` when it is sealed with another key than the given one. `UNAVAILABLE` when it can't be reached or may not be changed. `VALIDATION` for an unusable URL
 */
export async function migrate(options: MigrateOptions): Promise<MigrateResult> {
  const { createDatabase, withClient } = await loadSession();
  const shipped = readMigrations(options.folder);
  const work = () =>
    withClient(options.databaseUrl, async (client, { label }) => {
      await client.query("BEGIN ISOLATION LEVEL READ COMMITTED");
      try {
        const result = await migrateLocked(client, shipped, options, label);
        await client.query("COMMIT");
        return result;
      } catch (error) {
        await client.query("ROLLBACK").catch(() => undefined);
        throw error;
      }
    });
  if (options.create === true) await createDatabase(options.databaseUrl);
  return await work();
}

/** Tells which migrations a database has and lacks, without changing anything. @throws StorageError as {@link migrate} */
export async function migrationStatus(
  options: Pick<MigrateOptions, "databaseUrl" | "folder">,
): Promise<MigrationStatus> {
  const { applied, pending } = await stateOf(options);
  return { applied: applied.map(({ name }) => name), pending: pending.map(({ name }) => name) };
}

/** Tells what {@link migrate} would execute. @throws StorageError as {@link migrate} */
export async function migrationPlan(
  options: Pick<MigrateOptions, "databaseUrl" | "folder">,
): Promise<readonly PlannedMigration[]> {
  const { pending } = await stateOf(options);
  return pending.map(({ name, sql }) => ({ name, sql }));
}

/** Not before it is needed: the driver takes a while to load, and most who import this package never migrate. */
const loadSession = () => import("./session.ts");

async function stateOf(
  options: Pick<MigrateOptions, "databaseUrl" | "folder">,
): Promise<SchemaState> {
  const { withClient } = await loadSession();
  return withClient(options.databaseUrl, async (client) => {
    const state = compareState(await readApplied(client), readMigrations(options.folder));
    if (state.applied.length === 0) await refuseForeign(client);
    return state;
  });
}

async function migrateLocked(
  client: Client,
  shipped: readonly Migration[],
  options: MigrateOptions,
  label: string,
): Promise<MigrateResult> {
  // A table in use elsewhere must not hold up everybody who queues behind us.
  await client.query(
    "SELECT set_config('lock_timeout', '60s', true), set_config('search_path', 'public', true)",
  );
  await client.query("SELECT set_config('codespar.maintenance', 'on', true)");
  await client.query("SELECT pg_advisory_xact_lock($1)", [lockKey]);
  await refuseServer(client, label);
  const { applied, pending } = compareState(await readApplied(client, "savepoint"), shipped);
  if (applied.length === 0) await refuseForeign(client);
  if (options.encryptionKey !== undefined) await refuseOtherKey(client, options.encryptionKey);
  if (pending.length > 0)
    await unlessRefused(label, "it can't be migrated", () => prepareRecord(client));
  for (const migration of pending) {
    options.onMigration?.(migration.name);
    await apply(client, migration, label);
  }
  return { applied: pending.map(({ name }) => name), total: shipped.length };
}

async function readApplied(client: Client, within?: "savepoint"): Promise<AppliedMigration[]> {
  if (within) await client.query("SAVEPOINT applied");
  try {
    const { rows } = await client.query<{ hash: string; created_at: string }>(appliedMigrationsSql);
    return rows.map((row) => ({ hash: row.hash, createdAt: Number(row.created_at) }));
  } catch (error) {
    if (!isMissingSchema(error)) throw error;
    if (within) await client.query("ROLLBACK TO SAVEPOINT applied");
    return [];
  }
}

async function refuseServer(client: Client, label: string): Promise<void> {
  const { rows } = await client.query<{ version: string; encoding: string }>(
    "SELECT current_setting('server_version_num') AS version, current_setting('server_encoding') AS encoding",
  );
  const [server] = rows;
  if (Number(server?.version) < minimumVersion) {
    throw new StorageError(
      "UNSUPPORTED",
      `PostgreSQL ${label} is older than version 14. Upgrade it.`,
    );
  }
  if (server?.encoding !== "UTF8") {
    throw drift(`its encoding is ${server?.encoding}. Create it with ENCODING 'UTF8'`);
  }
}

/** Whatever stands under our names in a database that we never migrated is somebody else's. */
async function refuseForeign(client: Client): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT format('%I.%I', n.nspname, c.relname) AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = 'public' AND c.relname = ANY ($1) UNION ALL SELECT format('schema %I', nspname) FROM pg_namespace
     WHERE nspname = 'codespar' ORDER BY 1`,
    [[...tableNames, "audit_log"]],
  );
  if (rows.length === 0) return;
  const names = rows.map(({ name }) => name).join(", ");
  throw drift(
    `${names} exists and was not made by these migrations. Rename it, or use a database of its own. Nothing was changed`,
  );
}

/** What is sealed with another key is another deployment's, or its key is lost. @throws StorageError `KEY_MISMATCH`, `VALIDATION` */
async function refuseOtherKey(client: Client, encryptionKey: string): Promise<void> {
  const ring = KeyRing.parse(encryptionKey);
  const known = await client.query<{ known: boolean }>(
    "SELECT to_regprocedure('codespar.key_state()') IS NOT NULL AS known",
  );
  if (known.rows[0]?.known !== true) return;
  const { rows } = await client.query<{ canary: string | null; key_ids: string[] | null }>(
    "SELECT canary, key_ids FROM codespar.key_state()",
  );
  await checkRing(ring, rows[0]?.canary ?? null, () => rows[0]?.key_ids ?? []);
}

async function prepareRecord(client: Client): Promise<void> {
  await client.query("CREATE SCHEMA IF NOT EXISTS drizzle");
  await client.query(
    "CREATE TABLE IF NOT EXISTS drizzle.__drizzle_migrations (id serial PRIMARY KEY, hash text NOT NULL, created_at bigint)",
  );
  // Every instance checks at start that the schema is the one it was written for.
  await client.query("GRANT USAGE ON SCHEMA drizzle TO PUBLIC");
  await client.query("GRANT SELECT ON drizzle.__drizzle_migrations TO PUBLIC");
}

async function apply(client: Client, migration: Migration, label: string): Promise<void> {
  await unlessRefused(label, `migration ${migration.name} failed`, async () => {
    for (const statement of statementsOf(migration)) await client.query(statement);
    await client.query(
      "INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ($1, $2)",
      [migration.hash, migration.createdAt],
    );
  });
}

/** Changes the database, or says what it refused to. */
async function unlessRefused(
  label: string,
  what: string,
  change: () => Promise<void>,
): Promise<void> {
  try {
    await change();
  } catch (error) {
    const { code, message } = databaseError(error);
    // 55P03 and lost connections say their remedy themselves.
    if (code === undefined || !/^[0-9A-Z]{5}$/.test(code) || code === "55P03")
      throw toStorageError(error, label);
    throw new StorageError(
      "UNAVAILABLE",
      `PostgreSQL ${label}: ${what}, nothing was changed: ${message} (SQLSTATE ${code}). ` +
        "Run it as a user that owns the database.",
      { cause: error },
    );
  }
}

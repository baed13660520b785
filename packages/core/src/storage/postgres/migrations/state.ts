import { StorageError } from "../../../errors/storage-error.ts";
import { databaseError } from "../sql-state.ts";
import type { Migration } from "./journal.ts";

/** A migration that the database says it has. */
export interface AppliedMigration {
  readonly hash: string;
  readonly createdAt: number;
}

/** Where a database stands compared with the package. */
export interface SchemaState {
  readonly applied: readonly Migration[];
  readonly pending: readonly Migration[];
}

/** Reads what the database says it has, oldest first; fails with 42P01 or 3F000 where nothing was ever migrated. */
export const appliedMigrationsSql =
  "SELECT hash, created_at::text AS created_at FROM drizzle.__drizzle_migrations ORDER BY created_at, id";

/**
 * Compares what a database has with what the package ships.
 *
 * @throws StorageError `SCHEMA_DRIFT` when a migration was edited, is unknown to this package (newer, or another application's), or would
 * have to be applied before one that already is
 */
export function compareState(
  applied: readonly AppliedMigration[],
  shipped: readonly Migration[],
): SchemaState {
  const known = new Map(shipped.map((migration) => [migration.createdAt, migration]));
  for (const { createdAt, hash } of applied) {
    const migration = known.get(createdAt);
    if (migration === undefined) throw unknownMigration(createdAt, shipped);
    if (migration.hash !== hash) {
      throw drift(
        `migration ${migration.name} was edited after it was applied. Restore its file, and put the change into a new migration`,
      );
    }
  }
  const done = new Set(applied.map(({ createdAt }) => createdAt));
  const last = Math.max(...done);
  const late = shipped.find(
    (migration) => !done.has(migration.createdAt) && migration.createdAt < last,
  );
  if (late !== undefined) {
    throw drift(
      `migration ${late.name} comes before one that is already applied. Generate it again, so that it comes last`,
    );
  }
  return {
    applied: shipped.filter((migration) => done.has(migration.createdAt)),
    pending: shipped.filter((migration) => !done.has(migration.createdAt)),
  };
}

function unknownMigration(createdAt: number, shipped: readonly Migration[]): StorageError {
  const newest = Math.max(...shipped.map((migration) => migration.createdAt));
  return createdAt > newest
    ? drift("it was migrated by a newer version of CodeSpar. Upgrade this one")
    : drift(
        "drizzle.__drizzle_migrations holds migrations that aren't CodeSpar's. Use a database of its own, or the version that made them",
      );
}

/** The error of a database that isn't what the migrations make. */
export function drift(what: string): StorageError {
  return new StorageError("SCHEMA_DRIFT", `The database can't be used as it is: ${what}.`);
}

/** The error of a database that lacks migrations. */
export function pendingError(label: string, pending: number): StorageError {
  return new StorageError(
    "SCHEMA_PENDING",
    `PostgreSQL ${label} lacks ${pending} migration(s). Run: codespar migrate`,
  );
}

/** The error of a database that has all migrations and lacks something that they made: `cause` says what. */
export function missingError(label: string, cause: unknown): StorageError {
  return new StorageError(
    "SCHEMA_DRIFT",
    `PostgreSQL ${label} has all migrations, and something that they made is gone: ${databaseError(cause).message}. Migrating again doesn't bring it back: restore the database from a backup, or that object from one, with its rows, owner and grants.`,
    { cause },
  );
}

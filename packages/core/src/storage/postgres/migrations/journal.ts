import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { StorageError } from "../../../errors/storage-error.ts";

/** A migration as shipped with the package. */
export interface Migration {
  /** Name of its file, for example `0000_tables`. */
  readonly name: string;
  /** When it was generated, in milliseconds: the order of migrations. */
  readonly createdAt: number;
  /** SHA-256 of the file, as drizzle-kit records it. */
  readonly hash: string;
  readonly sql: string;
}

/** The folder `drizzle/` of the package: as far from the sources as from the build. */
export const migrationsFolder = new URL("../../../../drizzle/", import.meta.url);

interface Journal {
  readonly entries: readonly { readonly tag: string; readonly when: number }[];
}

/** Reads the package's migrations, oldest first. */
export function readMigrations(folder: URL = migrationsFolder): readonly Migration[] {
  try {
    const journal = JSON.parse(
      readFileSync(new URL("meta/_journal.json", folder), "utf8"),
    ) as Journal;
    return journal.entries.map(({ tag, when }) => {
      const sql = readFileSync(new URL(`${tag}.sql`, folder), "utf8");
      return {
        name: tag,
        createdAt: when,
        hash: createHash("sha256").update(sql).digest("hex"),
        sql,
      };
    });
  } catch (cause) {
    throw new StorageError(
      "SCHEMA_DRIFT",
      "The package's own migrations can't be read. Install @codespar/core anew.",
      { cause },
    );
  }
}

/** The statements of a migration. */
export function statementsOf(migration: Migration): readonly string[] {
  return migration.sql.split("--> statement-breakpoint");
}

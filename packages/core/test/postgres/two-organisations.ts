import { getTableConfig } from "drizzle-orm/pg-core";
import type pg from "pg";
import { testKey } from "../../../../tooling/secrets.ts";
import { createStorage } from "../../src/index.ts";
import { drizzleTables } from "../../src/storage/postgres/record-sql.ts";
import { tableNames } from "../../src/storage/tables.ts";
import { exercise } from "./exercise.ts";
import { appendMany, backendOn, withClient } from "./support.ts";

export const encryptionKey = testKey();

/** Records that are only ever added. */
export const checkpoints = "codespar.audit_checkpoints";

/** Records that sign the trail: they change in few ways, and stay. */
export const kept = ["codespar.audit_anchors", "codespar.audit_keys"];

/** The tables of records that may change, with their schemas. */
export const records = tableNames
  .map((name) => `${getTableConfig(drizzleTables[name]).schema ?? "public"}.${name}`)
  .filter((name) => name !== checkpoints);

/** The tables that only functions add to. */
export const trail = [
  "public.audit_log",
  "codespar.audit_parts",
  "codespar.audit_tiles",
  "codespar.audit_heads",
];

/** A copy of the trail for searching, which only functions write. */
export const copies = ["codespar.audit_open_intents"];

/** Fills every table for `alpha` and `beta`, with marks that show up wherever a row goes. */
export async function fill(databaseUrl: string): Promise<void> {
  await using storage = createStorage("alpha", { databaseUrl, encryptionKey });
  await exercise(storage, "alphas");
  await exercise(storage.forOrg("beta"), "betas");
  await using backend = backendOn(databaseUrl);
  // Enough for a tile of the trail's tree.
  for (const orgId of ["alpha", "beta"]) await appendMany(backend, orgId, 256);
}

/** Runs work as the application role, in a transaction that is undone. */
export function asRole<Result>(
  url: string,
  role: string,
  orgId: string | null,
  work: (run: (text: string) => Promise<pg.QueryResult>) => Promise<Result>,
): Promise<Result> {
  return withClient(url, async (client) => {
    await client.query("BEGIN");
    await client.query(`SET LOCAL ROLE ${role}`);
    if (orgId !== null)
      await client.query("SELECT set_config('codespar.org_id', $1, true)", [orgId]);
    return work((text) => client.query(text));
  });
}

/** The SQLSTATE with which work fails. */
export async function sqlState(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => "no error",
    (error: pg.DatabaseError) => error.code,
  );
}

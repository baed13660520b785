import { execFile, spawnSync } from "node:child_process";
import { cp, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { createTestDatabase, everyRow, startCluster, THROWAWAY_SETTINGS } from "@codespar/tooling";
import pg from "pg";
import type { Token, Tokens } from "./tokens.ts";
import { databaseKinds, type Kind, kinds, type Written } from "./written.ts";

export interface Copying {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly status?: number;
}

/** Where the data goes, and what may tell of it besides. */
export interface Ground extends AsyncDisposable {
  readonly env: Readonly<Record<string, string>>;
  /** Where the canary must be found in the end. */
  readonly kinds: readonly Kind[];
  /** Lets the storage fail while `work` is done, in the ways that a running server can meet. */
  whileBroken(work: () => Promise<void>): Promise<void>;
  /** Commands that copy all that is stored, in this order, with the status that each ends with. */
  copying(): Promise<readonly Copying[]>;
  /** What shows while everything is at work. */
  look(written: Written): Promise<void>;
  /** All that is left in the end. */
  collect(written: Written): Promise<void>;
}

export const grounds = { files: onFiles, postgres: onPostgres } as const;

async function onFiles(_planted: Tokens, folder: string): Promise<Ground> {
  return {
    env: { CODESPAR_STORAGE_DIR: join(folder, ".codespar") },
    kinds,
    // Files are kept in the server's memory: they are damaged while none runs, see the test.
    whileBroken: async () => undefined,
    async copying() {
      const [from, damaged] = [join(folder, ".codespar"), join(folder, "damaged")];
      await cp(from, damaged, { recursive: true });
      const [organisation = ""] = await readdir(join(damaged, "orgs"));
      for (const name of ["audit_log.jsonl", "channel_configs.json"]) {
        const path = join(damaged, "orgs", organisation, name);
        const text = await readFile(path, "utf8");
        await writeFile(path, text.replace('"', "'"));
      }
      return [
        { args: ["salvage", "--from", from, "--to", join(folder, "salvaged")] },
        { args: ["salvage", "--from", damaged, "--to", join(folder, "rest"), "--json"], status: 7 },
      ];
    },
    look: async () => undefined,
    collect: async () => undefined,
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** A server that logs as much as it can: every statement with the values of its parameters, errors with theirs. */
const talkative = {
  log_statement: "all",
  log_parameter_max_length: "-1",
  log_parameter_max_length_on_error: "-1",
  log_min_messages: "debug1",
  log_min_error_statement: "debug1",
  log_error_verbosity: "verbose",
  log_connections: "on",
  log_disconnections: "on",
  track_activity_query_size: "1048576",
  shared_preload_libraries: "pg_stat_statements",
};

const canDump = spawnSync("pg_dump", ["--version"]).status === 0;

async function onPostgres({ password, key, nextKey }: Tokens, folder: string): Promise<Ground> {
  // The oldest supported: whatever pg_dump there is knows it.
  const cluster = await startCluster({
    major: 14,
    settings: { ...THROWAWAY_SETTINGS, ...talkative },
  });
  const database = await createTestDatabase({ adminUrl: cluster.adminUrl });
  const copy = await createTestDatabase({ adminUrl: cluster.adminUrl });
  const url = withPassword(database.url, password);
  const copyUrl = withPassword(copy.url, password);
  const query = <Row extends pg.QueryResultRow>(text: string) => ask<Row>(database.url, text);
  await query("CREATE EXTENSION pg_stat_statements SCHEMA information_schema");
  return {
    env: { DATABASE_URL: url, CODESPAR_ENCRYPTION_KEY: key.text },
    kinds: [...kinds, ...databaseKinds],
    async whileBroken(work) {
      // Its message holds all of the row.
      await query(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'refused: %', NEW; END $$`);
      await query(`CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON channel_configs
        FOR EACH ROW EXECUTE FUNCTION refuse()`);
      await work();
      await query("DROP FUNCTION refuse CASCADE");
      await query("ALTER TABLE channel_configs RENAME TO hidden");
      await work();
      await query("ALTER TABLE hidden RENAME TO channel_configs");
    },
    async copying() {
      const files = `file:${join(folder, "moved")}`;
      const toFiles = ["move", "--from", url, "--to", files];
      const wrong = { CODESPAR_ENCRYPTION_KEY: nextKey.text };
      return [
        { args: [...toFiles, "--dry-run", "--json"] },
        { args: toFiles, env: wrong, status: 2 },
        { args: toFiles },
        { args: ["migrate"], env: { DATABASE_URL: copyUrl } },
        { args: ["move", "--from", files, "--to", copyUrl, "--json"] },
      ];
    },
    async look(written) {
      const rows = await query("SELECT * FROM pg_stat_activity");
      written.add("statements at work", "pg_stat_activity", JSON.stringify(rows));
    },
    async collect(written) {
      const rows = await query("SELECT * FROM information_schema.pg_stat_statements");
      written.add("statements at work", "pg_stat_statements", JSON.stringify(rows));
      for (const each of [database.url, copy.url]) {
        written.add("dump", "all rows", await everyRow(each));
        if (canDump) written.add("dump", "pg_dump", await dump(each));
      }
      await query("CHECKPOINT");
      written.add("statements at work", "server.log", await readFile(cluster.logFile));
      const oids = await query<{ oid: string }>(
        `SELECT oid::text FROM pg_database WHERE datname IN ('${database.name}', '${copy.name}')`,
      );
      for (const part of [...oids.map(({ oid }) => join("base", oid)), "pg_wal"])
        await written.addFolder("files of the database", join(cluster.socketFolder, "data", part));
    },
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

async function dump(url: string): Promise<Buffer> {
  const options = { encoding: "buffer", maxBuffer: 1 << 30 } as const;
  return (await promisify(execFile)("pg_dump", ["--inserts", url], options)).stdout;
}

async function ask<Row extends pg.QueryResultRow>(url: string, text: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Row>(text)).rows;
  } finally {
    await client.end();
  }
}

function withPassword(url: string, { text }: Token): string {
  const changed = new URL(url);
  changed.password = text;
  return changed.href;
}

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import {
  type Cluster,
  createLogin,
  createTestDatabase,
  type DatabaseTemplate,
  everyRow,
  hasPgBouncer,
  PGBOUNCER_MISSING,
  startCluster,
  startPgBouncer,
  THROWAWAY_SETTINGS,
} from "../../../../tooling/postgres.ts";
import { removeScratch, scratchFolder, testKey } from "../../../../tooling/secrets.ts";
import type { StorageOptions } from "../../src/index.ts";
import type { AuditRow } from "../../src/storage/backend.ts";
import { openBackend } from "../../src/storage/create-storage.ts";
import { migrate } from "../../src/storage/postgres/migrations/migrate.ts";
import { poolWithoutPredicates } from "./without-predicates.ts";

/** One way to run the conformance suite. */
export interface Leg {
  readonly name: string;
  readonly kind: "file" | "postgres";
  /** Whether the differential test compares it too. */
  readonly alsoDifferential?: boolean;
  /** Whether it can't be reached from another process. */
  readonly inThisProcess?: boolean;
  /** Whether its login lacks the rights of the tables' owner, as one that serves should. */
  readonly isNoOwner?: boolean;
  /** Why it can't run here. */
  readonly missing?: string;
  open(): Promise<Target>;
}

/** Where data goes. */
export interface Target {
  /** What `createStorage` needs to reach it. */
  readonly options: StorageOptions;
  /** What `health` says of it. */
  readonly isolation: "files" | "roles" | "policies";
  /** All that is stored, as somebody with a copy of the disk or a dump would see it. */
  everythingStored(): Promise<string>;
  close(): Promise<void>;
}

/** The ways in which every suite runs. */
export const legs: readonly Leg[] = [
  { name: "files", kind: "file", alsoDifferential: true, open: files },
  {
    name: "PostgreSQL",
    kind: "postgres",
    alsoDifferential: true,
    open: () => postgres({ coalesce: true }),
  },
  {
    name: "PostgreSQL without coalescing",
    kind: "postgres",
    open: () => postgres({ coalesce: false }),
  },
  {
    name: "PostgreSQL without org_id predicates",
    kind: "postgres",
    inThisProcess: true,
    open: withoutPredicates,
  },
];

/** Other ways to log in and the oldest server, for the suites that depend on rights, connections and SQL. */
export const logins: readonly Leg[] = [
  { name: "PostgreSQL 14", kind: "postgres", open: oldestServer },
  { name: "PostgreSQL as a plain owner", kind: "postgres", open: plainOwner },
  {
    name: "PostgreSQL as a member of codespar_app",
    kind: "postgres",
    isNoOwner: true,
    open: applicationLogin,
  },
  {
    name: "PostgreSQL behind PgBouncer",
    kind: "postgres",
    ...(hasPgBouncer() ? {} : { missing: PGBOUNCER_MISSING }),
    open: behindPgBouncer,
  },
];

async function files(): Promise<Target> {
  const directory = await scratchFolder("conformance");
  return {
    options: { directory },
    isolation: "files",
    async everythingStored() {
      const entries = await readdir(directory, { recursive: true, withFileTypes: true });
      const paths = entries
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name));
      const texts = await Promise.all(paths.map((path) => readFile(path, "utf8")));
      return texts.join("\n");
    },
    close: () => removeScratch(directory),
  };
}

/** A database as the migrations make it. */
export const migratedDatabase: DatabaseTemplate = {
  name: "migrated",
  prepare: async (databaseUrl) => {
    await migrate({ databaseUrl });
  },
};

async function postgres(options: StorageOptions): Promise<Target> {
  const database = await createTestDatabase({ template: migratedDatabase });
  return {
    options: { databaseUrl: database.url, encryptionKey: testKey(), ...options },
    isolation: "roles",
    everythingStored: () => everyRow(database.url),
    close: () => database.drop(),
  };
}

async function withoutPredicates(): Promise<Target> {
  const database = await createTestDatabase({ template: migratedDatabase });
  const careless = poolWithoutPredicates(database.url);
  return {
    options: { pool: careless.pool, encryptionKey: testKey() },
    isolation: "roles",
    everythingStored: () => everyRow(database.url),
    close: () => careless.close().finally(() => database.drop()),
  };
}

/** One for all suites of a test file: starting it takes longer than most of them. It ends with the process. */
let oldest: Promise<Cluster> | undefined;

async function oldestServer(): Promise<Target> {
  oldest ??= startCluster({ major: 14, settings: THROWAWAY_SETTINGS });
  const { adminUrl } = await oldest;
  const database = await createTestDatabase({ adminUrl, template: migratedDatabase });
  return {
    options: { databaseUrl: database.url, encryptionKey: testKey() },
    isolation: "roles",
    everythingStored: () => everyRow(database.url),
    close: () => database.drop(),
  };
}

/** As on hosts where the database's one user owns everything and may not create roles. */
async function plainOwner(): Promise<Target> {
  const { owner, template } = ownedDatabase();
  const database = await createTestDatabase({ owner, template });
  const url = new URL(database.url);
  url.username = owner;
  return {
    options: { databaseUrl: url.href, encryptionKey: testKey() },
    isolation: "policies",
    everythingStored: () => everyRow(database.url),
    close: () => database.drop(),
  };
}

/** A database that its owner migrated, and this owner: one for the whole run, whose set-up drops it where the server lives on. */
function ownedDatabase(): { owner: string; template: DatabaseTemplate } {
  const owner = `codespar_owner_${process.env["CODESPAR_TEST_RUN"] ?? process.pid}`;
  const template: DatabaseTemplate = {
    name: "migrated by its owner",
    prepare: async (superuserUrl) => {
      const url = new URL(superuserUrl);
      await asSuperuser(superuserUrl, `CREATE ROLE ${owner} LOGIN`);
      await asSuperuser(superuserUrl, `ALTER DATABASE ${url.pathname.slice(1)} OWNER TO ${owner}`);
      url.username = owner;
      await migrate({ databaseUrl: url.href });
    },
  };
  return { owner, template };
}

/** The login that docs/reference/postgres.md recommends. */
async function applicationLogin(): Promise<Target> {
  const database = await createTestDatabase({ template: migratedDatabase });
  const login = await createLogin(database.adminUrl, "IN ROLE codespar_app");
  await login.grant("codespar_maintenance");
  return {
    options: { databaseUrl: login.as(database.url), encryptionKey: testKey() },
    isolation: "roles",
    everythingStored: () => everyRow(database.url),
    async close() {
      await database.drop();
      await login.drop();
    },
  };
}

async function behindPgBouncer(): Promise<Target> {
  const database = await createTestDatabase({ template: migratedDatabase });
  const bouncer = await startPgBouncer(database.url);
  const options = { databaseUrl: bouncer.url, preparedStatements: false };
  return {
    options: { ...options, encryptionKey: testKey() },
    isolation: "roles",
    everythingStored: () => everyRow(database.url),
    async close() {
      await bouncer[Symbol.asyncDispose]();
      await database.drop();
    },
  };
}

async function asSuperuser(connectionString: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query(text).finally(() => client.end());
}

/** An entry of the trail as it is stored. Only while no handle is open on the target. */
export async function storedEntry(
  options: StorageOptions,
  orgId: string,
  seq: number,
): Promise<AuditRow> {
  const port = openBackend(options);
  try {
    const query = { filter: {}, after: seq - 1, limit: 1, order: "asc" } as const;
    const [row] = await port.listAudit(orgId, query, { now: Date.now() });
    if (row === undefined) throw new Error(`no entry ${seq} is stored`);
    return row;
  } finally {
    await port.close();
  }
}

/**
 * Real PostgreSQL for tests, benchmarks and checks. Nothing here is a mock, and a server that doesn't start is a
 * failure with its remedy, never a skip.
 *
 * - `createTestDatabase()`: an empty database of one's own on the run's shared server (PostgreSQL 18, `fsync` off),
 *   which `tooling/global-setup.ts` starts before the tests; with `TEST_DATABASE_URL` set, on that server. Give a
 *   `template` when many tests need the same content: it is prepared once per run and then copied.
 *
 *       await using database = await createTestDatabase();       // or drop() in afterEach
 *       createStorage("org", { databaseUrl: database.url });
 *
 * - `startCluster({ major, settings, port })`: a server of one's own, `fsync` on, for crash and version tests:
 *   `stop("immediate")`, `start()`, `restart()`.
 *   `tls: await selfSigned("127.0.0.1")` makes it offer TLS.
 * - `startPgBouncer(url)`: PgBouncer in transaction mode; tests say `describe.skipIf(!hasPgBouncer())` and name
 *   the reason `PGBOUNCER_MISSING`.
 *
 * Everything started here ends and is removed with the process that started it, `kill -9` included. `adminUrl` is
 * always a superuser; roles belong to the whole server, so tests give theirs unique names.
 */
import { createHash, randomBytes } from "node:crypto";
import pg from "pg";
import { everyRow } from "./postgres/every-row.ts";
import { assertNoSecret, secretsAreMarked } from "./secrets/search.ts";

export type { PostgresMajor } from "./postgres/binaries.ts";
export { hasOpenssl, OPENSSL_MISSING, selfSigned } from "./postgres/certificate.ts";
export {
  type Certificate,
  type Cluster,
  type ClusterOptions,
  type StopMode,
  startCluster,
  THROWAWAY_SETTINGS,
} from "./postgres/cluster.ts";
export { everyRow } from "./postgres/every-row.ts";
export { freePort } from "./postgres/free-port.ts";
export { createLogin, type TestLogin } from "./postgres/login.ts";
export {
  hasPgBouncer,
  PGBOUNCER_MISSING,
  type PgBouncer,
  type PgBouncerOptions,
  startPgBouncer,
} from "./postgres/pgbouncer.ts";

/** A database that is prepared once per server and copied for each test. */
export interface DatabaseTemplate {
  /** Names the content: change it when `prepare` makes something else. */
  readonly name: string;
  /** Fills the empty database behind the URL, and leaves no connection open. */
  prepare(url: string): Promise<void>;
}

/** Where and from what a test database is made. */
export interface TestDatabaseOptions {
  /** Superuser URL of the server. @defaultValue the run's shared server */
  readonly adminUrl?: string;
  /** Content to start with. @defaultValue none */
  readonly template?: DatabaseTemplate;
  /** Role that owns the database. @defaultValue the superuser */
  readonly owner?: string;
}

/** A database that belongs to one test. */
export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  /** URL of the database, as superuser. */
  readonly url: string;
  /** URL of the server's maintenance database, as superuser. */
  readonly adminUrl: string;
  /** Drops the database, ending what is still connected, after a look at its rows. @throws SecretFound */
  drop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Creates a database with a unique name.
 *
 * @throws Error when the server can't be reached or its user may not create databases.
 */
export async function createTestDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const adminUrl = options.adminUrl ?? sharedServer();
  const name = `codespar_test_${randomBytes(8).toString("hex")}`;
  const source = options.template ? await prepared(adminUrl, options.template) : "template0";
  const owner = options.owner === undefined ? "" : ` OWNER ${pg.escapeIdentifier(options.owner)}`;
  await asAdmin(adminUrl, (client) =>
    client.query(`CREATE DATABASE ${name} TEMPLATE ${source}${owner}`),
  );
  async function drop(): Promise<void> {
    try {
      if (secretsAreMarked()) await assertNoSecretInRows(withDatabase(adminUrl, name));
    } finally {
      await asAdmin(adminUrl, (client) =>
        client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
      );
    }
  }
  return { name, url: withDatabase(adminUrl, name), adminUrl, drop, [Symbol.asyncDispose]: drop };
}

async function assertNoSecretInRows(url: string): Promise<void> {
  const noSuchDatabase = "3D000";
  const rows = await everyRow(url).catch((error: { code?: string }) => {
    if (error.code === noSuchDatabase) return "";
    throw error;
  });
  assertNoSecret("a row of the database", rows);
}

/** Superuser URL of the run's shared server. */
export function sharedServer(): string {
  const url = process.env["TEST_DATABASE_URL"];
  if (!url) {
    throw new Error(
      "no test server: run under vitest, whose global set-up starts one, or set TEST_DATABASE_URL to a superuser's URL",
    );
  }
  return url;
}

/** The same server's URL for another database. */
export function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}

/** Returns the template database's name, after preparing it if no other worker of the run did. */
async function prepared(adminUrl: string, template: DatabaseTemplate): Promise<string> {
  // The run's own name keeps a server that outlives the run from handing out yesterday's content.
  const run = process.env["CODESPAR_TEST_RUN"] ?? String(process.pid);
  const digest = createHash("sha256").update(template.name).digest("hex").slice(0, 16);
  const name = `codespar_template_${run}_${digest}`;
  await asAdmin(adminUrl, async (client) => {
    await client.query("SELECT pg_advisory_lock(hashtext($1))", [name]);
    const { rowCount } = await client.query(
      "SELECT 1 FROM pg_database WHERE datname = $1 AND NOT datallowconn",
      [name],
    );
    if (rowCount === 1) return;
    await client.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    await client.query(`CREATE DATABASE ${name} TEMPLATE template0`);
    await template.prepare(withDatabase(adminUrl, name));
    // Closed for connections: it is complete, and copying it can't fail because somebody is connected.
    await client.query(`ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
  });
  return name;
}

async function asAdmin<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

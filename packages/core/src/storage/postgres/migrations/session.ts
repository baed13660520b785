import pg from "pg";
import { StorageError } from "../../../errors/storage-error.ts";
import {
  type DatabaseTarget,
  insistsOnTls,
  lacksTls,
  parseDatabaseUrl,
  withDatabase,
} from "../database-url.ts";
import { databaseError, toStorageError } from "../sql-state.ts";

const connectionTimeoutMs = 10_000;

/** Runs work on a connection of its own to the URL's database; errors become ours. */
export async function withClient<Result>(
  databaseUrl: string,
  work: (client: pg.Client, target: DatabaseTarget) => Promise<Result>,
): Promise<Result> {
  const target = parseDatabaseUrl(databaseUrl);
  try {
    const client = await connect(target);
    try {
      return await work(client, target);
    } finally {
      await client.end().catch(() => undefined);
    }
  } catch (error) {
    throw toStorageError(error, target.label);
  }
}

async function connect(target: DatabaseTarget): Promise<pg.Client> {
  const [clear, encrypted] = [{}, { ssl: { rejectUnauthorized: false } }];
  const [first, other] = target.prefersTls ? [encrypted, clear] : [clear, encrypted];
  try {
    return await connectOnce(target, first);
  } catch (error) {
    if (!(target.prefersTls ? lacksTls(error) : insistsOnTls(error, target))) throw error;
    try {
      return await connectOnce(target, other);
    } catch (second) {
      throw lacksTls(second) ? error : second;
    }
  }
}

async function connectOnce(
  target: DatabaseTarget,
  tls: Pick<pg.ClientConfig, "ssl">,
): Promise<pg.Client> {
  const client = new pg.Client({
    ...target.connection,
    ...tls,
    connectionTimeoutMillis: connectionTimeoutMs,
    keepAlive: true,
    fallback_application_name: "codespar migrate",
  });
  // Without a listener a lost connection would end the process; whoever waits for a query gets the error anyway.
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

/**
 * Creates the URL's database where it is missing, through the database `postgres` of the same server.
 *
 * @throws StorageError `UNAVAILABLE` when the user may not
 */
export async function createDatabase(databaseUrl: string): Promise<void> {
  const { database, label } = parseDatabaseUrl(databaseUrl);
  await withClient(withDatabase(databaseUrl, "postgres"), async (client) => {
    const found = await client.query("SELECT 1 FROM pg_database WHERE datname = $1", [database]);
    if (found.rowCount !== 0) return;
    try {
      await client.query(
        `CREATE DATABASE ${pg.escapeIdentifier(database)} TEMPLATE template0 ENCODING 'UTF8'`,
      );
    } catch (error) {
      const { code } = databaseError(error);
      // Another starter was quicker: 42P04 when it is there, 23505 when it comes into being at this moment.
      if (code === "42P04" || code === "23505") return;
      if (code !== "42501") throw error;
      throw new StorageError(
        "UNAVAILABLE",
        `PostgreSQL ${label}: the user may not create databases. Create it as an administrator.`,
        {
          cause: error,
        },
      );
    }
  });
}

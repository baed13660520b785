import { createStorage, migrate } from "@codespar/core";
import { createTestDatabase, startCluster } from "@codespar/tooling";
import pg from "pg";
import type { Cleanup } from "../harness/cleanup.ts";
import { createBareTables } from "./bare.ts";

/** Connections of every contestant's pool: our default. */
export const poolSize = 10;

/** A migrated database on a server that syncs every commit. */
export interface PostgresTarget {
  readonly url: string;
  /** For the heading of the report. */
  readonly version: string;
  /** Another empty, migrated database on the same server. */
  createMigrated(): Promise<{ readonly url: string }>;
}

/* A checkpoint in the middle of one contestant's leg would be taken for its slowness. */
const settings = {
  shared_buffers: "256MB",
  max_wal_size: "8GB",
  checkpoint_timeout: "1h",
  max_connections: "200",
};

/**
 * Starts PostgreSQL (or takes the one at `databaseUrl`), migrates a new database there, and makes sure that the figures will
 * mean something.
 *
 * @param cleanup - removes it all in the end
 * @throws Error when commits aren't synced or organisations aren't kept apart by the database
 */
export async function openPostgres(
  databaseUrl: string | undefined,
  cleanup: Cleanup,
): Promise<PostgresTarget> {
  const adminUrl = databaseUrl ?? cleanup.use(await startCluster({ settings })).adminUrl;
  const createMigrated = async () => {
    const { url } = cleanup.use(await createTestDatabase({ adminUrl }));
    await migrate({ databaseUrl: url });
    return { url };
  };
  const { url } = await createMigrated();
  await createBareTables(url);
  return { url, version: await assertHonest(url), createMigrated };
}

async function assertHonest(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ commit: string; fsync: string; version: string }>(
      `SELECT current_setting('synchronous_commit') AS commit, current_setting('fsync') AS fsync,
              current_setting('server_version') AS version`,
    );
    const [server] = rows;
    if (server?.commit !== "on" || server.fsync !== "on") {
      throw new Error(
        `synchronous_commit is ${server?.commit} and fsync ${server?.fsync}: both must be on, or the figures compare with nothing durable`,
      );
    }
    await using storage = createStorage("bench", { databaseUrl: url });
    const { isolation, durable, reason } = await storage.health({ timeoutMs: 5000 });
    if (isolation === null || !durable) {
      throw new Error(`isolation ${isolation}, durable ${durable}: ${reason ?? "see health"}`);
    }
    return `PostgreSQL ${server.version}, isolation by ${isolation}`;
  } finally {
    await client.end();
  }
}

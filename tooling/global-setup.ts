import { randomBytes } from "node:crypto";
import pg from "pg";
import { startCluster, THROWAWAY_SETTINGS } from "./postgres.ts";
import { watchRun } from "./secrets/whole-run.ts";

/**
 * Before the tests: the shared PostgreSQL server that `createTestDatabase()` uses, and the marker of their secrets. `TEST_DATABASE_URL` names a
 * server to use instead (as superuser). After them: a last look for these secrets, see `secrets/whole-run.ts`.
 */
export async function setup(): Promise<() => Promise<void>> {
  const run = randomBytes(6).toString("hex");
  process.env["CODESPAR_TEST_RUN"] = run;
  const whole = await watchRun();
  const given = process.env["TEST_DATABASE_URL"];
  if (given) {
    await assertSuperuser(given);
    return () => whole.end(() => dropTemplates(given, run));
  }
  const cluster = await startCluster({ settings: THROWAWAY_SETTINGS });
  process.env["TEST_DATABASE_URL"] = cluster.adminUrl;
  return () => whole.end(() => cluster[Symbol.asyncDispose]());
}

/** A server that outlives the run keeps nothing of it. */
async function dropTemplates(url: string, run: string): Promise<void> {
  const client = connection(url);
  await client.connect();
  try {
    const { rows } = await client.query<{ datname: string }>(
      "SELECT datname FROM pg_database WHERE starts_with(datname, $1)",
      [`codespar_template_${run}_`],
    );
    for (const { datname } of rows) await client.query(`DROP DATABASE ${datname} WITH (FORCE)`);
    // Roles belong to the server. These own a template of the conformance suite.
    const owners = await client.query<{ rolname: string }>(
      "SELECT rolname FROM pg_roles WHERE starts_with(rolname, $1)",
      [`codespar_owner_${run}`],
    );
    for (const { rolname } of owners.rows) await client.query(`DROP ROLE ${rolname}`);
  } finally {
    await client.end();
  }
}

function connection(url: string): pg.Client {
  return new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
}

async function assertSuperuser(url: string): Promise<void> {
  const client = connection(url);
  try {
    await client.connect();
    const { rows } = await client.query("SELECT current_setting('is_superuser') AS is_superuser");
    if (rows[0]?.is_superuser === "on") return;
  } catch (cause) {
    throw new Error(
      "TEST_DATABASE_URL can't be reached: start that server, or unset it to use our own",
      {
        cause,
      },
    );
  } finally {
    await client.end();
  }
  throw new Error("TEST_DATABASE_URL must be a superuser's: the tests create roles and databases");
}

import { randomUUID } from "node:crypto";
import pg from "pg";
import {
  createTestDatabase,
  type DatabaseTemplate,
  type TestDatabase,
} from "../../../../tooling/postgres.ts";
import { type PreparedEntry, prepareEntry } from "../../src/audit/entry.ts";
import type { Backend } from "../../src/storage/backend.ts";
import { migrate } from "../../src/storage/postgres/migrations/migrate.ts";
import {
  PostgresBackend,
  type PostgresBackendOptions,
} from "../../src/storage/postgres/postgres-backend.ts";

/** A migrated database, prepared once and copied. */
export const migrated: DatabaseTemplate = {
  name: "migrated",
  prepare: async (databaseUrl) => {
    await migrate({ databaseUrl });
  },
};

/** An empty, migrated database of the test's own. */
export function migratedDatabase(): Promise<TestDatabase> {
  return createTestDatabase({ template: migrated });
}

/** A backend with short timeouts. The caller closes it, or says `await using`. */
export function backendOn(
  databaseUrl: string,
  options: Partial<PostgresBackendOptions> = {},
): PostgresBackend & AsyncDisposable {
  const backend = new PostgresBackend({
    databaseUrl,
    maxConnections: 4,
    connectionTimeoutMs: 5000,
    statementTimeoutMs: 10_000,
    coalesce: true,
    preparedStatements: true,
    clock: Date.now,
    ...options,
  });
  return Object.assign(backend, { [Symbol.asyncDispose]: () => backend.close() });
}

/** Runs work on a connection of its own. */
export async function withClient<Result>(
  url: string,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client({ connectionString: url });
  client.on("error", () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Runs one statement as the URL's user; the first column of its rows. */
export function query(
  url: string,
  text: string,
  values: readonly unknown[] = [],
): Promise<unknown[]> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<unknown[]>({ text, values: [...values], rowMode: "array" });
    return rows.map(([first]) => first);
  });
}

/** An entry to append, with these parts. */
export function entry(parts: Readonly<Record<string, string>> = {}): PreparedEntry {
  const actor = { type: "system", id: "test" } as const;
  return prepareEntry(
    { id: randomUUID(), actor, action: "test.appended", outcome: "success" },
    parts,
  );
}

/** Appends so many entries, 256 at a time. */
export async function appendMany(backend: Backend, orgId: string, count: number): Promise<void> {
  for (let left = count; left > 0; left -= 256) {
    const appends = Array.from({ length: Math.min(left, 256) }, () => entry());
    await backend.commit(orgId, { checks: [], writes: [], appends }, { now: Date.now() });
  }
}

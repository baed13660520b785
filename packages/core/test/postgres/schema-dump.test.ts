import { expect, test } from "vitest";
import { startCluster } from "../../../../tooling/postgres.ts";
import { migrate } from "../../src/storage/postgres/migrations/migrate.ts";
import { describeSchema } from "./catalogue.ts";
import { withClient } from "./support.ts";

// A server of one's own: who owns what depends on who migrates, and roles belong to the whole server.
test.each([14, 18] as const)(
  "migrations make the committed schema on PostgreSQL %i",
  async (major) => {
    await using cluster = await startCluster({ major });
    await migrate({ databaseUrl: cluster.adminUrl });
    const schema = await withClient(cluster.adminUrl, describeSchema);
    await expect(schema).toMatchFileSnapshot("../../drizzle/schema.txt");
  },
);

import { randomBytes } from "node:crypto";
import pg from "pg";

/** A login of the test's own. */
export interface TestLogin {
  readonly name: string;
  /** The URL, logged in as this user. */
  as(url: string): string;
  /** Makes it a member of a role. */
  grant(role: string): Promise<void>;
  /** Once it owns nothing any more. */
  drop(): Promise<void>;
}

/** Creates a role that may log in and nothing else, unless `attributes` say so. Roles belong to the whole server. */
export async function createLogin(adminUrl: string, attributes = ""): Promise<TestLogin> {
  const name = `codespar_test_${randomBytes(6).toString("hex")}`;
  await run(adminUrl, `CREATE ROLE ${name} LOGIN ${attributes}`);
  return {
    name,
    as(url) {
      const changed = new URL(url);
      changed.username = name;
      return changed.href;
    },
    grant: (role) => run(adminUrl, `GRANT ${role} TO ${name}`),
    drop: () => run(adminUrl, `DROP ROLE IF EXISTS ${name}`),
  };
}

async function run(connectionString: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query(text).finally(() => client.end());
}

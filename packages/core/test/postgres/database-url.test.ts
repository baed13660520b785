import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { parseDatabaseUrl } from "../../src/storage/postgres/database-url.ts";

const password = crypto.randomUUID();

describe("the URL", () => {
  test.each([
    [
      "Railway",
      `postgresql://postgres:${password}@containers.railway.app:7432/railway`,
      "containers.railway.app:7432/railway",
      true,
    ],
    [
      "Heroku",
      `postgres://user:${password}@ec2-1-2-3-4.compute-1.amazonaws.com:5432/d1x`,
      "ec2-1-2-3-4.compute-1.amazonaws.com:5432/d1x",
      true,
    ],
    [
      "Fly.io",
      `postgres://app:${password}@app-db.flycast:5432/app?sslmode=disable`,
      "app-db.flycast:5432/app",
      false,
    ],
    [
      "Neon",
      `postgresql://u:${password}@ep-x-1.eu.aws.neon.tech/neondb?sslmode=require&channel_binding=require`,
      "ep-x-1.eu.aws.neon.tech/neondb",
      false,
    ],
    [
      "Supabase",
      `postgresql://postgres.ref:${password}@aws-0-eu.pooler.supabase.com:6543/postgres?pgbouncer=true`,
      "aws-0-eu.pooler.supabase.com:6543/postgres",
      true,
    ],
    [
      "a socket",
      `postgres://u:${password}@/app?host=/var/run/postgresql`,
      "/var/run/postgresql/app",
      false,
    ],
    ["IPv6", `postgres://u:${password}@[::1]:5433/app`, "[::1]:5433/app", true],
  ])("of %s is understood", (_name, url, label, mayUpgradeToTls) => {
    expect(parseDatabaseUrl(url)).toMatchObject({ label, mayUpgradeToTls });
  });

  test("says what it says: libpq's sslmode, channel binding, a pooler without prepared statements", () => {
    const neon = parseDatabaseUrl("postgres://u@h/d?sslmode=require&channel_binding=require");
    expect(neon.connection.enableChannelBinding).toBe(true);
    expect(neon.connection.connectionString).toBe(
      "postgres://u@h/d?sslmode=require&uselibpqcompat=true",
    );
    expect(parseDatabaseUrl("postgres://u@h/d?pgbouncer=true").preparedStatements).toBe(false);
    expect(parseDatabaseUrl("postgres://u@h/d?sslmode=no-verify").connection.connectionString).toBe(
      "postgres://u@h/d?sslmode=no-verify",
    );
  });

  test.each([
    "",
    "  ",
    "x",
    "http://h/d",
    "postgres://h",
    "postgres://h/",
    "postgres://h/a/b",
    `postgres://u:${password}@h/d?sslmode=maybe`,
    `postgres://u:${password}@ho st:x/d`,
  ])("%j is refused without showing its password", (url) => {
    try {
      parseDatabaseUrl(url);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "VALIDATION" });
      expect(inspect(error, { depth: 9 })).not.toContain(password);
    }
  });
});

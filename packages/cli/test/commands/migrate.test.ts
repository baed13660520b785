import { createTestDatabase, type TestDatabase } from "@codespar/tooling";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runHere } from "../support/run-cli.ts";

let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
});

afterEach(() => database.drop());

const migrate = (...args: string[]) =>
  runHere(["migrate", ...args], { DATABASE_URL: database.url });

async function json(...args: string[]): Promise<Record<string, unknown>> {
  const { code, stdout } = await migrate(...args, "--json");
  expect(code).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
}

describe("migrate", () => {
  it("plans, applies once, and then has nothing to do", async () => {
    const before = await json("status");
    expect(before["applied"]).toEqual([]);
    const pending = before["pending"] as string[];
    expect(pending.length).toBeGreaterThan(0);
    const plan = (await json("plan"))["pending"] as { name: string; sql: string }[];
    expect(plan.map(({ name }) => name)).toEqual(pending);
    expect((await migrate("plan")).stdout).toContain("CREATE TABLE");

    const env = { DATABASE_URL: database.url };
    expect(await runHere(["memory", "get", "a", "k"], env)).toMatchObject({
      code: 6,
      stderr: expect.stringMatching(/codespar migrate.*\[SCHEMA_PENDING\]\n$/),
    });
    const up = await migrate();
    expect(up).toMatchObject({
      code: 0,
      stdout: `applied ${pending.length}, now up to date (${pending.length} applied)\n`,
    });
    expect(up.stderr).toBe(pending.map((name) => `applying ${name}\n`).join(""));
    expect(await migrate("up")).toMatchObject({
      code: 0,
      stdout: `up to date (${pending.length} applied)\n`,
      stderr: "",
    });
    expect(await json("status")).toEqual({ applied: pending, pending: [] });
    expect(await runHere(["memory", "get", "a", "k"], env)).toMatchObject({ code: 4 });
  });

  it("creates a missing database only when told to", async () => {
    await database.drop();
    const refused = await migrate();
    expect(refused).toMatchObject({
      stdout: "",
      stderr: expect.stringMatching(/^codespar: [^\n]+\n$/),
    });
    expect(refused.code).not.toBe(0);
    expect(await migrate("--create")).toMatchObject({ code: 0 });
  });
});

import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { createStorage, migrate } from "@codespar/core";
import { createTestDatabase, type TestDatabase } from "@codespar/tooling";
import { testSecret } from "@codespar/tooling/secrets";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Cli, cliInNewFolder } from "../support/run-cli.ts";

// Several processes a test, each of which takes its time on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

let cli: Cli;
let database: TestDatabase;

beforeEach(async () => {
  cli = await cliInNewFolder();
  const prepare = async (databaseUrl: string) => void (await migrate({ databaseUrl }));
  database = await createTestDatabase({ template: { name: "codespar migrated", prepare } });
});

afterEach(async () => {
  await database.drop();
  await cli[Symbol.asyncDispose]();
});

async function fill(agents: number): Promise<void> {
  await using storage = createStorage("acme", { directory: join(cli.folder, ".codespar") });
  for (let agent = 0; agent < agents; agent += 1) {
    const items = Array.from({ length: 128 }, (_, i) => ({
      key: `k${i}`,
      value: { text: "x".repeat(500) },
    }));
    await storage.memory.setMany(`agent-${agent}`, items);
    await storage.audit.append({ action: "agent.filled", agent: { id: `agent-${agent}` } });
  }
}

const toDatabase = (...more: string[]) => [
  "move",
  "--from",
  "file:.codespar",
  "--to",
  database.url,
  ...more,
];

async function report(args: readonly string[]): Promise<{ tables: { digest: string }[] }> {
  const { code, stdout } = await cli.run([...args, "--json"]);
  expect(code).toBe(0);
  return JSON.parse(stdout) as { tables: { digest: string }[] };
}

describe("codespar move", () => {
  it("takes files to PostgreSQL and back, the same content each time, and shows what it would do", async () => {
    await fill(2);
    const dry = await cli.run(toDatabase("--dry-run"));
    expect(dry).toMatchObject({ code: 0, stderr: "" });
    expect(dry.stdout).toBe(
      "ORGANISATION  TABLE         COUNT\n" +
        "acme          agent_memory  256\n" +
        "acme          audit_log     2\n" +
        "would move 258 entries; nothing was written\n",
    );
    const moved = await cli.run(toDatabase());
    expect(moved.code).toBe(0);
    expect(moved.stdout).toMatch(
      /\nacme +audit_log +2 +sha256:[0-9a-f]{16}…\nmoved 258 entries; all of it read back and compared\n$/,
    );
    const back = await report(["move", "--from", database.url, "--to", "file:back"]);
    await rm(join(cli.folder, ".codespar"), { recursive: true });
    const again = await report([
      "move",
      "--from",
      "file:back",
      "--to",
      `file://${cli.folder}/.codespar`,
    ]);
    expect(again).toEqual(back);
    const { stdout } = await cli.run(["memory", "get", "agent-1", "k127", "--org", "acme"]);
    expect(JSON.parse(stdout)).toEqual({ text: "x".repeat(500) });
    const verified = await cli.run(["audit", "verify", "--org", "acme", "--json"]);
    expect(JSON.parse(verified.stdout)).toMatchObject({ size: 2, firstFailure: null });
  });

  it("refuses a target that isn't empty, and never shows a password", async () => {
    await fill(1);
    expect((await cli.run(toDatabase())).code).toBe(0);
    const refused = await cli.run(toDatabase());
    expect(refused).toMatchObject({ code: 5, stdout: "" });
    expect(refused.stderr).toMatch(/^codespar: [^\n]*"acme"[^\n]*\[ALREADY_EXISTS\]\n$/);
    const to = "postgres://user:hunter2@127.0.0.1:1/db";
    const unreachable = await cli.run(["move", "--from", "file:.codespar", "--to", to]);
    expect(unreachable).toMatchObject({ code: 6, stdout: "" });
    expect(unreachable.stderr).not.toContain("hunter2");
    const missing = await cli.run(["move", "--from", "file:typo", "--to", "file:new"]);
    expect(missing).toMatchObject({ code: 4, stdout: "" });
  });

  it("names the migrations that a target lacks", async () => {
    await fill(1);
    await using empty = await createTestDatabase();
    const args = ["move", "--from", "file:.codespar", "--to", empty.url];
    const { code, stderr } = await cli.run(args);
    expect(code).toBe(6);
    expect(stderr).toMatch(/codespar migrate[^\n]*\[SCHEMA_PENDING\]\n$/);
  });

  it("takes secrets along under the key that a folder made for itself", async () => {
    {
      await using storage = createStorage("acme", { directory: join(cli.folder, ".codespar") });
      await storage.channelConfigs.set("sentry", { credentials: { token: testSecret("s3cret") } });
    }
    const refused = await cli.run(toDatabase());
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(/keys\/encryption\.key[^\n]*\[ENCRYPTION_KEY_MISSING\]\n$/);
    const key = await readFile(join(cli.folder, ".codespar", "keys", "encryption.key"), "utf8");
    const env = { CODESPAR_ENCRYPTION_KEY: key.trim() };
    expect((await cli.run(toDatabase(), { env })).code).toBe(0);
    await using moved = createStorage("acme", {
      databaseUrl: database.url,
      encryptionKey: key.trim(),
    });
    const credentials = await moved.channelConfigs.getCredentials("sentry");
    expect(credentials?.["token"]?.reveal()).toBe(testSecret("s3cret"));
  });

  it("killed in the middle leaves a marked target, and goes on when it is run again", async () => {
    await fill(40);
    const child = cli.spawn(toDatabase());
    child.stdout.resume();
    child.stderr.resume();
    await using probe = createStorage("acme", { databaseUrl: database.url });
    const gone = once(child, "exit");
    for (;;) {
      const { items } = await probe.memory.list("agent-0", { limit: 1 });
      if (items.length > 0) break;
    }
    child.kill("SIGKILL");
    await gone;
    const moved = await report(toDatabase());
    expect(moved).toMatchObject({ resumed: true, count: 40 * 129 });
    await using back = createStorage("acme", {
      directory: join(cli.folder, ".codespar"),
      readOnly: true,
    });
    const [here, there] = await Promise.all([back, probe].map((storage) => storage.audit.verify()));
    expect(here?.head).toBe(there?.head);
  });
});

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createTestDatabase, freePort } from "../../../../tooling/postgres.ts";
import { migratedDatabase } from "./support.ts";

const script = (name: string) =>
  fileURLToPath(new URL(`../../../../scripts/${name}.mjs`, import.meta.url));

/** What a `db:` script does: its process, and all that it has said so far. */
interface Run {
  readonly process: ChildProcess;
  readonly said: { stdout: string; stderr: string };
}

/** Runs a `db:` script of the package as npm would; it ends, with what it started, at the test's end. */
function run(databaseUrl: string, command: string, ...args: string[]): Run {
  const child = spawn(process.execPath, [script("db"), command, ...args], {
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
    env: { ...process.env, DATABASE_URL: databaseUrl },
    stdio: ["ignore", "pipe", "pipe"],
    // A process group of its own: drizzle-kit is the script's child.
    detached: true,
  });
  onTestFinished(() => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    } catch {
      // All of it has ended.
    }
  });
  const said = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name].setEncoding("utf8").on("data", (text: string) => {
      said[name] += text;
    });
  return { process: child, said };
}

async function expectRefusal(databaseUrl: string, command: string, remedy: RegExp): Promise<void> {
  const { process: child, said } = run(databaseUrl, command);
  const [status] = await once(child, "close");
  expect(said).toEqual({ stdout: "", stderr: expect.stringMatching(/^codespar: [^\n]+\n$/) });
  expect(said.stderr).toMatch(remedy);
  expect(status).toBe(1);
}

beforeAll(async () => {
  await promisify(execFile)(process.execPath, [script("setup"), "packages/core"]);
}, 180_000);

describe.each(["studio", "migrate"])("db:%s", (command) => {
  test("without a database says how to name one", async () => {
    await expectRefusal("", command, /set DATABASE_URL/);
  });

  test("stops at a URL that isn't one", async () => {
    await expectRefusal("localhost/app", command, /must look like postgres:|Set DATABASE_URL to/);
  });

  test("stops where nothing listens", async () => {
    const url = `postgres://postgres@127.0.0.1:${await freePort()}/app`;
    await expectRefusal(url, command, /nothing listens there\. Start the server/);
  });
});

describe("db:studio", () => {
  test("stops at a database that doesn't exist", async () => {
    await using database = await createTestDatabase();
    const url = database.url.replace(database.name, "none_such");
    await expectRefusal(url, "studio", /doesn't exist\. Create it: codespar migrate --create/);
  });

  test("stops at a database that isn't migrated", async () => {
    await using database = await createTestDatabase();
    await expectRefusal(database.url, "studio", /migrat.*Run: codespar migrate/);
  });

  test("starts on one that is", async () => {
    await using database = await migratedDatabase();
    const { said } = run(database.url, "studio", `--port=${await freePort()}`);
    await expect.poll(() => said.stdout).toContain("Drizzle Studio is up");
    expect(said.stderr).not.toContain("codespar:");
  });
});

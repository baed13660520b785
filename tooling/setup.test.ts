import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

const execute = promisify(execFile);
const setUpScript = fileURLToPath(new URL("../scripts/setup.mjs", import.meta.url));

// npm alone takes seconds on a busy machine, and most tests start it several times.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 60_000 });

/** Stands for the compiler: notes each call, leaves what a build leaves, fails on demand. */
const COMPILER = `
  const fs = require("node:fs");
  fs.appendFileSync("builds.log", process.argv.slice(2).join(" ") + "\\n");
  fs.mkdirSync("packages/core/dist", { recursive: true });
  fs.writeFileSync("packages/core/dist/.tsbuildinfo", "{}");
  if (fs.readFileSync("packages/core/src/index.ts", "utf8").includes("error")) process.exit(2);
`;

/** A checkout with one package whose only dependency is the stand-in compiler. */
let checkout: string;

beforeEach(async () => {
  checkout = await mkdtemp(join(tmpdir(), "codespar-setup-"));
  await write("compiler/package.json", '{ "name": "typescript", "version": "1.0.0" }');
  await write("compiler/bin/tsc", COMPILER);
  await write("package.json", '{ "devDependencies": { "typescript": "file:compiler" } }');
  await write("tsconfig.json", '{ "files": [], "references": [{ "path": "packages/core" }] }');
  await write("tsconfig.base.json", "{}");
  await write("packages/core/tsconfig.json", "{}");
  await write("packages/core/src/index.ts", "1;");
  await mkdir(join(checkout, "scripts"));
  await cp(setUpScript, join(checkout, "scripts/setup.mjs"));
  await execute("npm", ["install", "--package-lock-only", "--offline"], { cwd: checkout });
});

afterEach(() => rm(checkout, { recursive: true, force: true }));

async function write(path: string, text: string): Promise<void> {
  await mkdir(join(checkout, path, ".."), { recursive: true });
  await writeFile(join(checkout, path), text);
}

/** Runs the set-up as `npm start` would, and returns what it said. */
async function setUp(...args: string[]): Promise<string> {
  const script = join(checkout, "scripts/setup.mjs");
  const env = { ...process.env, npm_config_offline: "true", NODE_ENV: "" };
  return (await execute(process.execPath, [script, ...args], { cwd: checkout, env })).stderr;
}

async function builds(): Promise<number> {
  return (await readFile(join(checkout, "builds.log"), "utf8")).split("\n").length - 1;
}

describe("the set-up of a checkout", () => {
  test("installs and builds a fresh clone, and then has nothing to do", async () => {
    expect(await setUp()).toMatch(/installing.*building/s);
    expect(await setUp()).toBe("");
    expect(await builds()).toBe(1);
  });

  test("is done once by two who start at the same time", async () => {
    const said = await Promise.all([setUp(), setUp()]);
    expect(said.filter((text) => text.includes("installing"))).toHaveLength(1);
    expect(await builds()).toBe(1);
  });

  test("builds again when a source changes", async () => {
    await setUp();
    await write("packages/core/src/index.ts", "2;");
    expect(await setUp()).toBe("codespar: building\n");
  });

  test("builds again when what was built is gone", async () => {
    await setUp();
    await rm(join(checkout, "packages/core/dist"), { recursive: true });
    expect(await setUp()).toBe("codespar: building\n");
  });

  test("installs again when the lock asks for something else", async () => {
    await setUp();
    await write("compiler/package.json", '{ "name": "typescript", "version": "1.0.1" }');
    await rm(join(checkout, "package-lock.json"));
    await rm(join(checkout, "node_modules"), { recursive: true });
    await execute("npm", ["install", "--package-lock-only", "--offline"], { cwd: checkout });
    expect(await setUp()).toContain("installing");
  });

  test("takes over from a set-up that was killed", async () => {
    const { stdout: pid } = await execute(process.execPath, ["-p", "process.pid"]);
    await write(".cache/setup.lock", pid.trim());
    await setUp();
    expect(await builds()).toBe(1);
  });

  test("takes over where the number of the one that was killed is another process's by now", async () => {
    await write(".cache/setup.lock", `${process.pid} 1`);
    await setUp();
    expect(await builds()).toBe(1);
  });

  test("fails with the build, and tries again", async () => {
    await write("packages/core/src/index.ts", "error");
    await expect(setUp()).rejects.toThrow(/the build failed/);
    await expect(setUp()).rejects.toThrow(/the build failed/);
    await expect(setUp("--allow-type-errors")).resolves.toContain("in spite of");
    await write("packages/core/src/index.ts", "fine");
    await setUp();
    expect(await builds()).toBe(4);
  });
});

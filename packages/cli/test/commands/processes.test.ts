import { once } from "node:events";
import { join } from "node:path";
import { createStorage } from "@codespar/core";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Cli, cliInNewFolder, outcomeOf } from "../support/run-cli.ts";
import { startServer } from "../support/storages.ts";

// Several processes a test, each of which takes its time on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

let cli: Cli;

beforeAll(async () => {
  cli = await cliInNewFolder();
});

afterAll(() => cli[Symbol.asyncDispose]());

describe("the modules that a command loads", () => {
  const hooks =
    'import { writeSync } from "node:fs"; export async function resolve(name, context, next) { const found = await next(name, context); writeSync(2, "loads " + found.url + "\\n"); return found; }';
  const script = (text: string) => `data:text/javascript,${encodeURIComponent(text)}`;
  const watch = `import { register } from "node:module"; register(${JSON.stringify(script(hooks))});`;

  it.each([
    [
      ["--help"],
      {
        loads: /commander/,
        never: /packages\/core|packages\/server|node_modules\/(zod|pg|drizzle)/,
      },
    ],
    [
      ["memory", "get", "a"],
      { loads: /commander/, never: /packages\/server|node_modules\/(pg|drizzle)/ },
    ],
    [["health"], { loads: /packages\/core/, never: /packages\/server|node_modules\/(pg|drizzle)/ }],
    [
      ["memory", "get", "a", "k"],
      { loads: /packages\/core/, never: /packages\/server|node_modules\/(pg|drizzle)/ },
    ],
  ])("%j waits for none that it doesn't need", async (args, { loads, never }) => {
    const env = { NODE_OPTIONS: `--import ${script(watch)}` };
    const { stderr } = await cli.run(args, { env });
    const loaded = stderr.split("\n").filter((line) => line.startsWith("loads "));
    expect(loaded.filter((line) => loads.test(line))).not.toEqual([]);
    expect(loaded.filter((line) => never.test(line))).toEqual([]);
  });
});

describe("the reader of standard output", () => {
  it("may go away in the middle, without a word", async () => {
    {
      await using storage = createStorage("default", { directory: join(cli.folder, ".codespar") });
      const value = "x".repeat(10_000);
      const items = Array.from({ length: 100 }, (_, i) => ({ key: `k${i}`, value }));
      await storage.memory.setMany("large", items);
    }
    const child = cli.spawn(["memory", "list", "large", "--all", "--limit", "10", "--json"]);
    const outcome = outcomeOf(child);
    child.stdout.once("data", () => child.stdout.destroy());
    expect(await outcome.catch(() => undefined)).toBeUndefined();
    const [code] = child.exitCode === null ? await once(child, "exit") : [child.exitCode];
    expect(code).toBe(141);
  });
});

describe("standard output that can't be written", () => {
  it.skipIf(process.platform !== "linux")("is told of in one line", async () => {
    // A shell reads it: what comes back on the terminal is standard error.
    const { code, stdout } = await outcomeOf(cli.spawnOnTerminal(["health", ">/dev/full"]));
    expect(stdout).toMatch(
      /^codespar: Standard output can't be written \(ENOSPC: .+\)\. Check free space\.\r?\n$/,
    );
    expect(code).toBe(1);
  });
});

describe("a signal", () => {
  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s ends a command that waits for its input", async (signal, status) => {
    const child = cli.spawn(["memory", "set", "a", "interrupted", "-"]);
    const outcome = outcomeOf(child);
    // More than a pipe holds: it drains once the command reads, and by then it listens for signals.
    child.stdin.write(`"${"x".repeat(1024 * 1024)}`);
    await once(child.stdin, "drain");
    child.kill(signal);
    const { code, signal: killedBy, stdout, stderr } = await outcome;
    expect({ status: code ?? killedBy, stdout }).toEqual({ status, stdout: "" });
    expect(stderr).toBe("codespar: Interrupted; nothing was written.\n");
    expect((await cli.run(["memory", "get", "a", "interrupted"])).code).toBe(4);
  });
});

describe("files that a running server holds", () => {
  it("are reached through it, and directly again once it is gone", async () => {
    const server = await startServer(cli);
    expect((await cli.run(["memory", "set", "a", "held", '"by the server"'])).code).toBe(0);
    const answer = await fetch(`${server.url}/api/agents/a/memory/held`);
    expect(await answer.json()).toMatchObject({ value: "by the server" });
    await server.stop();
    expect((await cli.run(["memory", "get", "a", "held"])).stdout).toBe('"by the server"\n');
  });

  it("of a program without a server can be read, not written", async () => {
    await using storage = createStorage("default", { directory: join(cli.folder, ".codespar") });
    await storage.memory.set("a", "library", 1);
    expect((await cli.run(["memory", "get", "a", "library"])).stdout).toBe("1\n");
    const { code, stdout, stderr } = await cli.run(["memory", "set", "a", "library", "2"]);
    expect({ code, stdout }).toEqual({ code: 6, stdout: "" });
    expect(stderr).toMatch(/^codespar: [^\n]+\[STORAGE_LOCKED\]\n$/);
    expect(stderr).toContain(String(process.pid));
  });
});

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { builtCli } from "@codespar/tooling/built-cli";
import {
  assertNoSecret,
  removeScratch,
  StreamSearch,
  scratchFolder,
} from "@codespar/tooling/secrets";
import { vi } from "vitest";
import { run } from "../../src/run.ts";

/** How a command ended. */
export interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Where and how a command runs. Nothing of the tests' own environment reaches it but what finds programs. */
export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Uint8Array;
}

/** The built command line in a folder of its own. */
export interface Cli extends AsyncDisposable {
  readonly folder: string;
  run(args: readonly string[], options?: RunOptions): Promise<Outcome>;
  /** Starts a command and leaves it running; ended with the folder. */
  spawn(args: readonly string[], options?: RunOptions): ChildProcessWithoutNullStreams;
  /** As {@link Cli.spawn}, on a terminal of its own, whose output is standard output's. Arguments without spaces. */
  spawnOnTerminal(args: readonly string[]): ChildProcessWithoutNullStreams;
}

let built: Promise<string> | undefined;

/** Builds the command line if needed, and makes an empty folder to run it in. */
export async function cliInNewFolder(): Promise<Cli> {
  built ??= builtCli();
  const cli = await built;
  const folder = await scratchFolder("cli");
  const running = new Set<ChildProcessWithoutNullStreams>();
  function start(args: readonly string[], options: RunOptions = {}) {
    return launch(process.execPath, [cli, ...args], options);
  }
  function launch(program: string, args: readonly string[], options: RunOptions = {}) {
    const env = { PATH: process.env["PATH"] ?? "", HOME: folder, ...options.env };
    const child = spawn(program, args, { cwd: folder, env });
    const said = what(args);
    StreamSearch.watch(said.where, [child.stdout, child.stderr], said.allowed);
    running.add(child);
    child.once("exit", () => running.delete(child));
    child.stdin.on("error", () => undefined);
    if (options.stdin !== undefined) child.stdin.end(options.stdin);
    return child;
  }
  return {
    folder,
    spawn: start,
    spawnOnTerminal: (args) =>
      launch("script", ["-qec", [process.execPath, cli, ...args].join(" "), "/dev/null"]),
    run: (args, options = {}) => outcomeOf(start(args, { stdin: "", ...options })),
    async [Symbol.asyncDispose]() {
      for (const child of running) child.kill("SIGKILL");
      await removeScratch(folder);
    },
  };
}

/** How to look for secrets in what a command prints: by contract, making a key shows it. */
function what(args: readonly string[]) {
  const command = args.join(" ");
  const where = `the output of codespar ${command.slice(0, 80)}`;
  return { where, allowed: { apiKeys: /\bkeys (?:create|rotate)\b/.test(command) } };
}

/** Waits until a command has ended, and gives all it wrote. */
export async function outcomeOf(child: ChildProcessWithoutNullStreams): Promise<Outcome> {
  const ended = new Promise<Pick<Outcome, "code" | "signal">>((resolve) => {
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { ...(await ended), stdout, stderr };
}

/** Runs a command inside this process, which saves the second that a process takes to start. It can't read standard input. */
export async function runHere(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<Pick<Outcome, "code" | "stdout" | "stderr">> {
  const written = { stdout: "", stderr: "" };
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  const spies = (["stdout", "stderr"] as const).map((stream) =>
    vi.spyOn(process[stream], "write").mockImplementation((chunk) => {
      written[stream] += String(chunk);
      return true;
    }),
  );
  try {
    const code = await run(args);
    const { where, allowed } = what(args);
    assertNoSecret(where, `${written.stdout}\n${written.stderr}`, allowed);
    return { code, ...written };
  } finally {
    for (const spy of spies) spy.mockRestore();
    vi.unstubAllEnvs();
  }
}

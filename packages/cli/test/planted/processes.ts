import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { buffer } from "node:stream/consumers";
import { freePort } from "@codespar/tooling";
import { type Cli, runHere } from "../support/run-cli.ts";
import type { Token } from "./tokens.ts";
import type { Written } from "./written.ts";

export type Environment = Readonly<Record<string, string>>;

/** Runs processes and keeps all that they write. */
export class Processes {
  readonly #cli: Cli;
  readonly #written: Written;
  readonly #env: Environment;

  constructor(cli: Cli, written: Written, env: Environment) {
    this.#cli = cli;
    this.#written = written;
    this.#env = env;
  }

  /** A command as a process of its own, which the process listing shows. @returns its status */
  async runApart(
    args: readonly string[],
    { env = {}, handsOut }: { env?: Environment; handsOut?: (output: string) => Token[] } = {},
  ): Promise<number | null> {
    const child = this.#cli.spawn(args, { env: { ...this.#env, ...env } });
    child.stdin.end();
    const [stdout, stderr] = await this.#outputOf(child);
    this.#keep(args, stdout, handsOut?.(stdout.toString("utf8")));
    this.#keep(args, stderr);
    return child.exitCode;
  }

  /** A command inside this process. */
  async run(
    args: readonly string[],
    env: Environment = {},
    handsOut?: (output: string) => Token[],
  ): Promise<number> {
    const { code, stdout, stderr } = await runHere(args, {
      DATABASE_URL: undefined,
      ...this.#env,
      ...env,
    });
    this.#keep(args, stdout, handsOut?.(stdout));
    this.#keep(args, stderr);
    return code ?? -1;
  }

  /** The library in a process of its own. @returns the API key that it made */
  async runLibrary(input: object, key: (token: string) => Token): Promise<Token> {
    const script = new URL("./library-process.ts", import.meta.url).pathname;
    const conditions = ["--import", "tsx", "--conditions=@codespar/source"];
    const child = spawn(process.execPath, [...conditions, script], {
      env: { PATH: process.env["PATH"], HOME: this.#cli.folder, ...this.#env },
      stdio: ["pipe", "pipe", "pipe", "ipc"],
    });
    child.stdin?.end(JSON.stringify(input));
    let made: Token | undefined;
    child.once("message", (token) => {
      made = key(String(token));
    });
    const [stdout, stderr] = await this.#outputOf(child);
    this.#keep(["library"], stdout);
    this.#keep(["library"], stderr);
    if (!stderr.includes("Error: nobody catches this") || made === undefined)
      throw new Error(`the library's process ended early: ${stderr.toString("utf8")}`);
    return made;
  }

  /** Starts the server and waits until it listens. `kill` ends it without a chance to tidy up. */
  async startServer(): Promise<{ readonly url: string; kill(): Promise<void> }> {
    const port = String(await freePort());
    const child = this.#cli.spawn(["start"], { env: { ...this.#env, PORT: port } });
    const output = this.#outputOf(child);
    const url = `http://localhost:${port}`;
    const lines = createInterface({ input: child.stderr.pipe(new PassThrough()) });
    for await (const line of lines) if (line.includes(url)) break;
    return {
      url,
      kill: async () => {
        child.kill("SIGKILL");
        for (const bytes of await output) this.#keep(["start"], bytes);
      },
    };
  }

  async #outputOf(child: ChildProcess): Promise<[Buffer, Buffer]> {
    const { stdout, stderr } = child;
    if (stdout === null || stderr === null) throw new Error("its output goes elsewhere");
    const closed = once(child, "close");
    const output = Promise.all([buffer(stdout), buffer(stderr.pipe(new PassThrough()))]);
    await once(child, "spawn");
    await this.#written.addProcesses();
    await closed;
    return output;
  }

  #keep(args: readonly string[], content: Buffer | string, handedOut: readonly Token[] = []): void {
    const what = `the output of ${args.slice(0, 2).join(" ")}`;
    this.#written.add("output of processes", what, content, handedOut);
  }
}

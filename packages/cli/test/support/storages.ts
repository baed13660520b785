import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { migrate } from "@codespar/core";
import { createTestDatabase, freePort } from "@codespar/tooling";
import { testKey } from "@codespar/tooling/secrets";
import { type Cli, cliInNewFolder, type RunOptions, runHere } from "./run-cli.ts";

/** A storage that the command line works on, however it gets there. */
export interface Place extends AsyncDisposable {
  /** The command line in a folder that leads to it, together with `env`. */
  readonly cli: Cli;
  readonly env: Readonly<Record<string, string>>;
  /** Runs a command on it inside this process. */
  run(args: readonly string[]): ReturnType<typeof runHere>;
  /** Runs a command on it as a process of its own. */
  runApart(args: readonly string[], options?: Pick<RunOptions, "stdin">): ReturnType<Cli["run"]>;
}

/** Every way to a storage; the commands' results must be the same on each. */
export const ways = {
  "files, directly": () => onFiles(),
  "files, through the server that holds them": () => throughServer(),
  postgres: () => onPostgres(),
} as const satisfies Record<string, () => Promise<Place>>;

/** The ways by name, for `describe.each`. */
export const eachWay = Object.entries(ways) as [keyof typeof ways, () => Promise<Place>][];

async function onFiles(): Promise<Place> {
  return placeOf(await cliInNewFolder(), {}, async () => undefined);
}

async function throughServer(): Promise<Place> {
  const cli = await cliInNewFolder();
  const server = await startServer(cli);
  return placeOf(cli, {}, () => server.stop());
}

/** Starts the server in the command line's folder and waits until it listens. */
export async function startServer(
  cli: Cli,
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const port = String(await freePort());
  const child = cli.spawn(["start"], { env: { PORT: port, LOG_LEVEL: "error", ...env } });
  const url = `http://localhost:${port}`;
  const said: string[] = [];
  child.stdout.resume();
  for await (const line of createInterface({ input: child.stderr })) {
    said.push(line);
    if (line.includes(url)) break;
  }
  child.stderr.resume();
  if (!said.at(-1)?.includes(url)) throw new Error(`the server didn't start:\n${said.join("\n")}`);
  return {
    url,
    async stop() {
      const gone = once(child, "exit");
      if (child.exitCode === null && child.kill("SIGTERM")) await gone;
    },
  };
}

async function onPostgres(): Promise<Place> {
  const database = await createTestDatabase({
    template: {
      name: "codespar migrated",
      prepare: async (url) => void (await migrate({ databaseUrl: url })),
    },
  });
  const env = { DATABASE_URL: database.url, CODESPAR_ENCRYPTION_KEY: testKey() };
  return placeOf(await cliInNewFolder(), env, () => database.drop());
}

function placeOf(cli: Cli, env: Readonly<Record<string, string>>, end: () => Promise<void>): Place {
  return {
    cli,
    env,
    run: (args) =>
      runHere(args, {
        DATABASE_URL: undefined,
        CODESPAR_STORAGE_DIR: join(cli.folder, ".codespar"),
        ...env,
      }),
    runApart: (args, options = {}) => cli.run(args, { ...options, env }),
    async [Symbol.asyncDispose]() {
      await end();
      await cli[Symbol.asyncDispose]();
    },
  };
}

import { type Command, InvalidArgumentError } from "commander";
import { usage } from "../failure.ts";
import { withExamples } from "../help.ts";
import { parseCount } from "../values.ts";

interface StartFlags {
  readonly host?: string;
  readonly port?: number;
}

/** `codespar start` */
export function addStart(program: Command): void {
  const command = program
    .command("start")
    .description("run the server until Ctrl-C or SIGTERM")
    .option("--host <host>", "name or address to listen on (default: HOST, else localhost)")
    .option(
      "--port <port>",
      "port to listen on, 0 for any free one (default: PORT, else 3000)",
      parsePort,
    )
    .action(start);
  withExamples(command, "codespar start", "codespar start --port 8080");
}

function parsePort(text: string): number {
  const port = parseCount(text);
  if (port > 65_535) throw new InvalidArgumentError("It must be at most 65535.");
  return port;
}

async function start(config: StartFlags): Promise<void> {
  // Only this command pays for loading the server.
  const { ServerStartError, startServer } = await import("@codespar/server");
  try {
    const { ended } = await startServer({ config });
    await ended;
  } catch (error) {
    throw error instanceof ServerStartError && error.configuration ? usage(error.message) : error;
  }
}

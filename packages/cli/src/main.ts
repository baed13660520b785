import { loadEnvironment } from "./config.ts";
import { exitCodes } from "./exit-codes.ts";
import { endWithReader } from "./output.ts";
import { run } from "./run.ts";

/**
 * Runs the command line as a process: with the environment that the user means, and its exit status.
 *
 * @param argv - as `process.argv`
 */
export async function main(argv: readonly string[]): Promise<void> {
  endWithReader();
  loadEnvironment();
  const status = await run(argv.slice(2));
  // What failed because of a signal ends with the signal's status, which is set by now.
  if (status === exitCodes.ok) process.exitCode = status;
  else process.exitCode ??= status;
}

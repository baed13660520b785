import { type ExitCode, exitCodes } from "./exit-codes.ts";
import { outcomeOf } from "./failure.ts";
import { note } from "./output.ts";
import { createProgram } from "./program.ts";

/**
 * Runs one command. Never throws: a failure becomes one line on standard error.
 *
 * @param args - what was typed after `codespar`
 * @returns the exit status
 */
export async function run(args: readonly string[]): Promise<ExitCode> {
  try {
    await createProgram().parseAsync(args, { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    const { exitCode, line } = await outcomeOf(error);
    if (line !== null) note(`codespar: ${line}`);
    return exitCode;
  }
}

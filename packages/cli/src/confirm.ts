import { createInterface } from "node:readline/promises";
import { exitCodes } from "./exit-codes.ts";
import { CommandFailure, usage } from "./failure.ts";

/**
 * Asks on the terminal before something is done that can't be undone.
 *
 * @throws CommandFailure unless the answer is yes; without a terminal, because `--yes` wasn't given
 */
export async function confirm(question: string, signal: AbortSignal): Promise<void> {
  if (!hasTerminal())
    throw usage(`${question} This can't be undone. Add --yes to say so without a terminal.`);
  const answer = await ask(`${question} This can't be undone. (yes/no) `, signal);
  if (!/^y(es)?$/i.test(answer)) throw nothingDone();
}

/**
 * As {@link confirm}, for what nobody must do by habit: the answer is the name of what goes.
 *
 * @throws CommandFailure unless the name is typed; without a terminal, because `--confirm` wasn't given
 */
export async function confirmName(
  question: string,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  if (!hasTerminal()) {
    throw usage(
      `${question} This can't be undone. Add --confirm with its id to say so without a terminal.`,
    );
  }
  const answer = await ask(`${question} This can't be undone. Type its id to go on: `, signal);
  if (answer !== name) throw nothingDone();
}

function hasTerminal(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

async function ask(question: string, signal: AbortSignal): Promise<string> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await terminal.question(question, { signal })).trim();
  } finally {
    terminal.close();
  }
}

function nothingDone(): CommandFailure {
  return new CommandFailure(exitCodes.refused, "Nothing was done.");
}

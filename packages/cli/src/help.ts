import type { Command } from "commander";

/** Appends examples to a command's help. */
export function withExamples(command: Command, ...lines: readonly string[]): Command {
  return command.addHelpText(
    "after",
    `\nExamples:\n${lines.map((line) => `  $ ${line}`).join("\n")}`,
  );
}

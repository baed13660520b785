import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { exitCodes } from "../../exit-codes.ts";
import { CommandFailure, usage } from "../../failure.ts";
import { withExamples } from "../../help.ts";
import { jsonText, print, write } from "../../output.ts";
import { abortOnSignals } from "../../signals.ts";
import { withStore } from "../../store/open-store.ts";

/** `codespar memory get AGENT KEY` */
export function addMemoryGet(memory: Command): void {
  const command = memory
    .command("get")
    .description("print a value as JSON; with --json the whole entry (null when there is none)")
    .argument("<agent>", "agent id")
    .argument("<key>", "memory key")
    .option("--string", "print a text value as it is, without quotes")
    .action(getMemory);
  withExamples(
    command,
    "codespar memory get coder greeting",
    "codespar memory get coder notes --string > notes.md",
    "codespar memory get coder greeting --json --org acme",
  );
}

async function getMemory(
  agentId: string,
  key: string,
  options: { string?: true },
  command: Command,
): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  const entry = await withStore(context, "read", (store) =>
    store.memory.getEntry(agentId, key, { signal }),
  );
  if (context.json) await print(jsonText(entry));
  if (entry === null) {
    throw new CommandFailure(
      exitCodes.notFound,
      `Agent "${agentId}" remembers nothing under "${key}".`,
    );
  }
  if (context.json) return;
  if (!options.string) return print(jsonText(entry.value));
  if (typeof entry.value !== "string")
    throw usage(`The value is not text. Read it without --string.`);
  await write(entry.value);
}

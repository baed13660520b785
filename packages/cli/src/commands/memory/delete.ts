import type { MemoryDeleteOptions } from "@codespar/core";
import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { exitCodes } from "../../exit-codes.ts";
import { CommandFailure } from "../../failure.ts";
import { withExamples } from "../../help.ts";
import { jsonText, print } from "../../output.ts";
import { abortOnSignals } from "../../signals.ts";
import { withStore } from "../../store/open-store.ts";

/** `codespar memory delete AGENT KEY` */
export function addMemoryDelete(memory: Command): void {
  const command = memory
    .command("delete")
    .description("delete an entry")
    .argument("<agent>", "agent id")
    .argument("<key>", "memory key")
    .option("--if-version <version>", "only when the entry has this version")
    .option("--record", "also write an audit entry, in the same transaction")
    .action(deleteMemory);
  withExamples(command, "codespar memory delete coder greeting");
}

async function deleteMemory(
  agentId: string,
  key: string,
  flags: Pick<MemoryDeleteOptions, "ifVersion" | "record">,
  command: Command,
): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  const deleted = await withStore(context, "write", (store) =>
    store.memory.delete(agentId, key, { ...flags, signal }),
  );
  if (context.json) await print(jsonText({ deleted }));
  if (!deleted) {
    throw new CommandFailure(
      exitCodes.notFound,
      `Agent "${agentId}" remembers nothing under "${key}".`,
    );
  }
  if (!context.json) await print("deleted");
}

import type { MemoryEntry } from "@codespar/core";
import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { withExamples } from "../../help.ts";
import { addPagingOptions, type PagingFlags, printPages } from "../../listing.ts";
import { jsonText, shown } from "../../output.ts";
import { abortOnSignals } from "../../signals.ts";
import { withStore } from "../../store/open-store.ts";

interface ListFlags extends PagingFlags {
  readonly prefix?: string;
  readonly reverse?: true;
}

/** `codespar memory list AGENT` */
export function addMemoryList(memory: Command): void {
  const command = memory
    .command("list")
    .description("list an agent's entries in key order")
    .argument("<agent>", "agent id")
    .option("--prefix <text>", "only keys that begin with exactly this text")
    .option("--reverse", "from the last key to the first")
    .action(listMemory);
  addPagingOptions(command);
  withExamples(
    command,
    "codespar memory list coder --prefix notes/",
    "codespar memory list coder --all --json > memory.json",
  );
}

async function listMemory(agentId: string, flags: ListFlags, command: Command): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  const { all, ...query } = flags;
  await withStore(context, "read", (store) =>
    printPages(
      { all: all === true, json: context.json, cursor: query.cursor },
      (cursor) => store.memory.list(agentId, { ...query, ...(cursor && { cursor }), signal }),
      ["KEY", "UPDATED", "EXPIRES", "VALUE"],
      cells,
    ),
  );
}

const shownValue = 60;

function cells(entry: MemoryEntry): string[] {
  const value = jsonText(entry.value);
  return [
    shown(entry.key),
    entry.updatedAt,
    entry.expiresAt ?? "never",
    value.length > shownValue ? `${value.slice(0, shownValue)}…` : value,
  ];
}

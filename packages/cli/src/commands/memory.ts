import type { Command } from "commander";
import { addMemoryDelete } from "./memory/delete.ts";
import { addMemoryGet } from "./memory/get.ts";
import { addMemoryList } from "./memory/list.ts";
import { addMemorySet } from "./memory/set.ts";

/** `codespar memory …`: what agents remember. */
export function addMemoryCommands(program: Command): void {
  const memory = program.command("memory").description("read and write what agents remember");
  addMemoryGet(memory);
  addMemorySet(memory);
  addMemoryList(memory);
  addMemoryDelete(memory);
}

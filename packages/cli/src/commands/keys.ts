import type { Command } from "commander";
import { addKeysCreate } from "./keys/create.ts";
import { addKeysList } from "./keys/list.ts";
import { addKeysRevoke } from "./keys/revoke.ts";
import { addKeysRotate } from "./keys/rotate.ts";

/** `codespar keys …`: the organisation's API keys. */
export function addKeysCommands(program: Command): void {
  const keys = program.command("keys").description("make and end API keys of an organisation");
  addKeysCreate(keys);
  addKeysList(keys);
  addKeysRevoke(keys);
  addKeysRotate(keys);
}

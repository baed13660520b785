import type { Command } from "commander";
import { addOrgsErase } from "./orgs/erase.ts";
import { addOrgsExport } from "./orgs/export.ts";
import { addOrgsImport } from "./orgs/import.ts";
import { addOrgsList } from "./orgs/list.ts";
import { addOrgsShow } from "./orgs/show.ts";

/** `codespar orgs …`: the organisations of the deployment. */
export function addOrgsCommands(program: Command): void {
  const orgs = program.command("orgs").description("list, export and erase whole organisations");
  addOrgsList(orgs);
  addOrgsShow(orgs);
  addOrgsExport(orgs);
  addOrgsImport(orgs);
  addOrgsErase(orgs);
}

import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { withExamples } from "../../help.ts";
import { addPagingOptions, type PagingFlags, printPages } from "../../listing.ts";
import { shown } from "../../output.ts";
import { abortOnSignals } from "../../signals.ts";
import { withDeployment } from "../../store/open-store.ts";

/** `codespar orgs list` */
export function addOrgsList(orgs: Command): void {
  const command = orgs
    .command("list")
    .description("list the organisations that hold anything")
    .action(listOrganisations);
  addPagingOptions(command);
  withExamples(command, "codespar orgs list", "codespar orgs list --all --json");
}

async function listOrganisations(flags: PagingFlags, command: Command): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  const { all, ...query } = flags;
  await withDeployment(context, "read", ({ organisations }) =>
    printPages(
      { all: all === true, json: context.json, cursor: flags.cursor },
      (cursor) => organisations.list({ ...query, signal, ...(cursor && { cursor }) }),
      ["ORGANISATION"],
      ({ orgId }) => [shown(orgId)],
    ),
  );
}

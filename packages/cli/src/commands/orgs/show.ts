import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { exitCodes } from "../../exit-codes.ts";
import { CommandFailure } from "../../failure.ts";
import { withExamples } from "../../help.ts";
import { columns, jsonText, print, shown } from "../../output.ts";
import { abortOnSignals } from "../../signals.ts";
import { withDeployment } from "../../store/open-store.ts";

/** `codespar orgs show ID` */
export function addOrgsShow(orgs: Command): void {
  const command = orgs
    .command("show")
    .description("tell how many rows an organisation holds in each table")
    .argument("<id>", "as orgs list shows it")
    .action(showOrganisation);
  withExamples(command, "codespar orgs show acme");
}

async function showOrganisation(orgId: string, _flags: object, command: Command): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  const summary = await withDeployment(context, "read", ({ organisations }) =>
    organisations.get(orgId, { signal }),
  );
  if (summary === null) {
    throw new CommandFailure(
      exitCodes.notFound,
      `There is no organisation "${shown(orgId)}". codespar orgs list shows all.`,
    );
  }
  if (context.json) return print(jsonText(summary));
  const rows = Object.entries(summary.tables).map(([table, count]) => [table, String(count)]);
  await print(columns([["TABLE", "ROWS"], ...rows, ["in all", String(summary.rows)]]).join("\n"));
}

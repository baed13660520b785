import { createReadStream, statSync } from "node:fs";
import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { exitCodes } from "../../exit-codes.ts";
import { CommandFailure, usage } from "../../failure.ts";
import { withExamples } from "../../help.ts";
import { jsonText, print, shown } from "../../output.ts";
import { abortOnSignals } from "../../signals.ts";
import { withDeployment } from "../../store/open-store.ts";

/** `codespar orgs import ID FILE` */
export function addOrgsImport(orgs: Command): void {
  const command = orgs
    .command("import")
    .description(
      "take over an archive as it is, where the organisation holds nothing yet. It is checked as a whole before anything is written",
    )
    .argument("<id>", "of the organisation: the archive's own")
    .argument("<file>", "as orgs export wrote it")
    .action(importOrganisation);
  withExamples(command, "codespar orgs import acme acme.jsonl");
}

async function importOrganisation(
  orgId: string,
  file: string,
  _flags: object,
  command: Command,
): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  refuseOther(file);
  const report = await withDeployment(context, "write", async ({ organisations }) => {
    if (organisations.import === undefined)
      throw usage(
        "An archive is imported where the storage is: stop the server that holds the files, or leave --server out.",
      );
    return organisations.import(orgId, () => createReadStream(file), { signal });
  });
  await print(context.json ? jsonText(report) : `imported ${report.rows} rows of ${shown(orgId)}`);
}

/** What isn't a file: an archive is read several times. */
function refuseOther(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isFile()) return;
  const why =
    found === undefined
      ? `There is no file ${path}.`
      : `${path} is ${found.isDirectory() ? "a folder" : "no file"}. An archive is one file; it is read several times, so a pipe won't do.`;
  throw new CommandFailure(exitCodes.notFound, why);
}

import type { ErasureReport } from "@codespar/core";
import type { Command } from "commander";
import { confirmName } from "../../confirm.ts";
import { contextOf } from "../../context.ts";
import { usage } from "../../failure.ts";
import { withExamples } from "../../help.ts";
import { columns, jsonText, note, print, shown } from "../../output.ts";
import { progressOf } from "../../progress.ts";
import { abortOnSignals } from "../../signals.ts";
import { withDeployment } from "../../store/open-store.ts";
import type { Administration } from "../../store/store.ts";

/** `codespar orgs erase ID` */
export function addOrgsErase(orgs: Command): void {
  const command = orgs
    .command("erase")
    .description(
      "erase an organisation for good: records, trail, keys, routes, files. Stop what writes to it first. Broken off, it goes on when it is run again",
    )
    .argument("<id>", "as orgs list shows it")
    .option("--confirm <id>", "the id once more, instead of being asked for it")
    .action(eraseOrganisation);
  withExamples(
    command,
    "codespar orgs erase acme --confirm acme",
    "codespar orgs export acme --output acme.jsonl && codespar orgs erase acme",
  );
}

async function eraseOrganisation(
  orgId: string,
  flags: { readonly confirm?: string },
  command: Command,
): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  if (flags.confirm === undefined) {
    note(await withDeployment(context, "read", (each) => holding(each, orgId, signal)));
    await confirmName(`Erase the organisation "${shown(orgId)}"?`, orgId, signal);
  } else if (flags.confirm !== orgId) {
    throw usage("--confirm must be the organisation's id once more. Nothing was erased.");
  }
  const progress = await progressOf("erasing rows");
  const report = await withDeployment(context, "write", ({ organisations }) => {
    let erased = 0;
    const onProgress = ({ rows }: { readonly rows: number }) => {
      erased += rows;
      progress.update(erased, erased);
    };
    return organisations.erase(orgId, { confirm: orgId, signal, onProgress });
  }).finally(() => progress.stop());
  await print(context.json ? jsonText(report) : summary(report));
}

/** What somebody is about to lose. That its files are damaged is often why. */
async function holding(
  { organisations }: Administration,
  orgId: string,
  signal: AbortSignal,
): Promise<string> {
  try {
    const held = await organisations.get(orgId, { signal });
    return `${shown(orgId)} holds ${held?.rows ?? 0} rows.`;
  } catch (error) {
    const { StorageError } = await import("@codespar/core");
    if (!StorageError.is(error, "CORRUPTION")) throw error;
    return `The files of ${shown(orgId)} are damaged: ${error.message}`;
  }
}

function summary({ orgId, resumed, removed, rows, damaged }: ErasureReport): string {
  if (damaged) return `erased ${shown(orgId)}, whose files were damaged: its rows weren't counted`;
  const table = removed.map((each) => [each.table, String(each.rows)]);
  const verb = resumed ? "continued, and erased" : "erased";
  return [
    ...columns([["TABLE", "ERASED"], ...table]),
    `${verb} ${rows} rows of ${shown(orgId)}`,
  ].join("\n");
}

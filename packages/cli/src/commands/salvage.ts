import type { SalvagedOrganisation, SalvageReport } from "@codespar/core";
import type { Command } from "commander";
import { contextOf } from "../context.ts";
import { exitCodes } from "../exit-codes.ts";
import { CommandFailure, usage } from "../failure.ts";
import { withExamples } from "../help.ts";
import { columns, jsonText, print, shown } from "../output.ts";
import { progressOf } from "../progress.ts";

interface SalvageFlags {
  readonly from?: string;
  readonly to: string;
}

/** `codespar salvage` */
export function addSalvage(program: Command): void {
  const command = program
    .command("salvage")
    .description("copy what is intact of damaged files into a new folder, and list what isn't")
    .option("--from <folder>", "the damaged folder (default: CODESPAR_STORAGE_DIR, else .codespar)")
    .requiredOption("--to <folder>", "a folder that doesn't exist yet, or is empty")
    .action(salvageFiles);
  withExamples(
    command,
    "codespar salvage --to salvaged",
    "codespar salvage --from /backup/.codespar --to salvaged --json",
  );
}

async function salvageFiles(flags: SalvageFlags, command: Command): Promise<void> {
  const { json } = contextOf(command);
  const { salvage } = await import("@codespar/core");
  const progress = await progressOf("salvaging organisations");
  const report = await salvage({
    from: flags.from ?? (await filesInUse()),
    to: flags.to,
    onProgress: ({ done, total }) => progress.update(done, total),
  }).finally(() => progress.stop());
  await print(json ? jsonText(report) : summary(report));
  const lost = lostOf(report);
  if (lost.length === 0) return;
  throw new CommandFailure(
    exitCodes.integrity,
    `${lost.length} ${lost.length === 1 ? "thing" : "things"} could not be salvaged. Restore a backup for those.`,
  );
}

async function filesInUse(): Promise<string> {
  const { storageTarget } = await import("@codespar/core");
  const target = storageTarget();
  if (target.backend === "file") return target.directory;
  throw usage(
    "DATABASE_URL is set, and salvage is for files. Name the damaged folder with --from.",
  );
}

function lostOf(report: SalvageReport): readonly string[] {
  return [...report.organisations.flatMap(({ lost }) => lost), ...report.lost];
}

function summary(report: SalvageReport): string {
  const header = ["ORGANISATION", "RECORDS", "UNPROVEN", "AUDIT ENTRIES", "LOST"];
  const rows = report.organisations.map(cells);
  return [
    ...columns([header, ...rows]),
    ...lostOf(report).map((line) => `lost: ${shown(line)}`),
  ].join("\n");
}

function cells(organisation: SalvagedOrganisation): string[] {
  const { orgId, records, unproven, auditEntries, lost } = organisation;
  return [shown(orgId), ...[records, unproven, auditEntries, lost.length].map(String)];
}

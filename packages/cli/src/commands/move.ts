import type { MoveEnd, MoveReport } from "@codespar/core";
import type { Command } from "commander";
import { contextOf } from "../context.ts";
import { usage } from "../failure.ts";
import { withExamples } from "../help.ts";
import { columns, jsonText, print, shown } from "../output.ts";
import { progressOf } from "../progress.ts";
import { abortOnSignals } from "../signals.ts";

interface MoveFlags {
  readonly from: string;
  readonly to: string;
  readonly dryRun?: true;
}

/** `codespar move` */
export function addMove(program: Command): void {
  const command = program
    .command("move")
    .description(
      "copy everything into an empty storage and compare: files to PostgreSQL, or back. The source stays as it is; stop what writes to it first",
    )
    .requiredOption("--from <storage>", "file:FOLDER or postgres://…")
    .requiredOption("--to <storage>", "file:FOLDER or postgres://…, empty")
    .option("--dry-run", "only check and say what would move")
    .action(moveAll);
  withExamples(
    command,
    'codespar move --from file:.codespar --to "$DATABASE_URL" --dry-run',
    'codespar move --from file:.codespar --to "$DATABASE_URL"',
    'codespar move --from "$DATABASE_URL" --to file:backup',
  );
}

async function moveAll(flags: MoveFlags, command: Command): Promise<void> {
  const { json } = contextOf(command);
  const signal = abortOnSignals();
  const [from, to] = [parseEnd("--from", flags.from), parseEnd("--to", flags.to)];
  const { moveStorage } = await import("@codespar/core");
  const bars = {
    copying: await progressOf("copying"),
    verifying: await progressOf("verifying"),
  };
  const report = await moveStorage({
    from,
    to,
    dryRun: flags.dryRun === true,
    signal,
    onProgress: ({ phase, done, total }) => {
      if (phase === "verifying") bars.copying.stop();
      bars[phase].update(done, total);
    },
  }).finally(() => {
    bars.copying.stop();
    bars.verifying.stop();
  });
  await print(json ? jsonText(report) : summary(report));
}

function parseEnd(option: string, text: string): MoveEnd {
  if (/^postgres(ql)?:/.test(text)) return { databaseUrl: text };
  const directory = /^file:(?:\/\/(?=\/))?(.+)$/.exec(text)?.[1];
  if (directory !== undefined) return { directory };
  // What was given isn't repeated: it may hold a password.
  const given = text === "" ? "is empty; is the variable set?" : "is neither.";
  throw usage(
    `${option} must be file:FOLDER or postgres://user:password@host:5432/database, and ${given}`,
  );
}

function summary(report: MoveReport): string {
  const rows = report.tables.map(({ orgId, table, count, digest }) => [
    shown(orgId),
    table,
    String(count),
    digest === null ? "" : `sha256:${digest.slice(0, 16)}…`,
  ]);
  const verb = report.dryRun ? "would move" : report.resumed ? "continued and moved" : "moved";
  const closing = report.dryRun ? "nothing was written" : "all of it read back and compared";
  return [
    ...columns([["ORGANISATION", "TABLE", "COUNT", report.dryRun ? "" : "CONTENT"], ...rows]),
    `${verb} ${report.count} entries; ${closing}`,
  ].join("\n");
}

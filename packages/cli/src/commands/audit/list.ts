import type { AuditEntry } from "@codespar/core";
import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { withExamples } from "../../help.ts";
import { addPagingOptions, type PagingFlags, printPages } from "../../listing.ts";
import { shown } from "../../output.ts";
import { abortOnSignals } from "../../signals.ts";
import { withStore } from "../../store/open-store.ts";
import { addFilterOptions, type FilterFlags, filterOf } from "./filter.ts";

interface ListFlags extends PagingFlags, FilterFlags {
  readonly oldestFirst?: true;
}

/** `codespar audit list` */
export function addAuditList(audit: Command): void {
  const command = audit.command("list").description("list the trail's entries, newest first");
  addFilterOptions(command)
    .option("--oldest-first", "from the first entry to the last")
    .action(listAudit);
  addPagingOptions(command);
  withExamples(
    command,
    "codespar audit list --action 'deploy.*' --outcome denied",
    "codespar audit list --unresolved",
    "codespar audit list --all --oldest-first --json > trail.json",
  );
}

async function listAudit(flags: ListFlags, command: Command): Promise<void> {
  const context = contextOf(command);
  const { limit, cursor: start } = flags;
  const query = {
    ...filterOf(flags),
    ...(limit !== undefined && { limit }),
    order: flags.oldestFirst ? "asc" : "desc",
    signal: abortOnSignals(),
  } as const;
  await withStore(context, "read", (store) =>
    printPages(
      { all: flags.all === true, json: context.json, cursor: start },
      (cursor) => store.audit.list({ ...query, ...(cursor && { cursor }) }),
      ["SEQ", "SEALED", "ACTOR", "OUTCOME", "ACTION", "DETAILS", "TARGET"],
      cells,
    ),
  );
}

function detailsOf({ redacted, parts }: AuditEntry): string {
  if (redacted) return "redacted";
  return "details" in parts ? "yes" : "";
}

function cells(entry: AuditEntry): string[] {
  const target = entry.target === null ? "" : `${entry.target.type}:${entry.target.id}`;
  return [
    String(entry.seq),
    entry.sealedAt,
    shown(`${entry.actor.type}:${entry.actor.id}`),
    entry.outcome,
    shown(entry.action),
    detailsOf(entry),
    shown(target),
  ];
}

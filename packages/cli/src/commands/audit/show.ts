import type { AuditEntry } from "@codespar/core";
import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { exitCodes } from "../../exit-codes.ts";
import { CommandFailure } from "../../failure.ts";
import { withExamples } from "../../help.ts";
import { columns, jsonText, print, shown } from "../../output.ts";
import { abortOnSignals } from "../../signals.ts";
import { withStore } from "../../store/open-store.ts";
import { parseCount } from "../../values.ts";

/** `codespar audit show SEQ` */
export function addAuditShow(audit: Command): void {
  const command = audit
    .command("show")
    .description("show all of an entry; with --json null when there is none")
    .argument("<seq>", "the entry's number", parseCount)
    .action(showEntry);
  withExamples(command, "codespar audit show 42", "codespar audit show 42 --json | jq .details");
}

async function showEntry(seq: number, _flags: object, command: Command): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  const entry = await withStore(context, "read", (store) => store.audit.get(seq, { signal }));
  if (context.json) await print(jsonText(entry));
  if (entry === null)
    throw new CommandFailure(exitCodes.notFound, `The trail has no entry ${seq} yet.`);
  if (!context.json) await print(entryText(entry));
}

/** An entry for people: a line for each thing that it says. */
export function entryText(entry: AuditEntry): string {
  const { target, agent, details } = entry;
  const rows: [string, string | null][] = [
    ["entry", String(entry.seq)],
    ["id", entry.id],
    ["sealed", entry.sealedAt],
    ["occurred", entry.occurredAt],
    ["actor", `${entry.actor.type}:${entry.actor.id}`],
    ["action", entry.action],
    ["outcome", entry.outcome],
    ["target", target && `${target.type}:${target.id}`],
    ["agent", agent && [agent.id, agent.run, agent.model].filter(Boolean).join(", ")],
    ["project", entry.project],
    ["risk", entry.risk],
    ["correlation", entry.correlationId],
    ["hash", entry.hash],
    ["prev", entry.prev],
  ];
  const lines = rows.flatMap(([name, value]) =>
    value === null ? [] : [[`${name}:`, shown(value)]],
  );
  return [...columns(lines), ...detailLines(entry, details)].join("\n");
}

function detailLines({ parts }: AuditEntry, details: AuditEntry["details"]): string[] {
  if (details !== null) return [`details: ${jsonText(details, 2)}`];
  return "details" in parts ? ["details: null, or erased"] : [];
}

import type { AuditEntry, SealedAuditEntry } from "@codespar/core";
import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { exitCodes } from "../../exit-codes.ts";
import { CommandFailure } from "../../failure.ts";
import { withExamples } from "../../help.ts";
import { columns, jsonText, print, shown } from "../../output.ts";
import { abortOnSignals } from "../../signals.ts";
import { withStore } from "../../store/open-store.ts";
import type { Store } from "../../store/store.ts";
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
  const [entry, details] = await withStore(context, "read", async (store) => {
    const found = await store.audit.get(seq, { signal });
    const more = found === null || context.json ? "" : await detailsText(found, store, signal);
    return [found, more];
  });
  if (context.json) await print(jsonText(entry));
  if (entry === null)
    throw new CommandFailure(exitCodes.notFound, `The trail has no entry ${seq} yet.`);
  if (!context.json) await print(`${entryText(entry)}${details}`);
}

/** What was hashed of an entry, for people: a line for each thing that it says. */
export function entryText(entry: SealedAuditEntry): string {
  const { target, agent } = entry;
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
  return columns(lines).join("\n");
}

/** A line about an entry's details; for those that are gone, with the entry that says so. */
async function detailsText(
  { seq, parts, details, redacted, sealedAt }: AuditEntry,
  { audit }: Store,
  signal: AbortSignal,
): Promise<string> {
  if (!redacted) return "details" in parts ? `\ndetails: ${jsonText(details, 2)}` : "";
  const { redactionFilter } = await import("@codespar/core");
  const query = { ...redactionFilter(seq), from: sealedAt, order: "asc", limit: 1 } as const;
  const [by] = (await audit.list({ ...query, signal })).items;
  return by === undefined
    ? "\ndetails: redacted, and no entry says so. Run: codespar audit verify"
    : `\ndetails: redacted by entry ${by.seq} (${by.sealedAt})`;
}

import { stringify } from "csv-stringify/sync";
import type { AuditEntry } from "../domain/audit.ts";

/** Entries as JSON Lines. */
export function jsonLines(entries: readonly AuditEntry[]): string {
  return entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
}

/** The columns of the CSV, in order. `details` is JSON text; absent values are empty. */
const columns: Readonly<Record<string, (entry: AuditEntry) => string | number | null>> = {
  seq: (entry) => entry.seq,
  id: (entry) => entry.id,
  sealed_at: (entry) => entry.sealedAt,
  occurred_at: (entry) => entry.occurredAt,
  actor_type: (entry) => entry.actor.type,
  actor_id: (entry) => entry.actor.id,
  action: (entry) => entry.action,
  outcome: (entry) => entry.outcome,
  target_type: (entry) => entry.target?.type ?? null,
  target_id: (entry) => entry.target?.id ?? null,
  agent_id: (entry) => entry.agent?.id ?? null,
  agent_run: (entry) => entry.agent?.run ?? null,
  agent_model: (entry) => entry.agent?.model ?? null,
  project: (entry) => entry.project,
  risk: (entry) => entry.risk,
  correlation_id: (entry) => entry.correlationId,
  details: (entry) => (entry.details === null ? null : JSON.stringify(entry.details)),
  redacted: (entry) => String(entry.redacted),
  hash: (entry) => entry.hash,
  prev: (entry) => entry.prev,
};

/** The first line of the CSV. */
export function csvHeader(): string {
  return csv([Object.keys(columns)]);
}

/**
 * Entries as records of RFC 4180. What a spreadsheet would take for a formula (text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return) gets
 * an apostrophe in front of it; so does what begins so behind a semicolon or tab, at which many a spreadsheet divides.
 */
export function csvRecords(entries: readonly AuditEntry[]): string {
  return csv(entries.map((entry) => Object.values(columns).map((cell) => divisible(cell(entry)))));
}

/**
 * Whoever divides at semicolons sees no quotes in a line of commas: quotes count at the beginning of a field only. A quote or space may stand before
 * the formula.
 */
function divisible(cell: string | number | null): string | number | null {
  return typeof cell === "string"
    ? cell.replace(/[;\t](?=[\s"]*[=+\-@\uff1d\uff0b\uff0d\uff20])/g, "$&'")
    : cell;
}

function csv(rows: readonly (readonly (string | number | null)[])[]): string {
  return stringify([...rows], {
    record_delimiter: "windows",
    escape_formulas: true,
    quoted_match: /[;\t]/,
  });
}

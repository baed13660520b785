import type { Actor } from "../domain/actor.ts";
import type { AuditAgent, AuditOutcome, AuditRisk, AuditTarget } from "../domain/audit.ts";

/** What an entry says, validated and complete, before the trail gives it its place. */
export interface EntryContent {
  readonly id: string;
  readonly actor: Actor;
  readonly action: string;
  readonly outcome: AuditOutcome;
  readonly target?: AuditTarget | undefined;
  readonly agent?: AuditAgent | undefined;
  readonly project?: string | undefined;
  readonly risk?: AuditRisk | undefined;
  readonly correlationId?: string | undefined;
  readonly occurredAt?: string | undefined;
}

/** What the trail adds to an entry. */
export interface Placement {
  readonly log: string;
  readonly prev: string;
  readonly seq: number;
  readonly ts: string;
}

/**
 * An entry's canonical JSON, cut at the four values that only the trail knows: `log`, `prev`, `seq` and `ts`, in the order in which
 * RFC 8785 sorts them.
 */
export type LeafSegments = readonly [
  beforeLog: string,
  beforePrev: string,
  beforeSeq: string,
  beforeTs: string,
];

/** What every leaf ends in, after `ts`. Also known to the SQL function `codespar.audit_append`. */
export const leafTail = '","v":1}';

/**
 * Writes an entry's canonical JSON up to its place in a trail. It does for the closed schema what an RFC 8785 library does for any
 * value, in a third of the time; a test holds the two against each other.
 *
 * @throws TypeError for text that isn't well-formed Unicode
 */
export function leafSegments(
  content: EntryContent,
  parts: Readonly<Record<string, string>>,
): LeafSegments {
  const { actor, agent, target } = content;
  const about =
    agent === undefined
      ? ""
      : `"agent":{"id":${quote(agent.id)}${more("model", agent.model)}${more("run", agent.run)}},`;
  const on =
    target === undefined ? "" : `"target":{"id":${quote(target.id)},"type":${quote(target.type)}},`;
  return [
    `{"action":${quote(content.action)},"actor":{"id":${quote(actor.id)},"type":${quote(actor.type)}},` +
      `${about}${field("corr", content.correlationId)}"id":${quote(content.id)},"log":"`,
    `",${field("occurred", content.occurredAt)}"outcome":${quote(content.outcome)},"parts":${commitments(parts)},"prev":"`,
    `",${field("project", content.project)}${field("risk", content.risk)}"seq":`,
    `,${on}"ts":"`,
  ];
}

/** Joins segments with a place. */
export function joinSegments([a, b, c, d]: LeafSegments, place: Placement): string {
  return `${a}${place.log}${b}${place.prev}${c}${place.seq}${d}${place.ts}${leafTail}`;
}

/** ASCII that stands in JSON as it is. */
const plain = /^[ !#-[\]-~]*$/;

/** A JSON string as RFC 8785 §3.2.2.2 writes it, which is how ECMAScript does. */
function quote(text: string): string {
  if (plain.test(text)) return `"${text}"`;
  if (!text.isWellFormed()) throw new TypeError("a lone surrogate has no canonical form");
  return JSON.stringify(text);
}

function field(name: string, value: string | undefined): string {
  return value === undefined ? "" : `"${name}":${quote(value)},`;
}

function more(name: string, value: string | undefined): string {
  return value === undefined ? "" : `,"${name}":${quote(value)}`;
}

function commitments(parts: Readonly<Record<string, string>>): string {
  // Sorted by UTF-16 units as RFC 8785 §3.2.3 asks, which is how JavaScript compares.
  const names = Object.keys(parts).sort();
  return `{${names.map((name) => `${quote(name)}:${quote(parts[name] ?? "")}`).join(",")}}`;
}

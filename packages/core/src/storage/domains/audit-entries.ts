import { Buffer } from "node:buffer";
import { detailsPart, isOwnAction, type OwnAction } from "../../audit/actions.ts";
import { joinLeaf, type PreparedEntry, prepareEntry, type SealedLeaf } from "../../audit/entry.ts";
import { genesisHash, type Leaf } from "../../audit/leaf.ts";
import type { EntryContent } from "../../audit/leaf-text.ts";
import { newId } from "../../crypto/random.ts";
import type { Actor } from "../../domain/actor.ts";
import type { AuditEntry, AuditInput, AuditOutcome, SealedAuditEntry } from "../../domain/audit.ts";
import { limits } from "../../domain/limits.ts";
import type { JsonValue } from "../../domain/memory.ts";
import { auditInputSchema } from "../../domain/schemas.ts";
import { invalid, StorageError } from "../../errors/storage-error.ts";
import type { AuditPart, AuditRow, CallContext } from "../backend.ts";
import { parse } from "../validation.ts";
import { encodeValue } from "../values.ts";
import type { HandleContext } from "./context.ts";

/** As {@link entryFromInput}, of a caller. @throws StorageError `VALIDATION` for what only this software records */
export function entryFromCaller(actor: Actor, input: AuditInput): PreparedEntry {
  const entry = entryFromInput(actor, input);
  const { action } = entry.content;
  if (!isOwnAction(action)) return entry;
  throw invalid(
    `entry.action: CodeSpar alone records ${action}, by itself when it happens. Choose another name.`,
  );
}

/** Validates what is said about an action and makes it ready to be sealed. */
export function entryFromInput(actor: Actor, input: AuditInput): PreparedEntry {
  const said = parse(auditInputSchema, input, "entry");
  const parts =
    said.details === undefined
      ? {}
      : { details: encodeValue(said.details, "entry.details", limits.auditEntryBytes) };
  const { id = newId(), outcome = "success" } = said;
  return sized(prepareEntry(contentFrom(said, id, said.actor ?? actor, outcome), parts));
}

/**
 * What an entry says, field by field: until V8 12, spreading an object into one with more fields made a hidden class of its own each time,
 * which is kept until the next major collection.
 */
function contentFrom(
  said: Omit<EntryContent, "id" | "actor" | "outcome">,
  id: string,
  actor: Actor,
  outcome: AuditOutcome,
): EntryContent {
  const { action, target, agent, project, risk, correlationId, occurredAt } = said;
  return { id, actor, action, outcome, target, agent, project, risk, correlationId, occurredAt };
}

/** What an entry says that a change writes by itself. */
export interface AutomaticContent
  extends Pick<EntryContent, "target" | "agent" | "project" | "correlationId"> {
  readonly action: OwnAction;
  /** Default: `success`. */
  readonly outcome?: "failure";
}

/** Why an access that was granted came to nothing. */
export type Fruitless =
  | "not_found"
  | "unreadable"
  | "expired"
  | "revoked"
  | "already_erased"
  | "no_details";

/** The entry of an access to secrets or administration that was granted, showed nothing and changed nothing. */
export function fruitlessEntry(
  actor: Actor,
  said: AutomaticContent,
  why: Fruitless,
): PreparedEntry {
  return automaticEntry(actor, { ...said, outcome: "failure" }, { why });
}

/** The entry that a change writes by itself. */
export function automaticEntry(
  actor: Actor,
  said: AutomaticContent,
  details?: Readonly<Record<string, unknown>>,
): PreparedEntry {
  const parts =
    details === undefined
      ? {}
      : { details: encodeValue(details, "details", limits.auditEntryBytes) };
  return prepareEntry(contentFrom(said, newId(), actor, said.outcome ?? "success"), parts);
}

/** A trail's place takes at most this much: `log`, `prev`, `seq` and `ts`. */
const placeBytes = 256;

function sized(entry: PreparedEntry): PreparedEntry {
  let bytes = placeBytes;
  for (const segment of entry.segments) bytes += Buffer.byteLength(segment);
  for (const part of entry.parts) bytes += Buffer.byteLength(part.body);
  if (bytes <= limits.auditEntryBytes) return entry;
  throw new StorageError(
    "LIMIT_EXCEEDED",
    `An audit entry has at most ${limits.auditEntryBytes} bytes with its details, this one ${bytes}.`,
  );
}

/** Shows a sealed entry with the parts of it that are there. */
export function showEntry(sealed: SealedBytes, parts: readonly AuditPart[]): AuditEntry {
  const entry = showSealed(sealed);
  const bodyOf = (name: string) => parts.find((part) => part.name === name)?.body;
  const details = bodyOf(detailsPart);
  return Object.assign(entry, {
    details: details === undefined ? null : (JSON.parse(details) as JsonValue),
    redacted: Object.keys(entry.parts).some((name) => bodyOf(name) === undefined),
  });
}

/** An entry's bytes and their hash. */
interface SealedBytes {
  readonly leaf: string;
  readonly hash: string;
}

/** Shows what was hashed of an entry. */
export function showSealed(sealed: SealedBytes): SealedAuditEntry {
  const leaf = JSON.parse(sealed.leaf) as Leaf;
  return {
    seq: leaf.seq,
    id: leaf.id,
    hash: sealed.hash,
    prev: leaf.prev,
    log: leaf.log,
    sealedAt: leaf.ts,
    actor: leaf.actor,
    action: leaf.action,
    outcome: leaf.outcome,
    target: leaf.target ?? null,
    agent: leaf.agent ?? null,
    project: leaf.project ?? null,
    risk: leaf.risk ?? null,
    correlationId: leaf.corr ?? null,
    occurredAt: leaf.occurred ?? null,
    parts: leaf.parts,
  };
}

/** Whether what was sealed is exactly what was handed over, rather than an earlier entry under the same id. */
export function isOwn(entry: PreparedEntry, sealed: SealedLeaf): boolean {
  if (sealed.known !== true) return true;
  const { log, prev, ts } = JSON.parse(sealed.leaf) as Leaf;
  return joinLeaf(entry, { log, prev, seq: sealed.seq, ts }) === sealed.leaf;
}

/** Whether an entry already sealed says what this one says; the salts of the parts differ in any case. */
export function saysTheSame(
  entry: PreparedEntry,
  stored: { readonly leaf: string; readonly parts: readonly AuditPart[] },
): boolean {
  const bodies = Object.fromEntries(stored.parts.map((part) => [part.name, part.body]));
  const mine = Object.fromEntries(entry.parts.map((part) => [part.name, part.body]));
  const leaf = JSON.parse(stored.leaf) as Leaf;
  const erased = Object.keys(leaf.parts).filter((name) => !(name in bodies));
  const sameBodies = Object.keys(leaf.parts).every(
    (name) => erased.includes(name) || bodies[name] === mine[name],
  );
  const sameNames = Object.keys(mine).length === Object.keys(leaf.parts).length;
  const again = prepareEntry(entry.content, {});
  const earlier = prepareEntry(contentOf(leaf), {});
  return sameBodies && sameNames && unsealedLeaf(again) === unsealedLeaf(earlier);
}

/**
 * The entry that the trail holds under the id of this one; `null` when there is none.
 *
 * @throws StorageError `ALREADY_EXISTS` when it says something else
 */
export async function sameEntry(
  context: HandleContext,
  entry: PreparedEntry,
  call: CallContext,
): Promise<AuditRow | null> {
  const { id } = entry.content;
  const stored = await context.backend.findAudit(context.orgId, id, call);
  if (stored === null) return null;
  const leaf = Buffer.from(stored.leaf).toString("utf8");
  if (saysTheSame(entry, { leaf, parts: stored.parts })) return stored;
  throw new StorageError(
    "ALREADY_EXISTS",
    `The trail has another entry with the id ${id}: use a new id.`,
  );
}

/** An entry's bytes at no place of any trail, for comparison only. */
export function unsealedLeaf(entry: PreparedEntry): string {
  return joinLeaf(entry, { log: "codespar/log/0", prev: genesisHash, seq: 0, ts: "" });
}

function contentOf(leaf: Leaf): EntryContent {
  return { ...leaf, correlationId: leaf.corr, occurredAt: leaf.occurred };
}

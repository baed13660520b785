import type { PreparedEntry } from "../../audit/entry.ts";
import { newId } from "../../crypto/random.ts";
import { type AuditEntry, type AuditInput, auditOutcomes } from "../../domain/audit.ts";
import { kindOf } from "../../domain/text.ts";
import { invalid, StorageError } from "../../errors/storage-error.ts";
import type { Audit } from "../audit-contract.ts";
import type { CallContext } from "../backend.ts";
import { type entryFromCaller, isOwn, sameEntry, showEntry } from "./audit-entries.ts";
import { rowWithId, showRow } from "./audit-reading.ts";
import { beginCall, type HandleContext } from "./context.ts";
import { commitOn } from "./trail-signal.ts";

/**
 * Sealing of what is said, and of intents and their outcomes.
 *
 * @param entryFrom - makes an entry of it, or refuses it
 */
export function auditAppending(
  context: HandleContext,
  entryFrom: typeof entryFromCaller,
): Pick<Audit, "append" | "intent" | "outcome"> {
  return {
    append: async (input, options) => {
      const call = beginCall(context, options);
      return sealed(context, entryFrom(context.actor, input), call);
    },
    intent: async (input, options) => {
      const call = beginCall(context, options);
      checkEntry(input);
      if ("outcome" in input)
        throw invalid(
          'entry.outcome: an intent\'s outcome is "pending" until outcome() says more.',
        );
      // A retry with the same id must say the same, so what isn't given follows from the id.
      const id = input.id ?? newId();
      const entry = { correlationId: id, ...defined(input), id, outcome: "pending" } as const;
      return sealed(context, entryFrom(context.actor, entry), call);
    },
    outcome: async (intent, outcome, more = {}, options) => {
      const call = beginCall(context, options);
      if (!auditOutcomes.includes(outcome) || String(outcome) === "pending")
        throw invalid(
          `outcome must be one of ${auditOutcomes.filter((o) => o !== "pending").join(", ")}.`,
        );
      checkEntry(more);
      if ("outcome" in more || "correlationId" in more)
        throw invalid("entry: outcome and correlationId are the intent's; leave them out.");
      const said = await intentOf(context, intent, call);
      const entry = { ...said, ...defined(more), outcome };
      return sealed(context, entryFrom(context.actor, entry), call);
    },
  };
}

/** Seals an entry. A known id gives the entry that is there. */
async function sealed(
  context: HandleContext,
  entry: PreparedEntry,
  call: CallContext,
): Promise<AuditEntry> {
  const { appends } = await commitOn(context, { checks: [], writes: [], appends: [entry] }, call);
  const [leaf] = appends;
  if (leaf === undefined) throw new TypeError("the backend sealed nothing");
  if (isOwn(entry, leaf)) return showEntry(leaf, entry.parts);
  const stored = await sameEntry(context, entry, call);
  if (stored === null) throw new TypeError("the backend lost an entry");
  return showRow(stored);
}

/** What an outcome takes over from its intent. @throws StorageError `NOT_FOUND`, `VALIDATION` */
async function intentOf(
  context: HandleContext,
  intent: AuditEntry | string,
  call: CallContext,
): Promise<AuditInput> {
  const id = typeof intent === "string" ? intent : intent?.id;
  const row = await rowWithId(context, id, call);
  if (row === null)
    throw new StorageError("NOT_FOUND", `The trail has no entry ${id}: seal the intent first.`);
  const { outcome, correlationId, actor, action, target, agent, project, risk } = showRow(row);
  if (outcome !== "pending" || correlationId === null)
    throw invalid(`Entry ${row.seq} is no intent: one is pending, under a correlation id.`);
  return {
    actor,
    action,
    correlationId,
    ...(target !== null && { target }),
    ...(agent !== null && { agent }),
    ...(project !== null && { project }),
    ...(risk !== null && { risk }),
  };
}

/** Before anything is looked for in it. */
function checkEntry(entry: unknown): void {
  if (typeof entry !== "object" || entry === null)
    throw invalid(`entry must be an object, not ${kindOf(entry)}.`);
}

/** Without the fields that are given as `undefined`, which count as not given. */
function defined<Input extends object>(input: Input): Input {
  return Object.fromEntries(
    Object.entries(input).filter(([, value]) => value !== undefined),
  ) as Input;
}

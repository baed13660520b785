import { detailsPart, redactionFilter, redactionOf } from "../../audit/actions.ts";
import type { Leaf } from "../../audit/leaf.ts";
import type { AuditEntry } from "../../domain/audit.ts";
import { limits } from "../../domain/limits.ts";
import { StorageError } from "../../errors/storage-error.ts";
import type { Audit } from "../audit-contract.ts";
import type { AuditRow, CallContext } from "../backend.ts";
import { checkText } from "../validation.ts";
import { automaticEntry, type Fruitless, fruitlessEntry, showEntry } from "./audit-entries.ts";
import { rowAt, showRow } from "./audit-reading.ts";
import { beginCall, type HandleContext } from "./context.ts";
import { commitOn } from "./trail-signal.ts";

/** Erasing of details. */
export function auditRedaction(context: HandleContext): Pick<Audit, "redact"> {
  return {
    redact: async (seq, reason, options) => {
      const call = beginCall(context, options);
      checkText(reason, "reason", limits.textBytes);
      const row = await rowAt(context, seq, call);
      const sealed =
        row === null ? undefined : (JSON.parse(Buffer.from(row.leaf).toString()) as Leaf);
      if (row === null || sealed === undefined)
        return nothingToErase(context, call, seq, "not_found");
      if (!Object.hasOwn(sealed.parts, detailsPart))
        return nothingToErase(context, call, seq, "no_details");
      if (row.parts.some(({ name }) => name === detailsPart))
        return erase(context, row, reason, call);
      const earlier = await erasedEarlier(context, row, call);
      await noteFruitless(context, call, seq, "already_erased");
      return earlier;
    },
  };
}

/** Says in the trail that somebody wanted an entry's details erased that can't be. It mustn't look like an erasure, which verification counts. */
async function noteFruitless(
  context: HandleContext,
  call: CallContext,
  seq: number,
  why: Fruitless,
): Promise<void> {
  const target = { type: "audit_entry", id: String(seq) };
  const entry = fruitlessEntry(context.actor, { action: "audit.redaction_failed", target }, why);
  await commitOn(context, { checks: [], writes: [], appends: [entry] }, call);
}

/** @throws StorageError `NOT_FOUND`, once the entry that says so is sealed */
async function nothingToErase(
  context: HandleContext,
  call: CallContext,
  seq: number,
  why: "not_found" | "no_details",
): Promise<never> {
  await noteFruitless(context, call, seq, why);
  throw new StorageError(
    "NOT_FOUND",
    why === "not_found"
      ? `The trail has no entry ${seq}.`
      : `Entry ${seq} was sealed without details.`,
  );
}

/** Two at the same moment may both get here: the second erases nothing, and its entry does no harm. */
async function erase(
  context: HandleContext,
  { seq }: AuditRow,
  reason: string,
  call: CallContext,
): Promise<AuditEntry> {
  // The trail can't be searched by target.
  const { correlationId } = redactionFilter(seq);
  const said = { ...redactionOf(seq, detailsPart), correlationId };
  const entry = automaticEntry(context.actor, said, { reason });
  const commit = {
    checks: [],
    writes: [],
    appends: [entry],
    erasures: [{ seq, name: detailsPart }],
  };
  const [sealed] = (await commitOn(context, commit, call)).appends;
  if (sealed === undefined) throw new TypeError("the backend sealed nothing");
  return showEntry(sealed, entry.parts);
}

/** The entry that says that the details are gone. @throws StorageError `CORRUPTION` when there is none */
async function erasedEarlier(
  { backend, orgId }: HandleContext,
  { seq }: AuditRow,
  call: CallContext,
): Promise<AuditEntry> {
  const query = { filter: redactionFilter(seq), after: seq, limit: 1, order: "asc" } as const;
  const [row] = await backend.listAudit(orgId, query, call);
  if (row !== undefined) return showRow(row);
  throw new StorageError(
    "CORRUPTION",
    `The details of entry ${seq} are missing, and no entry says that they were erased. Run: codespar audit verify`,
  );
}

import type { AuditEntry } from "../../domain/audit.ts";
import { auditFilterSchema, auditInputSchema } from "../../domain/schemas.ts";
import { invalid } from "../../errors/storage-error.ts";
import type { Audit } from "../audit-contract.ts";
import type { AuditQuery, AuditRow, CallContext } from "../backend.ts";
import { decodeCursor, encodeCursor } from "../cursor.ts";
import { optionNames } from "../option-names.ts";
import type { AuditListOptions, Listing } from "../options.ts";
import { pageLimit, parse } from "../validation.ts";
import { showEntry } from "./audit-entries.ts";
import { beginCall, type HandleContext } from "./context.ts";
import { listing, pageOf } from "./listing.ts";

/** Entries by position, id and filter. */
export function auditReading(context: HandleContext): Pick<Audit, "get" | "getById" | "list"> {
  return {
    get: async (seq, options) => {
      const row = await rowAt(context, seq, beginCall(context, options));
      return row === null ? null : showRow(row);
    },
    getById: async (id, options) => {
      const row = await rowWithId(context, id, beginCall(context, options));
      return row === null ? null : showRow(row);
    },
    list: (options) => auditListing(context, options),
  };
}

/** The entry at a position, or `null`. @throws StorageError `VALIDATION` */
export async function rowAt(
  { backend, orgId }: HandleContext,
  seq: number,
  call: CallContext,
): Promise<AuditRow | null> {
  if (!Number.isSafeInteger(seq) || seq < 0) throw invalid("seq must be a whole number from 0.");
  const query: AuditQuery = { filter: {}, after: seq - 1, limit: 1, order: "asc" };
  const [row] = await backend.listAudit(orgId, query, call);
  return row?.seq === seq ? row : null;
}

/** The entry with an id, or `null`. @throws StorageError `VALIDATION` */
export function rowWithId(
  { backend, orgId }: HandleContext,
  id: string,
  call: CallContext,
): Promise<AuditRow | null> {
  return backend.findAudit(orgId, parse(auditInputSchema.shape.id.unwrap(), id, "id"), call);
}

function auditListing(
  context: HandleContext,
  options: AuditListOptions | undefined,
): Listing<AuditEntry> {
  return listing(options?.cursor, async (cursor) => {
    const call = beginCall(context, options, optionNames.auditList);
    const filter = parse(auditFilterSchema, options ?? {}, "filter");
    const limit = pageLimit(options?.limit);
    const { order = "desc" } = options ?? {};
    if (order !== "asc" && order !== "desc") throw invalid('order must be "asc" or "desc".');
    const scope = [context.orgId, "audit_log", order, JSON.stringify(filter)];
    const after = cursor === undefined ? undefined : seqOf(decodeCursor(scope, cursor, 1)[0]);
    const query: AuditQuery = { filter, after, limit: limit + 1, order };
    const rows = await context.backend.listAudit(context.orgId, query, call);
    return pageOf(rows, limit, showRow, (row) => encodeCursor(scope, [String(row.seq)]));
  });
}

function seqOf(text: string | undefined): number {
  const seq = Number(text);
  if (String(seq) !== text || !Number.isSafeInteger(seq) || seq < 0)
    throw invalid("cursor is not one that this listing gave: start without a cursor.");
  return seq;
}

/** Shows a stored entry. */
export function showRow(row: AuditRow): AuditEntry {
  return showEntry({ leaf: Buffer.from(row.leaf).toString("utf8"), hash: row.hash }, row.parts);
}

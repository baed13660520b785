import type { AuditEntry, AuditTarget } from "../../domain/audit.ts";
import { invalid } from "../../errors/storage-error.ts";
import type { Storage } from "../storage.ts";
import { ownAuditDomain } from "./audit.ts";
import { contextOf } from "./context.ts";

/** What somebody was let do, or not. */
export interface AccessDecision {
  readonly decision: "granted" | "denied";
  /** What was asked for, for example `{ type: "route", id: "GET /api/keys" }`. */
  readonly target: AuditTarget;
  /** Why, for example. */
  readonly details?: unknown;
}

const outcomes = { granted: "success", denied: "denied" } as const;

/**
 * Seals an entry `access.granted` or `access.denied`, which callers can't append: for servers, of whoever they authenticated.
 *
 * @param storage - a handle of the organisation whose trail it is, whose actor asked
 * @throws StorageError `VALIDATION` for another decision; otherwise as {@link Audit.append}
 */
export async function recordAccess(
  storage: Storage,
  { decision, target, details }: AccessDecision,
): Promise<AuditEntry> {
  if (!Object.hasOwn(outcomes, decision)) throw invalid('decision must be "granted" or "denied".');
  return ownAuditDomain(contextOf(storage)).append({
    action: `access.${decision}`,
    outcome: outcomes[decision],
    target,
    details,
  });
}

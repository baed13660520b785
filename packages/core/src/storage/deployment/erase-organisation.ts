import type { AuditEntry } from "../../domain/audit.ts";
import { invalid, StorageError } from "../../errors/storage-error.ts";
import type { CallContext } from "../backend.ts";
import type { HandleContext } from "../domains/context.ts";
import type { MovableTable } from "../move/content.ts";
import { tableNames } from "../tables.ts";
import { keepClosed } from "./closed-mark.ts";
import { deploymentOrgId, ownTrail, refuseOwn } from "./own-trail.ts";

/** How an erasure goes. */
export interface EraseOrganisationOptions {
  /** The organisation's id once more: nobody erases one by mistake. */
  readonly confirm: string;
  /** Told after each step how many rows of a table went with it, on PostgreSQL also of those that the report leaves out. */
  readonly onProgress?: (step: ErasedRows) => void;
  /** Ends the erasure between two steps: `ABORTED`. The same call goes on later. */
  readonly signal?: AbortSignal;
}

/** Rows of one table that were removed. */
export interface ErasedRows {
  readonly table: string;
  readonly rows: number;
}

/** What an erasure removed. */
export interface ErasureReport {
  readonly orgId: string;
  /** Whether it went on with one that had been broken off: what that one removed isn't counted here. */
  readonly resumed: boolean;
  /** Rows by table, in the order of their removal: of those that `Organisations.get` counts, the same on both backends. */
  readonly removed: readonly ErasedRows[];
  /** Rows in all. */
  readonly rows: number;
  /** Whether its files were damaged (`CORRUPTION`): they are gone, and rows that couldn't be read aren't counted. */
  readonly damaged: boolean;
}

/*
 * The trail of what is erased goes with it, so that the deployment's own says that it was there. The organisation's id stands among the details
 * only: it may itself be somebody's name, and details can be erased.
 */

const action = "organisation.erased";

/** As `Organisations.erase`. */
export async function eraseOrganisation(
  context: HandleContext,
  orgId: string,
  call: CallContext,
  { confirm, onProgress }: Partial<EraseOrganisationOptions>,
): Promise<ErasureReport> {
  const { backend } = context;
  if (confirm !== orgId)
    throw invalid(`To erase an organisation, give its id as confirm too: "${orgId}".`);
  refuseOwn(orgId);
  const begun = await unfinishedErasure(context, orgId);
  const trail = ownTrail(context);
  if (begun === null && !(await backend.organisations(call)).includes(orgId)) {
    const details = { organisation: orgId, why: "not_found" };
    await trail.append({ action, outcome: "failure", details });
    throw noOrganisation(orgId);
  }
  const intent = begun ?? (await trail.intent({ action, details: { organisation: orgId } }));
  await keepClosed({ ...context, orgId: deploymentOrgId }, call);
  const removed = new Map<string, number>();
  let damaged: boolean;
  try {
    damaged = await backend.eraseOrganisation(orgId, call, (table, rows) => {
      if (isHeld(table)) removed.set(table, (removed.get(table) ?? 0) + rows);
      onProgress?.({ table, rows });
    });
  } catch (error) {
    // What may not be erased isn't begun either. All else leaves the intent open, for whoever goes on with it.
    if (StorageError.is(error, "UNSUPPORTED"))
      await trail.outcome(intent, "denied", { details: { organisation: orgId } });
    throw error;
  }
  const details = {
    organisation: orgId,
    removed: Object.fromEntries(removed),
    ...(begun !== null && { resumed: true }),
    ...(damaged && { damaged }),
  };
  await trail.outcome(intent, "success", { details });
  const tables = [...removed].map(([table, rows]) => ({ table, rows }));
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  return { orgId, resumed: begun !== null, removed: tables, rows, damaged };
}

const held: ReadonlySet<string> = new Set<MovableTable>([...tableNames, "audit_log"]);

/** Whether an organisation's description counts it: how the trail is kept beside its entries differs between backends. */
function isHeld(table: string): boolean {
  return held.has(table);
}

/** The intent to erase this organisation that nothing has resolved yet. */
async function unfinishedErasure(
  context: HandleContext,
  orgId: string,
): Promise<AuditEntry | null> {
  for await (const intent of ownTrail(context).list({ action, unresolved: true })) {
    const details = intent.details as { readonly organisation?: unknown } | null;
    if (details?.organisation === orgId) return intent;
  }
  return null;
}

/** What whoever names an organisation gets that holds nothing. */
export function noOrganisation(orgId: string): StorageError {
  return new StorageError(
    "NOT_FOUND",
    `There is no organisation "${orgId}". codespar orgs list shows all.`,
  );
}

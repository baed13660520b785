import { StorageError } from "../../errors/storage-error.ts";
import type { Audit } from "../audit-contract.ts";
import { ownAuditDomain } from "../domains/audit.ts";
import type { HandleContext } from "../domains/context.ts";
import { unfinishedMark } from "../move/mark.ts";

/** The organisation whose trail tells what was done to the deployment itself, and outlives whatever that removes. */
export const deploymentOrgId = "codespar/deployment";

/** Organisations that are the deployment's own and nobody's data. */
export function isOwnOrganisation(orgId: string): boolean {
  return orgId === deploymentOrgId || orgId === unfinishedMark;
}

/** The deployment's own trail, for the handle's actor. */
export function ownTrail(context: HandleContext): Audit {
  return ownAuditDomain({ ...context, orgId: deploymentOrgId });
}

/** @throws StorageError `UNSUPPORTED` for what is the deployment's own */
export function refuseOwn(orgId: string): void {
  if (!isOwnOrganisation(orgId)) return;
  throw new StorageError(
    "UNSUPPORTED",
    `${orgId} is the deployment's own, and comes and goes only with the deployment.`,
  );
}

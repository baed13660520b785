import type { Audit } from "../audit-contract.ts";
import { auditAppending } from "./audit-appending.ts";
import { entryFromCaller, entryFromInput } from "./audit-entries.ts";
import { exportTrail } from "./audit-export.ts";
import { auditProving } from "./audit-proving.ts";
import { auditReading } from "./audit-reading.ts";
import { auditRedaction } from "./audit-redaction.ts";
import { auditSigning } from "./audit-signing.ts";
import { auditVerification } from "./audit-verification.ts";
import { auditWatch } from "./audit-watch.ts";
import type { HandleContext } from "./context.ts";

/** The trail on a handle. */
export function auditDomain(context: HandleContext): Audit {
  return { ...ownAuditDomain(context), ...auditAppending(context, entryFromCaller) };
}

/** The same for this software itself, whose own actions it takes too. */
export function ownAuditDomain(context: HandleContext): Audit {
  const trail = {
    ...auditAppending(context, entryFromInput),
    ...auditReading(context),
    ...auditWatch(context),
    ...auditRedaction(context),
    ...auditSigning(context),
    ...auditProving(context),
    ...auditVerification(context),
  };
  return { ...trail, export: (options) => exportTrail(context, trail, options) };
}

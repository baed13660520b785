import type { Audit } from "../audit-contract.ts";
import { auditAppending } from "./audit-appending.ts";
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
  const trail = {
    ...auditAppending(context),
    ...auditReading(context),
    ...auditWatch(context),
    ...auditRedaction(context),
    ...auditSigning(context),
    ...auditProving(context),
    ...auditVerification(context),
  };
  return { ...trail, export: (options) => exportTrail(context, trail, options) };
}

import { newToken } from "../../crypto/api-token.ts";
import type { CallContext } from "../backend.ts";
import { keyRef } from "../domains/api-key-records.ts";
import type { HandleContext } from "../domains/context.ts";
import { putRecord } from "../domains/record-verbs.ts";
import { runTransaction } from "../domains/run-transaction.ts";

const markId = "closed";

/**
 * Keeps a deployment closed to callers without a key whatever becomes of the organisations that have keys: where there is any key, leaves one
 * that has ended, and whose token nobody has ever seen, with the organisation of this context.
 */
export async function keepClosed(context: HandleContext, call: CallContext): Promise<void> {
  if (!(await context.backend.hasApiKeys(call))) return;
  await runTransaction(context, async (unit) => {
    if ((await unit.read(keyRef(markId))) !== null) return;
    const { actor, orgId } = unit.context;
    putRecord(unit, keyRef(markId), null, {
      name: "keeps the deployment closed",
      hash: newToken({ orgId, keyId: markId }).hash,
      scopes: "[]",
      created_by: `${actor.type}:${actor.id}`,
      valid_until: null,
      last_used_at: null,
      revoked_at: new Date(unit.call.now).toISOString(),
    });
  });
}

import type { RecordRef } from "../backend.ts";
import { sizeKey } from "../domains/audit-keys.ts";
import type { HandleContext } from "../domains/context.ts";
import { runTransaction } from "../domains/run-transaction.ts";

const refOf = (anchor: string): RecordRef => ({ table: "audit_anchors", key: [anchor] });

/** How many entries of a trail an anchor is known to vouch for. */
export async function anchoredSize(
  { backend, orgId, clock }: HandleContext,
  anchor: string,
): Promise<number> {
  const [record] = await backend.read(orgId, [refOf(anchor)], { now: clock() });
  return Number(record?.columns["size"] ?? 0);
}

/** Remembers that an anchor vouches for so many entries, unless it does for more. */
export async function rememberAnchored(
  context: HandleContext,
  anchor: string,
  size: number,
): Promise<void> {
  await runTransaction(context, async (unit) => {
    const record = await unit.read(refOf(anchor));
    if (Number(record?.columns["size"] ?? 0) >= size) return;
    const anchoredAt = new Date(unit.call.now).toISOString();
    unit.put(refOf(anchor), { size: sizeKey(size), anchored_at: anchoredAt });
  });
}

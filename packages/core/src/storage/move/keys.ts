import { KeyRing } from "../../crypto/key-ring.ts";
import { StorageError } from "../../errors/storage-error.ts";
import type { Backend, CallContext } from "../backend.ts";
import { recordPages } from "../pages.ts";
import { keyIdsOf as idsIn, isSealed } from "../stored-keys.ts";
import type { Holding } from "./content.ts";

const remedy =
  "Set CODESPAR_ENCRYPTION_KEY to the key that sealed them (a folder without one has it in keys/encryption.key), and move again.";

/**
 * Makes sure, before anything is written, that the target can open the source's secrets: their ciphertext moves as it is. Asked of
 * the configured keys and not of the target, which would keep a wrong one as its own.
 *
 * @returns whether there are any secrets
 * @throws StorageError `ENCRYPTION_KEY_MISSING`, `KEY_MISMATCH`; `VALIDATION` for keys that can't be read
 */
export async function checkKeys(
  from: Backend,
  held: readonly Holding[],
  keys: string | undefined,
  context: CallContext,
): Promise<boolean> {
  const needed = await keyIdsOf(from, held, context);
  if (needed.size === 0) return false;
  if (keys === undefined) {
    throw new StorageError(
      "ENCRYPTION_KEY_MISSING",
      `The source holds secrets, and no key is set with which the target could open them. ${remedy}`,
    );
  }
  const present = new Set(KeyRing.parse(keys).keyIds);
  const missing = [...needed].filter((id) => !present.has(id));
  if (missing.length === 0) return true;
  throw new StorageError(
    "KEY_MISMATCH",
    `The source's secrets are sealed with key ${missing.join(", ")}, which is not among those set. ${remedy}`,
  );
}

async function keyIdsOf(
  from: Backend,
  held: readonly Holding[],
  context: CallContext,
): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  for (const { orgId, table } of held) {
    if (!isSealed(table)) continue;
    for await (const page of recordPages(from, orgId, table, context)) {
      for (const { columns } of page) for (const id of idsIn(table, columns)) ids.add(id);
    }
  }
  return ids;
}

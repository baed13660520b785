import { type Leaf, leafHash } from "../../audit/leaf.ts";
import { StorageError } from "../../errors/storage-error.ts";
import type { AuditRow } from "../backend.ts";

/** What an entry has to follow. */
interface End {
  readonly size: number;
  readonly head: string;
  readonly log: string | null;
}

/**
 * Whether an entry that was sealed elsewhere is intact and comes next.
 *
 * @throws StorageError `CORRUPTION`, `ALREADY_EXISTS`
 */
export function checkSealed(row: AuditRow, text: string, end: End): Leaf {
  const leaf = parseLeaf(text);
  if (leaf === null || leafHash(row.leaf) !== row.hash || leaf.seq !== row.seq) {
    throw new StorageError(
      "CORRUPTION",
      `Audit entry ${row.seq} is not what was sealed. Verify the trail that it comes from.`,
    );
  }
  if (
    row.seq !== end.size ||
    leaf.prev !== end.head ||
    (end.log !== null && leaf.log !== end.log)
  ) {
    throw new StorageError(
      "ALREADY_EXISTS",
      `Audit entry ${row.seq} does not follow the trail here, which has ${end.size} entries. Import into an empty store.`,
    );
  }
  return leaf;
}

/** Reads a leaf; `null` when it isn't JSON. */
export function parseLeaf(text: string): Leaf | null {
  try {
    return JSON.parse(text) as Leaf;
  } catch {
    return null;
  }
}

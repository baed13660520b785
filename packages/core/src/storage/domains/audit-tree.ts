import type { NodeReader } from "../../audit/merkle.ts";
import { overTiles, TileError } from "../../audit/tiles.ts";
import { StorageError } from "../../errors/storage-error.ts";
import type { CallContext } from "../backend.ts";
import type { HandleContext } from "./context.ts";

/**
 * Computes something over the stored tree, with one read of its tiles.
 *
 * @throws StorageError `CORRUPTION` when the tree lacks hashes
 */
export async function treeOf<Result>(
  { backend, orgId }: Pick<HandleContext, "backend" | "orgId">,
  call: CallContext,
  compute: (read: NodeReader) => Result,
): Promise<Result> {
  try {
    return await overTiles(compute, (tiles) => backend.treeTiles(orgId, tiles, call));
  } catch (error) {
    throw error instanceof TileError ? damaged(error.message) : error;
  }
}

/** The trail isn't what was sealed; `how` goes on from "The trail is damaged:". */
export function damaged(how: string): StorageError {
  return new StorageError(
    "CORRUPTION",
    `The trail is damaged: ${how}. To see what was changed, run: codespar audit verify`,
  );
}

import type { NodeReader } from "../../audit/merkle.ts";
import { overTiles, TileError } from "../../audit/tiles.ts";
import { damagedTrail } from "../../errors/storage-error.ts";
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
    throw error instanceof TileError ? damagedTrail(error.message) : error;
  }
}

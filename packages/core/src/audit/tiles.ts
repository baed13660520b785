import { emptyRoot, type Hash, type NodeReader, nodeHash } from "./merkle.ts";

/**
 * A tile of a trail's Merkle tree (C2SP tlog-tiles, height 8): level 0 holds leaf hashes, level n the roots of the full tiles of
 * level n - 1.
 */
export interface TreeTile {
  readonly level: number;
  readonly index: number;
  /** How many hashes of it, from its beginning: 1 to 256. */
  readonly width: number;
  /** Put together from the level below, also where the tile is stored as a whole. */
  readonly fromBelow?: true;
}

/** Reads tiles in the order asked: `width` hashes of 32 bytes each, or fewer where some are missing. */
export type TileReader = (tiles: readonly TreeTile[]) => Promise<readonly Uint8Array[]>;

/** Levels of the tree in one tile. */
export const tileHeight = 8;
/** Hashes in a full tile. */
export const tileWidth = 2 ** tileHeight;
const hashBytes = 32;

/** A tile holds other hashes than were asked for. Its message says which. */
export class TileError extends Error {
  override readonly name = "TileError";
}

/**
 * Computes something over a stored tree with a single read, whatever the tree's size: `compute` runs twice, first to tell which nodes it
 * asks for, then on what was read. So its questions must not depend on the answers.
 *
 * @throws TileError when a tile was read short
 */
export async function overTiles<Result>(
  compute: (read: NodeReader) => Result,
  readTiles: TileReader,
): Promise<Result> {
  const wanted = new Map<string, TreeTile>();
  compute((level, index) => {
    const { tile } = placeOf(level, index);
    const id = `${tile.level} ${tile.index}`;
    const width = Math.max(tile.width, wanted.get(id)?.width ?? 0);
    wanted.set(id, { ...tile, width });
    return emptyRoot();
  });
  const tiles = [...wanted.values()];
  const answers = tiles.length === 0 ? [] : await readTiles(tiles);
  const stored = new Map<string, Uint8Array>();
  for (const [i, tile] of tiles.entries()) {
    const hashes = answers[i];
    if (hashes?.length !== tile.width * hashBytes)
      throw new TileError(`tile ${tile.level}/${tile.index} has fewer than ${tile.width} hashes`);
    stored.set(`${tile.level} ${tile.index}`, hashes);
  }
  return compute((level, index) => {
    const { tile, first, count } = placeOf(level, index);
    const hashes = stored.get(`${tile.level} ${tile.index}`);
    if (hashes === undefined)
      throw new TypeError("a computation asked for other nodes than before");
    return rootOf(hashes, first, count);
  });
}

/** Where the hash of a complete subtree comes from: a run of hashes of one tile. */
function placeOf(level: number, index: number) {
  const count = 2 ** (level % tileHeight);
  const start = index * count;
  const first = start % tileWidth;
  const tile: TreeTile = {
    level: Math.floor(level / tileHeight),
    index: Math.floor(start / tileWidth),
    width: first + count,
  };
  return { tile, first, count };
}

/** The root over `count` hashes, a power of two, from the one at `first` on. */
function rootOf(hashes: Uint8Array, first: number, count: number): Hash {
  if (count === 1) return hashes.subarray(first * hashBytes, (first + 1) * hashBytes);
  const half = count / 2;
  return nodeHash(rootOf(hashes, first, half), rootOf(hashes, first + half, half));
}

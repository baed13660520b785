import { CompactRange, type Hash } from "../../audit/merkle.ts";
import { type TreeTile, tileWidth } from "../../audit/tiles.ts";
import type { TrailFile } from "./trail-file.ts";

const hashBytes = 32;
const tileBytes = tileWidth * hashBytes;

/** How many of a trail's entries have their leaf hash in a full tile. */
export function leavesInFullTiles(entries: number): number {
  return entries - (entries % tileWidth);
}

/** How many full tiles, of all levels, the tree of so many leaves has. */
function fullTiles(leaves: number): number {
  let count = 0;
  for (let full = leaves; full > 0; ) {
    full = Math.floor(full / tileWidth);
    count += full;
  }
  return count;
}

/** Where a tile stands among all: they come in the order in which they become full, a level before the one above it. */
function placeOf(level: number, index: number): number {
  const leaves = (index + 1) * tileWidth ** (level + 1);
  return fullTiles(leaves - 1) + level;
}

/** A tile that isn't full yet. */
interface Edge {
  readonly hashes: Buffer;
  width: number;
}

/**
 * The Merkle tree over a trail's leaf hashes: `audit_tiles`, which holds its full tiles and is only ever added to, and in memory the tiles
 * at its right edge and those that aren't written yet.
 */
export class AuditTiles {
  readonly #file: TrailFile;
  /** By level. */
  #edges: Edge[] = [];
  /** Full tiles in the file, and those that come behind them. */
  #written = 0;
  readonly #unwritten: Buffer[] = [];

  constructor(file: TrailFile) {
    this.#file = file;
  }

  /** Holds the file to what a trail of so many entries has: see {@link TrailFile.recover}. */
  recover(entries: number): Promise<void> {
    return this.#file.recover(fullTiles(entries) * tileBytes, false);
  }

  /**
   * Takes up the tree of the entries that the files hold.
   *
   * @param leaves - the leaf hashes that no full tile holds: see {@link leavesInFullTiles}
   * @param asIs - whether tiles may be missing: then the tree is another one, and verification finds where
   */
  async load(entries: number, leaves: readonly Hash[], asIs = false): Promise<void> {
    this.#written = fullTiles(entries);
    this.#unwritten.length = 0;
    this.#edges = [edgeOf(leaves)];
    let full = Math.floor(entries / tileWidth);
    for (let level = 1; full > 0; level++) {
      const roots: Hash[] = [];
      for (let index = full - (full % tileWidth); index < full; index++) {
        const tile = Buffer.alloc(tileBytes);
        (await this.#stored(placeOf(level - 1, index), tileWidth, asIs)).copy(tile);
        roots.push(rootOf(tile));
      }
      this.#edges.push(edgeOf(roots));
      full = Math.floor(full / tileWidth);
    }
  }

  /** Adds a leaf hash. */
  add(hash: string): void {
    let added: Hash = Buffer.from(hash, "hex");
    for (let level = 0; ; level++) {
      const edge = this.#edges[level] ?? edgeOf([]);
      this.#edges[level] = edge;
      edge.hashes.set(added, edge.width * hashBytes);
      edge.width++;
      if (edge.width < tileWidth) return;
      this.#unwritten.push(edge.hashes);
      this.#edges[level] = edgeOf([]);
      added = rootOf(edge.hashes);
    }
  }

  /** Writes the full tiles that the file lacks. Once it failed it can be repeated. */
  async write(): Promise<void> {
    const tiles = [...this.#unwritten];
    if (tiles.length === 0) return;
    await this.#file.write(Buffer.concat(tiles), this.#written * tileBytes);
    this.#unwritten.splice(0, tiles.length);
    this.#written += tiles.length;
  }

  /** See `Backend.treeTiles`. */
  async read({ level, index, width }: TreeTile): Promise<Buffer> {
    const place = placeOf(level, index);
    if (place < this.#written) return this.#stored(place, width, true);
    const full = this.#unwritten[place - this.#written];
    const edge = this.#edges[level] ?? edgeOf([]);
    const tile = full ?? edge.hashes.subarray(0, edge.width * hashBytes);
    // A copy: the edge goes on changing.
    return Buffer.from(tile.subarray(0, width * hashBytes));
  }

  /** The leaf hashes of the entries from `first` up to, not including, `end`, one after the other; fewer where some are missing. */
  async leaves(first: number, end: number): Promise<Buffer> {
    const tiles: Buffer[] = [];
    for (let index = Math.floor(first / tileWidth); index * tileWidth < end; index++) {
      const width = Math.min(tileWidth, end - index * tileWidth);
      const tile = await this.read({ level: 0, index, width });
      tiles.push(tile.subarray(Math.max(0, first - index * tileWidth) * hashBytes));
    }
    return Buffer.concat(tiles);
  }

  #stored(place: number, width: number, asIs: boolean): Promise<Buffer> {
    const start = place * tileBytes;
    return this.#file.read(start, start + width * hashBytes, asIs);
  }
}

function edgeOf(hashes: readonly Hash[]): Edge {
  const edge = { hashes: Buffer.alloc(tileBytes), width: hashes.length };
  hashes.forEach((hash, i) => {
    edge.hashes.set(hash, i * hashBytes);
  });
  return edge;
}

/** The hash that a full tile comes to in the level above. */
function rootOf(tile: Buffer): Hash {
  const range = new CompactRange();
  for (let at = 0; at < tileBytes; at += hashBytes) range.add(tile.subarray(at, at + hashBytes));
  return range.root();
}

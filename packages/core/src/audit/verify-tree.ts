import { Buffer } from "node:buffer";
import type { AuditFailure } from "../domain/audit-proofs.ts";
import { CompactRange, type Hash } from "./merkle.ts";
import { type TileReader, type TreeTile, tileHeight, tileWidth } from "./tiles.ts";

const hashBytes = 32;
/** How many full tiles are compared with one read. */
const tilesPerRead = 32;

/** A tile as the entries make it. */
interface MadeTile extends TreeTile {
  readonly hashes: Buffer;
}

/**
 * Builds the tree anew from the entries' hashes, and compares every tile that is stored with it. Takes memory for one tile a level and
 * those that wait for the next read.
 */
export class TreeCheck {
  readonly #range = new CompactRange();
  readonly #readTiles: TileReader | null;
  /** By level: the tile that isn't full yet. */
  readonly #rows: { index: number; width: number; hashes: Buffer }[] = [];
  readonly #full: MadeTile[] = [];
  /** Tiles that are what the entries make them. */
  passed = 0;

  /** @param readTiles - `null` where no tree is stored: then only roots are computed */
  constructor(readTiles: TileReader | null) {
    this.#readTiles = readTiles;
  }

  get size(): number {
    return this.#range.size;
  }

  root(): Hash {
    return this.#range.root();
  }

  /** Whether enough tiles wait for {@link TreeCheck.compare}. */
  get due(): boolean {
    return this.#full.length >= tilesPerRead;
  }

  /** Adds an entry's hash, lower-case hex. */
  add(hash: string): void {
    const leaf = Buffer.from(hash, "hex");
    if (this.#readTiles !== null) this.#put(0, leaf);
    this.#range.add(leaf, this.#readTiles === null ? undefined : this.#onNode);
  }

  readonly #onNode = (level: number, _index: number, hash: Hash): void => {
    if (level % tileHeight === 0) this.#put(level / tileHeight, hash);
  };

  #put(level: number, hash: Hash): void {
    const row = this.#rows[level] ?? newRow(0);
    this.#rows[level] = row;
    row.hashes.set(hash, row.width * hashBytes);
    row.width += 1;
    if (row.width < tileWidth) return;
    this.#full.push({ level, ...row });
    this.#rows[level] = newRow(row.index + 1);
  }

  /** Compares the full tiles since the last time. @returns the first hash that differs */
  compare(): Promise<AuditFailure | null> {
    return this.#compare(this.#full.splice(0));
  }

  /** Compares also what isn't full: at the end, or to find where a broken trail broke. */
  compareAll(): Promise<AuditFailure | null> {
    const partial = this.#rows.map((row, level) => ({ level, ...row }));
    return this.#compare([...this.#full.splice(0), ...partial.filter(({ width }) => width > 0)]);
  }

  async #compare(tiles: readonly MadeTile[]): Promise<AuditFailure | null> {
    if (this.#readTiles === null || tiles.length === 0) return null;
    const asked = tiles.flatMap(askedFor);
    const answers = await this.#readTiles(asked.map(({ tile }) => tile));
    let first: AuditFailure | null = null;
    const broken = new Set<MadeTile>();
    for (const [i, { made }] of asked.entries()) {
      const failure = differenceIn(made, Buffer.from(answers[i] ?? []));
      if (failure === null) continue;
      broken.add(made);
      if (first === null || failure.seq < first.seq) first = failure;
    }
    this.passed += tiles.length - broken.size;
    return first;
  }
}

/** A root may be stored twice: in the tile above, and beside the tile that it is the root of. Nothing else ever reads the latter again. */
function askedFor(made: MadeTile): { made: MadeTile; tile: TreeTile }[] {
  const { level, index, width } = made;
  const tile: TreeTile = { level, index, width };
  if (level === 0) return [{ made, tile }];
  return [
    { made, tile },
    { made, tile: { ...tile, fromBelow: true } },
  ];
}

function newRow(index: number) {
  return { index, width: 0, hashes: Buffer.alloc(tileWidth * hashBytes) };
}

function differenceIn(
  { level, index, width, hashes }: MadeTile,
  stored: Buffer,
): AuditFailure | null {
  const made = hashes.subarray(0, width * hashBytes);
  if (made.equals(stored)) return null;
  for (let at = 0; at < width; at += 1) {
    const hashAt = (bytes: Buffer) => bytes.toString("hex", at * hashBytes, (at + 1) * hashBytes);
    const [expected, actual] = [hashAt(made), hashAt(stored)];
    if (expected === actual) continue;
    const span = tileWidth ** level;
    const seq = (index * tileWidth + at) * span;
    const what = level === 0 ? `entry ${seq}` : `entries ${seq} to ${seq + span - 1}`;
    const holds = actual === "" ? "no hash" : actual;
    const message = `${what}: the bytes have the hash ${expected}, the stored tree holds ${holds}`;
    return { seq, check: "root", expected, actual: holds, message };
  }
  const seq = index * tileWidth ** (level + 1);
  const [expected, actual] = [`${made.length} bytes`, `${stored.length} bytes`];
  const message = `the tile of the tree from entry ${seq} on has ${actual} instead of ${expected}`;
  return { seq, check: "root", expected, actual, message };
}

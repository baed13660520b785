import { leafHash } from "../../audit/leaf.ts";
import { StorageError } from "../../errors/storage-error.ts";
import type { AuditPart } from "../backend.ts";
import { AuditParts } from "./audit-parts.ts";
import { AuditTiles, leavesInFullTiles } from "./audit-tiles.ts";
import { eachBlock, eachLine } from "./byte-reader.ts";
import { corruption, type Damage, runAll } from "./failures.ts";
import type { FileSystem } from "./file-system.ts";
import { names } from "./layout.ts";
import { Offsets } from "./offsets.ts";
import { TrailFile } from "./trail-file.ts";

/** How much of the files a snapshot vouches for. How many tiles there are follows from the entries. */
export interface AuditFilesMark {
  readonly entries: number;
  readonly bytes: number;
  readonly partBytes: number;
}

type OnId = (id: string, seq: number) => void;

/** An entry as it goes to the files. */
export interface AuditLine {
  readonly id: string;
  readonly leaf: string;
  readonly parts: readonly AuditPart[];
}

/** An entry as the files give it. */
export interface AuditFileRow {
  readonly leaf: Buffer;
  /** The leaf hash that the tree holds. */
  readonly hash: string;
  readonly parts: readonly AuditPart[];
  /** Why a part of it can't be read. */
  readonly damage?: string | undefined;
}

/**
 * `audit_log.jsonl`, a line per entry with exactly the bytes that are hashed; `audit_parts.jsonl`, a line per erasable part; and
 * `audit_tiles`, the Merkle tree. All are written behind the journal, which holds what they don't hold durably yet.
 */
export class AuditFiles {
  readonly parts: AuditParts;
  readonly tiles: AuditTiles;
  readonly #log: TrailFile;
  readonly #files: readonly TrailFile[];
  readonly #writable: boolean;
  readonly #leafEnds = new Offsets();
  #entries: number;
  #bytes: number;
  /** What was found first. */
  #damage: Damage | null = null;

  constructor(fs: FileSystem, folder: string, mark: AuditFilesMark, writable: boolean) {
    const file = (name: string) => new TrailFile(fs, folder, name, writable);
    const [log, parts, tiles] = [
      file(names.auditLog),
      file(names.auditParts),
      file(names.auditTiles),
    ];
    this.#files = [log, parts, tiles];
    this.#log = log;
    this.#writable = writable;
    this.#entries = mark.entries;
    this.#bytes = mark.bytes;
    const note = writable ? null : (damage: Damage) => this.#note(damage);
    this.parts = new AuditParts(parts, mark.partBytes, note);
    this.tiles = new AuditTiles(tiles);
  }

  /** What isn't as it was written, found so far: read-only, when the files are read all the same, for verification. */
  get damage(): Damage | null {
    return this.#damage;
  }

  get mark(): AuditFilesMark {
    return { entries: this.#entries, bytes: this.#bytes, partBytes: this.parts.bytes };
  }

  /** The mark as of an earlier number of entries. */
  markAt(entries: number): AuditFilesMark {
    return {
      entries,
      bytes: this.#leafEnds.at(entries - 1),
      partBytes: this.parts.bytesOf(entries),
    };
  }

  /**
   * Compares the files with what the snapshot vouches for, and cuts off what is behind it: the journal has that too. Read-only, less may be
   * there, or other lines: that is noted, and verification tells where it is.
   *
   * @throws StorageError `CORRUPTION` when less is there
   */
  async recover(): Promise<void> {
    if (this.#writable) await this.#log.recover(this.#bytes, true);
    await this.#noting(this.parts.recover());
    await this.#noting(this.tiles.recover(this.#entries));
  }

  async #noting(step: Promise<void>): Promise<void> {
    try {
      await step;
    } catch (error) {
      if (this.#writable || !StorageError.is(error, "CORRUPTION")) throw error;
      this.#note({ seq: this.#entries, error });
    }
  }

  #note(damage: Damage): void {
    this.#damage ??= damage;
  }

  get writable(): boolean {
    return this.#writable;
  }

  /** Finds where the entries are. @param onId - called with the id of each */
  async index(onId?: OnId): Promise<void> {
    await this.#indexLog(onId);
    await this.parts.index(this.#entries);
    const edge = await this.leaves(leavesInFullTiles(this.#entries), this.#entries);
    await this.tiles.load(
      this.#entries,
      edge.map((leaf) => Buffer.from(leafHash(leaf), "hex")),
      !this.#writable,
    );
  }

  /** Calls `onId` with the id of each entry. Needs no index. */
  async ids(onId: OnId): Promise<void> {
    await this.#eachEntry((seq, block, start, end) => onId(idOf(block, start, end), seq));
  }

  async #indexLog(onId: OnId | undefined): Promise<void> {
    this.#leafEnds.clear();
    if (this.#bytes === 0) return;
    const lines = await this.#eachEntry((seq, block, start, end, position) => {
      onId?.(idOf(block, start, end), seq);
      this.#leafEnds.push(position + end + 1);
    });
    if (this.#writable ? lines !== this.#entries : lines < this.#entries) {
      const what = `it has ${lines} lines instead of ${this.#entries}`;
      const error = corruption(this.#log.path, 0, what);
      if (this.#writable) throw error;
      this.#note({ seq: lines, error });
      return;
    }
    this.#bytes = this.#leafEnds.at(this.#entries - 1);
  }

  /** @returns how many lines there are: read-only, more may be there than the snapshot vouches for */
  async #eachEntry(
    onEntry: (seq: number, block: Buffer, start: number, end: number, position: number) => void,
  ): Promise<number> {
    const bytes = this.#writable ? this.#bytes : await this.#log.size();
    if (bytes === 0) return 0;
    let lines = 0;
    await eachBlock(await this.#log.reader(bytes), 0, (block, position) => {
      eachLine(block, (start, end) => {
        if (lines < this.#entries) onEntry(lines, block, start, end, position);
        lines += 1;
      });
    });
    return lines;
  }

  /** Writes entries behind the ones that are there. Not durable before {@link AuditFiles.sync}; once it failed it can be repeated. */
  async append(lines: readonly AuditLine[]): Promise<void> {
    const leaves = lines.map(({ leaf }) => Buffer.from(`${leaf}\n`));
    await this.#log.write(Buffer.concat(leaves), this.#bytes);
    await this.parts.append(
      this.#entries,
      lines.map(({ parts }) => parts),
    );
    for (const { length } of leaves) {
      this.#bytes += length;
      this.#leafEnds.push(this.#bytes);
    }
    this.#entries += lines.length;
  }

  /** Makes what was written durable. Once it failed it can't be repeated: the files must be reopened. */
  async sync(): Promise<void> {
    for (const file of this.#files) await file.sync();
  }

  /** The bytes of the entries from `first` up to, not including, `end`; `asIs`, as many as are there. Needs the index. */
  async leaves(first: number, end: number, asIs = false): Promise<Buffer[]> {
    const known = Math.min(end, this.#leafEnds.length);
    if (known <= first) return [];
    const start = this.#leafEnds.at(first - 1);
    const bytes = await this.#log.read(start, this.#leafEnds.at(known - 1), asIs);
    const leaves: Buffer[] = [];
    for (let seq = first; seq < known; seq++) {
      const from = this.#leafEnds.at(seq - 1) - start;
      const to = this.#leafEnds.at(seq) - start - 1;
      if (to >= bytes.length) break;
      leaves.push(bytes.subarray(from, to));
    }
    return leaves;
  }

  /**
   * The entries from `first` up to, not including, `end`; bare ones without their parts. Needs the index.
   *
   * @param asIs - whether some may be missing
   */
  async rows(first: number, end: number, bare: boolean, asIs: boolean): Promise<AuditFileRow[]> {
    if (end <= first) return [];
    const leaves = await this.leaves(first, end, asIs);
    const hashes = await this.tiles.leaves(first, end);
    const parts = bare ? [] : await this.parts.read(first, end, asIs);
    // Where the tree lacks hashes, it is the tree that is to be told of.
    const stored = hashes.length === (end - first) * 32;
    return leaves.map((leaf, i) => ({
      leaf,
      hash: stored ? hashes.toString("hex", i * 32, (i + 1) * 32) : leafHash(leaf),
      parts: [],
      ...parts[i],
    }));
  }

  async close(): Promise<void> {
    await runAll(this.#files.map((file) => () => file.close()));
  }
}

const idBeforeLog = Buffer.from('","log":"');

/** A leaf's `id` is what its canonical order puts right before `log`; nothing is parsed for it. */
function idOf(block: Buffer, start: number, end: number): string {
  const stop = block.indexOf(idBeforeLog, start);
  if (stop === -1 || stop >= end) return "";
  const quote = block.lastIndexOf('"', stop - 1);
  return block.toString("utf8", quote + 1, stop);
}

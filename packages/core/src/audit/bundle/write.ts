import { createHash } from "node:crypto";
import type { AuditCheckpoint, AuditKey } from "../../domain/audit-proofs.ts";
import { erasedBy, keyAnnouncedBy } from "../actions.ts";
import type { EntryPart } from "../commitment.ts";
import { bufferOf, genesisHash, type Leaf, leafHash } from "../leaf.ts";
import { parseLeaf } from "../leaf-parse.ts";
import { parseVerifier, publicKeyPem } from "../signed-note.ts";
import {
  type BundleFile,
  type BundleManifest,
  bundleFormat,
  bundleNames,
  pieceBytes,
} from "./layout.ts";
import { bundleReadme } from "./readme.ts";

/** An entry as it goes into a bundle. */
export interface BundleEntry {
  readonly seq: number;
  readonly leaf: Uint8Array;
  readonly parts: readonly EntryPart[];
}

/** Where a bundle's content comes from. */
export interface BundleSource {
  readonly organisation: string;
  readonly exportedAt: string;
  /** The checkpoint that the bundle is bound to. */
  readonly checkpoint: AuditCheckpoint;
  /** The entries from `first` up to, not including, `end`, in order and in batches. */
  entries(first: number, end: number): AsyncIterable<readonly BundleEntry[]>;
  /** Signs a checkpoint over what the trail holds by now. */
  checkpointNow(): Promise<AuditCheckpoint>;
  /** Signed checkpoints, oldest first. */
  checkpoints(): AsyncIterable<AuditCheckpoint>;
  keys(): Promise<readonly AuditKey[]>;
}

/**
 * The files of a bundle, in the order in which they are written: README last but for manifest and sums, since it says how many entries there
 * are. One piece is held at a time.
 *
 * Details that are erased while the bundle is written are missing without an entry below the checkpoint that says so. The bundle then goes on
 * to a checkpoint over the entries that do. Where these erase details that were written before, their piece of `parts/` is written once more without
 * them, and takes the first one's place when the tar is unpacked: so all of it is the trail as it was at that one checkpoint.
 */
export async function* bundleFiles(source: BundleSource): AsyncGenerator<BundleFile> {
  const sums = new Map<string, string>();
  for await (const file of contentFiles(source)) {
    sums.set(file.name, createHash("sha256").update(file.content).digest("hex"));
    yield file;
  }
  const lines = [...sums].map(([name, sum]) => `${sum}  ${name}\n`);
  yield fileOf(bundleNames.sums, lines.join(""));
}

async function* contentFiles(source: BundleSource): AsyncGenerator<BundleFile> {
  const pieces = new Pieces(source.checkpoint.size);
  const checkpoint = yield* trailFiles(source, pieces);
  for (const key of await source.keys()) {
    // Announced behind the checkpoint, or by nobody: no key of the trail as this bundle has it.
    if (!pieces.announced.has(key.vkey)) continue;
    yield fileOf(bundleNames.vkey(key.keyId), `${key.vkey}\n`);
    yield fileOf(bundleNames.pem(key.keyId), publicKeyPem(parseVerifier(key.vkey)));
  }
  for await (const { size, note } of source.checkpoints()) {
    if (size <= checkpoint.size) yield fileOf(bundleNames.checkpoint(size), note);
  }
  const manifest: BundleManifest = {
    format: bundleFormat,
    organisation: source.organisation,
    exportedAt: source.exportedAt,
    log: checkpoint.origin,
    size: checkpoint.size,
    head: pieces.head,
    root: checkpoint.root,
    checkpoint: bundleNames.checkpoint(checkpoint.size),
  };
  yield fileOf(bundleNames.readme, bundleReadme(manifest));
  yield fileOf(bundleNames.manifest, `${JSON.stringify(manifest, null, 2)}\n`);
}

/** The trail's files. @returns the checkpoint that they reach up to */
async function* trailFiles(
  source: BundleSource,
  pieces: Pieces,
): AsyncGenerator<BundleFile, AuditCheckpoint> {
  let { checkpoint } = source;
  for (;;) {
    for await (const entries of source.entries(pieces.size, checkpoint.size))
      yield* piecesOf(entries, pieces);
    yield* pieces.take();
    if (pieces.unexplained.size === 0) yield* partsAnew(source, pieces);
    if (pieces.unexplained.size === 0) return checkpoint;
    const later = await source.checkpointNow();
    // Nothing more was sealed: then parts are missing, and the bundle shows it.
    if (later.size <= checkpoint.size) return checkpoint;
    checkpoint = later;
  }
}

/** Writes once more the parts of those pieces of which something was erased since. */
async function* partsAnew(source: BundleSource, pieces: Pieces): AsyncGenerator<BundleFile> {
  for (const [first, end] of pieces.takeStale()) {
    const lines: Buffer[] = [];
    for await (const entries of source.entries(first, end)) {
      for (const entry of entries) {
        lines.push(...partLines(entry));
        pieces.explain(entry);
      }
    }
    yield { name: bundleNames.parts(first), content: Buffer.concat(lines) };
  }
}

function* piecesOf(entries: readonly BundleEntry[], pieces: Pieces): Generator<BundleFile> {
  for (const entry of entries) {
    pieces.add(entry);
    if (pieces.isFull) yield* pieces.take();
  }
}

const newline = Buffer.from("\n");

/** Gathers entries and their parts into pieces, and keeps account of the trail so far. */
class Pieces {
  /** Hash of the last entry. */
  head = genesisHash;
  size = 0;
  /** Parts that are gone, `seq/name`, as long as no entry says that they were erased. */
  readonly unexplained = new Set<string>();
  /** The keys (vkey) that entries announce. */
  readonly announced = new Set<string>();
  readonly #pinned: number;
  /** Parts that entries say were erased, `seq/name`. */
  readonly #erased = new Set<string>();
  /** The first entry of each piece that is written, in order; and of those whose parts aren't the present ones any more. */
  readonly #written: number[] = [];
  readonly #stale = new Set<number>();
  #first = 0;
  #leaves: Uint8Array[] = [];
  #parts: Uint8Array[] = [];
  #leafBytes = 0;
  #partBytes = 0;

  /** @param pinned - what was erased by an entry before this one was gone when the first piece was read */
  constructor(pinned: number) {
    this.#pinned = pinned;
  }

  get isFull(): boolean {
    return Math.max(this.#leafBytes, this.#partBytes) >= pieceBytes;
  }

  add(entry: BundleEntry): void {
    const { seq, leaf } = entry;
    this.#leaves.push(leaf, newline);
    this.#leafBytes += leaf.length + newline.length;
    for (const line of partLines(entry)) {
      this.#parts.push(line);
      this.#partBytes += line.length;
    }
    this.head = leafHash(leaf);
    this.size = seq + 1;
    const sealed = this.explain(entry);
    if (sealed !== null) this.#heed(seq, sealed);
  }

  /** The files of the piece so far, if there is any; a new one begins. */
  *take(): Generator<BundleFile> {
    if (this.#leaves.length === 0) return;
    yield { name: bundleNames.entries(this.#first), content: Buffer.concat(this.#leaves) };
    yield { name: bundleNames.parts(this.#first), content: Buffer.concat(this.#parts) };
    this.#written.push(this.#first);
    this.#first = this.size;
    [this.#leaves, this.#parts] = [[], []];
    [this.#leafBytes, this.#partBytes] = [0, 0];
  }

  /** The pieces whose parts are to be written anew, from their first entry up to the next piece's. */
  takeStale(): [first: number, end: number][] {
    const firsts = [...this.#stale];
    this.#stale.clear();
    return firsts.map((first) => [
      first,
      this.#written[this.#written.indexOf(first) + 1] ?? this.size,
    ]);
  }

  /** Takes note of what an entry lacks. @returns what it says; `null` where it is none, which whoever verifies the bundle finds */
  explain({ seq, leaf, parts }: BundleEntry): Leaf | null {
    const sealed = parseLeaf(bufferOf(leaf));
    for (const name of Object.keys(sealed?.parts ?? {})) {
      const id = `${seq}/${name}`;
      if (!parts.some((part) => part.name === name) && !this.#erased.has(id))
        this.unexplained.add(id);
    }
    return sealed;
  }

  /** Takes note of the key that an entry announces, and of what it says was erased. */
  #heed(seq: number, sealed: Leaf): void {
    const vkey = keyAnnouncedBy(sealed);
    if (vkey !== null) this.announced.add(vkey);
    const erased = erasedBy(sealed);
    if (erased === null) return;
    const id = `${erased.seq}/${erased.part}`;
    this.#erased.add(id);
    if (this.unexplained.delete(id) || seq < this.#pinned) return;
    const first = this.#written.findLast((written) => written <= erased.seq);
    if (first !== undefined) this.#stale.add(first);
  }
}

/** An entry's parts as lines of `parts/`. The body is a JSON string, so that it comes back byte for byte. */
function partLines({ seq, parts }: BundleEntry): Buffer[] {
  return parts.map(({ name, salt, body }) => {
    const line = { seq, name, salt: Buffer.from(salt).toString("hex"), body };
    return Buffer.from(`${JSON.stringify(line)}\n`);
  });
}

function fileOf(name: string, text: string): BundleFile {
  return { name, content: Buffer.from(text) };
}

import { createHash } from "node:crypto";
import type { AuditCheckpoint, AuditKey } from "../../domain/audit-proofs.ts";
import { erasedBy } from "../actions.ts";
import type { EntryPart } from "../commitment.ts";
import { genesisHash, leafHash } from "../leaf.ts";
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
 * to a checkpoint over the entries that do.
 */
export async function* bundleFiles(source: BundleSource): AsyncGenerator<BundleFile> {
  const sums: string[] = [];
  for await (const file of contentFiles(source)) {
    sums.push(`${createHash("sha256").update(file.content).digest("hex")}  ${file.name}\n`);
    yield file;
  }
  yield fileOf(bundleNames.sums, sums.join(""));
}

async function* contentFiles(source: BundleSource): AsyncGenerator<BundleFile> {
  const pieces = new Pieces();
  const checkpoint = yield* trailFiles(source, pieces);
  for (const key of await source.keys()) {
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
    if (pieces.unexplained.size === 0) return checkpoint;
    const later = await source.checkpointNow();
    // Nothing more was sealed: then parts are missing, and the bundle shows it.
    if (later.size <= checkpoint.size) return checkpoint;
    checkpoint = later;
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
  #first = 0;
  #leaves: Uint8Array[] = [];
  #parts: Uint8Array[] = [];
  #leafBytes = 0;
  #partBytes = 0;

  get isFull(): boolean {
    return Math.max(this.#leafBytes, this.#partBytes) >= pieceBytes;
  }

  add(entry: BundleEntry): void {
    const { seq, leaf, parts } = entry;
    this.#leaves.push(leaf, newline);
    this.#leafBytes += leaf.length + newline.length;
    for (const part of parts) {
      const line = Buffer.from(partLine(seq, part));
      this.#parts.push(line);
      this.#partBytes += line.length;
    }
    this.head = leafHash(leaf);
    this.size = seq + 1;
    this.#explain(entry);
  }

  /** The files of the piece so far, if there is any; a new one begins. */
  *take(): Generator<BundleFile> {
    if (this.#leaves.length === 0) return;
    yield { name: bundleNames.entries(this.#first), content: Buffer.concat(this.#leaves) };
    yield { name: bundleNames.parts(this.#first), content: Buffer.concat(this.#parts) };
    this.#first = this.size;
    [this.#leaves, this.#parts] = [[], []];
    [this.#leafBytes, this.#partBytes] = [0, 0];
  }

  #explain({ seq, leaf, parts }: BundleEntry): void {
    const sealed = parseLeaf(Buffer.from(leaf));
    // What isn't an entry is found by whoever verifies the bundle.
    if (sealed === null) return;
    for (const name of Object.keys(sealed.parts))
      if (!parts.some((part) => part.name === name)) this.unexplained.add(`${seq}/${name}`);
    const erased = erasedBy(sealed);
    if (erased !== null) this.unexplained.delete(`${erased.seq}/${erased.part}`);
  }
}

/** A part as a line of `parts/`. The body is a JSON string, so that it comes back byte for byte. */
function partLine(seq: number, { name, salt, body }: EntryPart): string {
  return `${JSON.stringify({ seq, name, salt: Buffer.from(salt).toString("hex"), body })}\n`;
}

function fileOf(name: string, text: string): BundleFile {
  return { name, content: Buffer.from(text) };
}

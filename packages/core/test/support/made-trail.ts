import { createHash } from "node:crypto";
import { creationOf, redactionOf, rotationOf } from "../../src/audit/actions.ts";
import { signCheckpoint } from "../../src/audit/checkpoint.ts";
import { prepareEntry, sealEntry } from "../../src/audit/entry.ts";
import { genesisHash, type Leaf } from "../../src/audit/leaf.ts";
import type { EntryContent } from "../../src/audit/leaf-text.ts";
import { CompactRange, type Hash } from "../../src/audit/merkle.ts";
import { projectionOf } from "../../src/audit/projection.ts";
import { formatVerifier, type NoteSigner, noteSigner } from "../../src/audit/signed-note.ts";
import type { TreeTile } from "../../src/audit/tiles.ts";
import type { TrailHead, TrailSource } from "../../src/audit/verify.ts";
import type { StoredCheckpoint } from "../../src/audit/verify-checkpoints.ts";
import type { StoredEntry } from "../../src/audit/verify-entry.ts";
import { sourceOf } from "./trail-source.ts";

type Said = Partial<Omit<EntryContent, "id">>;

/** A whole trail in memory: entries, stored tree, keys, checkpoints. */
export class MadeTrail {
  readonly log: string;
  rows: StoredEntry[] = [];
  checkpoints: StoredCheckpoint[] = [];
  keys: string[] = [];
  /** The root of the first n entries, by n. */
  readonly roots: Hash[] = [];
  #signers: NoteSigner[] = [];
  readonly #range = new CompactRange();
  readonly #tiles: Hash[][][] = [];

  constructor(log = "codespar/log/0123456789abcdef0123456789abcdef") {
    this.log = log;
    this.roots.push(this.#range.root());
  }

  get head(): TrailHead {
    const last = this.rows.at(-1);
    return last === undefined
      ? { size: 0, hash: genesisHash, log: null }
      : { size: this.rows.length, hash: last.hash, log: this.log };
  }

  append(said: Said = {}, parts: Record<string, string> = {}, sealedAt?: number): this {
    const seq = this.rows.length;
    const content = {
      id: `00000000-0000-7000-8000-${String(seq).padStart(12, "0")}`,
      actor: { type: "user", id: "ada" },
      action: "deploy.started",
      outcome: "success",
      ...said,
    } as const;
    const entry = prepareEntry(content, parts);
    const at = new Date(sealedAt ?? Date.UTC(2026, 0, 1) + seq);
    const ts = at.toISOString().replace("Z", "000Z");
    const prev = this.rows.at(-1)?.hash ?? genesisHash;
    const { leaf, hash } = sealEntry(entry, { log: this.log, prev, seq, ts });
    const projection = projectionOf(JSON.parse(leaf) as Leaf);
    this.rows.push({ seq, leaf: Buffer.from(leaf), hash, parts: entry.parts, projection });
    this.#grow(Buffer.from(hash, "hex"));
    return this;
  }

  /** Appends so many entries with details. */
  fill(count: number): this {
    for (let n = 0; n < count; n += 1) this.append({}, { details: JSON.stringify({ n }) });
    return this;
  }

  createKey(name = "first"): this {
    const signer = this.#newSigner(name);
    this.#signers = [signer];
    return this.append(creationOf(formatVerifier(signer)));
  }

  rotateKey(name = "second"): this {
    const [old] = this.#signers;
    const signer = this.#newSigner(name);
    this.#signers.push(signer);
    this.append(rotationOf(old?.keyId ?? "", formatVerifier(signer))).sign();
    this.#signers = [signer];
    return this;
  }

  sign(): this {
    const size = this.rows.length;
    const note = signCheckpoint(
      { origin: this.log, size, root: this.#range.root() },
      this.#signers,
    );
    this.checkpoints.push({ size, note });
    return this;
  }

  /** Erases a part, and says so. */
  redact(seq: number, part = "details"): this {
    return this.erase(seq, part).append(redactionOf(seq, part), { details: '{"reason":"asked"}' });
  }

  /** Takes a part away without a word. */
  erase(seq: number, part: string): this {
    this.rows = this.rows.map((row) =>
      row.seq === seq ? { ...row, parts: row.parts.filter(({ name }) => name !== part) } : row,
    );
    return this;
  }

  source(more: Partial<TrailSource> = {}): TrailSource {
    const { checkpoints } = this;
    return sourceOf(this.head, this.rows, {
      keys: this.keys,
      readTiles: async (tiles) => tiles.map((tile) => this.tile(tile)),
      checkpoints: async function* () {
        yield* checkpoints;
      },
      ...more,
    });
  }

  tile({ level, index, width }: TreeTile): Uint8Array {
    return Buffer.concat(this.#tiles[level]?.[index]?.slice(0, width) ?? []);
  }

  /** Changes a hash of the stored tree. */
  plant(level: number, index: number, hash: Hash): void {
    const tile = this.#tiles[level]?.[Math.floor(index / 256)];
    if (tile !== undefined) tile[index % 256] = hash;
  }

  #newSigner(name: string): NoteSigner {
    const signer = noteSigner(this.log, createHash("sha256").update(name).digest());
    this.keys.push(formatVerifier(signer));
    return signer;
  }

  #grow(leaf: Hash): void {
    this.#put(0, leaf);
    this.#range.add(leaf, (level, _index, node) => {
      if (level % 8 === 0) this.#put(level / 8, node);
    });
    this.roots.push(this.#range.root());
  }

  #put(level: number, hash: Hash): void {
    const tiles = this.#tiles[level] ?? [];
    this.#tiles[level] = tiles;
    if ((tiles.at(-1)?.length ?? 256) === 256) tiles.push([]);
    tiles.at(-1)?.push(hash);
  }
}

import { createHash } from "node:crypto";
import { redacted } from "../../audit/actions.ts";
import {
  type BundleManifest,
  bundleNames,
  manifestSchema,
  numberIn,
} from "../../audit/bundle/layout.ts";
import type { EntryPart } from "../../audit/commitment.ts";
import { genesisHash, type Leaf, leafHash } from "../../audit/leaf.ts";
import type { TrailHead, TrailSource } from "../../audit/verify.ts";
import type { StoredCheckpoint } from "../../audit/verify-checkpoints.ts";
import type { StoredEntry } from "../../audit/verify-entry.ts";
import type { AuditFailure, AuditVerifyInput } from "../../domain/audit-proofs.ts";
import { throwIfAborted } from "../abort.ts";
import type { BundleFolder } from "./folder.ts";

/** Options of `verifyBundle`. */
export interface VerifyBundleOptions extends AuditVerifyInput {
  readonly signal?: AbortSignal;
  /** Called about every thousand entries. */
  readonly onProgress?: (progress: { readonly checked: number; readonly size: number }) => void;
}

/** A piece of the trail: some entries with their parts. */
interface Piece {
  readonly first: number;
  readonly leaves: readonly Buffer[];
  readonly parts: ReadonlyMap<number, readonly EntryPart[]>;
}

/** A piece, and in words why nothing of the trail can be read behind it. */
interface EndingPiece extends Piece {
  readonly ends: string | null;
}

/** Reads a bundle's folder as a trail to verify. What it lacks is among what the source calls missing, never thrown. */
export class BundleReader {
  readonly #folder: BundleFolder;
  readonly #signal: AbortSignal | undefined;
  readonly #withoutParts: boolean;
  readonly #missing = new Set<string>();
  /** What `SHA256SUMS` says, by name. */
  readonly #sums = new Map<string, string>();
  readonly #changed = new Set<string>();
  #head: TrailHead = { size: 0, hash: genesisHash, log: null };
  #keys: readonly string[] = [];
  /** How many entries were read, those behind the head included. */
  #found = 0;

  /** @param options - for the depth `hashes` the entries are read without their parts */
  constructor(folder: BundleFolder, { signal, depth }: VerifyBundleOptions) {
    this.#folder = folder;
    this.#signal = signal;
    this.#withoutParts = depth === "hashes";
  }

  /** The trail. */
  get source(): TrailSource {
    return {
      head: this.#head,
      keys: this.#keys,
      isCopy: true,
      entries: () => this.#entries(),
      redactions: (after) => this.#redactions(after),
      checkpoints: () => this.#checkpoints(),
      readTiles: null,
      missing: () => [...this.#missing],
      stray: async () => this.#stray(),
    };
  }

  /** Files that aren't what `SHA256SUMS` says; what is in them may be right all the same. */
  get changed(): readonly string[] {
    return [...this.#changed];
  }

  /** Reads all but the entries. @param damage - what was wrong with the tar that the folder comes from */
  async open(damage: string | null): Promise<void> {
    if (damage !== null) this.#missing.add(`The tar can't be read to its end: ${damage}`);
    await this.#readSums();
    const manifest = await this.#readManifest();
    this.#keys = await this.#readKeys();
    this.#head =
      manifest === null
        ? await this.#headOfWhatIsThere()
        : { size: manifest.size, hash: manifest.head, log: manifest.log };
  }

  async *#entries(): AsyncGenerator<readonly StoredEntry[]> {
    for await (const { first, leaves, parts } of this.#pieces(!this.#withoutParts)) {
      yield leaves.map((leaf, i) => ({
        seq: first + i,
        leaf,
        hash: leafHash(leaf),
        parts: parts.get(first + i) ?? [],
        projection: null,
      }));
    }
  }

  async *#redactions(after: number): AsyncGenerator<readonly StoredEntry[]> {
    for await (const { first, leaves } of this.#pieces(false)) {
      const found = leaves.flatMap((leaf, i) => {
        const seq = first + i;
        const says = seq > after && leaf.subarray(0, redactedMark.length).equals(redactedMark);
        return says ? [{ seq, leaf, hash: leafHash(leaf), parts: [], projection: null }] : [];
      });
      if (found.length > 0) yield found;
    }
  }

  async *#checkpoints(): AsyncGenerator<StoredCheckpoint> {
    for (const name of this.#named("checkpoints/")) {
      const note = await this.#read(name);
      if (note !== null) yield { size: numberIn(name), note: note.toString("utf8") };
    }
  }

  /** The pieces in order, up to the first that is missing or breaks off: with the parts, or without for a look at the entries only. */
  async *#pieces(withParts: boolean): AsyncGenerator<Piece> {
    let first = 0;
    for (const name of this.#named("entries/")) {
      throwIfAborted(this.#signal);
      const piece = numberIn(name) === first ? await this.#piece(first, withParts) : notNext(first);
      // First: whoever has got the last entry doesn't come back.
      if (piece.ends !== null) this.#missing.add(piece.ends);
      this.#found = Math.max(this.#found, first + piece.leaves.length);
      if (piece.leaves.length > 0) yield piece;
      if (piece.ends !== null) return;
      first += piece.leaves.length;
    }
    if (first < this.#head.size) this.#missing.add(notNext(first).ends);
  }

  /** Entries behind the manifest's last one. A storage goes on growing, a bundle doesn't. */
  #stray(): AuditFailure | null {
    const { size } = this.#head;
    const behind = [...this.#named("entries/"), ...this.#named("parts/")].find(
      (name) => !(numberIn(name) < Math.max(size, 1)),
    );
    if (behind === undefined && this.#found <= size) return null;
    const actual = behind ?? `${this.#found} entries`;
    const message = `the bundle holds more than the ${size} entries of its manifest: ${actual}. What is behind them was never part of it`;
    return { seq: size, check: "link", expected: `${size} entries`, actual, message };
  }

  async #piece(first: number, withParts: boolean): Promise<EndingPiece> {
    const name = bundleNames.entries(first);
    const entries = await (withParts ? this.#read(name) : this.#folder.read(name));
    if (entries === null) return nothingFrom(first, `${name} is larger than it can be`);
    const { lines, rest } = linesOf(entries);
    const cut = rest > 0 || lines.length === 0;
    const ends = cut ? `${name} breaks off in entry ${first + lines.length}.` : null;
    const piece = { first, leaves: lines, parts: noParts, ends };
    return withParts ? this.#withParts(piece) : piece;
  }

  async #withParts(piece: EndingPiece): Promise<EndingPiece> {
    const { first, leaves, ends } = piece;
    const name = bundleNames.parts(first);
    const bytes = await this.#read(name);
    const parts = bytes === null ? "is missing" : partsOf(bytes);
    if (typeof parts === "string") return nothingFrom(first, `${name} ${parts}`);
    const stray = [...parts.keys()].find((seq) => seq < first || seq >= first + leaves.length);
    // A part of none of these entries belongs to nothing that is verified.
    const strayed = stray === undefined ? null : `${name} has a part of entry ${stray}.`;
    return { ...piece, parts, ends: ends ?? strayed };
  }

  #named(start: string): string[] {
    return [...this.#folder.names].filter((name) => name.startsWith(start));
  }

  /** A file's bytes, held against its sum. */
  async #read(name: string): Promise<Buffer | null> {
    const bytes = await this.#folder.read(name);
    const sum = this.#sums.get(name);
    if (bytes !== null && sum !== undefined && sum !== sha256(bytes)) this.#changed.add(name);
    return bytes;
  }

  async #readSums(): Promise<void> {
    const sums = (await this.#folder.read(bundleNames.sums))?.toString("utf8") ?? "";
    if (!sums.endsWith("\n")) {
      this.#missing.add(
        `${bundleNames.sums}, the last file of a bundle, is missing or not whole: the export or a copy of it broke off.`,
      );
      return;
    }
    for (const line of sums.split("\n")) {
      const [, sum, name] = /^([0-9a-f]{64}) {2}(.+)$/.exec(line) ?? [];
      if (sum !== undefined && name !== undefined) this.#sums.set(name, sum);
    }
    for (const name of this.#folder.names)
      if (name !== bundleNames.sums && !this.#sums.has(name)) this.#changed.add(name);
    const gone = [...this.#sums.keys()].filter((name) => !this.#folder.names.has(name));
    // Of the others more is told where they are missed.
    for (const name of gone.filter((each) => !/^(entries\/|parts\/|manifest)/.test(each)))
      this.#missing.add(`${name} is missing.`);
    await this.#read(bundleNames.readme);
  }

  async #readManifest(): Promise<BundleManifest | null> {
    const bytes = await this.#read(bundleNames.manifest);
    const manifest = manifestSchema.safeParse(parseJson(bytes ?? Buffer.from("")));
    if (manifest.success) {
      const { checkpoint } = manifest.data;
      if (!this.#folder.names.has(checkpoint))
        this.#missing.add(`${checkpoint} is missing, the checkpoint that the export is bound to.`);
      return manifest.data;
    }
    this.#missing.add(
      bytes === null
        ? `${bundleNames.manifest} is missing: this is no bundle of an audit trail, or not all of one. What there is of the trail was checked.`
        : `${bundleNames.manifest} is none that this version knows: ${manifest.error.issues[0]?.path.join(".") || "not JSON"}. What there is of the trail was checked.`,
    );
    return null;
  }

  async #readKeys(): Promise<string[]> {
    const vkeys: string[] = [];
    for (const name of this.#named("keys/")) {
      const bytes = await this.#read(name);
      if (bytes !== null && name.endsWith(".vkey")) vkeys.push(bytes.toString("utf8").trim());
    }
    return vkeys;
  }

  /** Without a manifest, the trail is what there is of it. */
  async #headOfWhatIsThere(): Promise<TrailHead> {
    let head = this.#head;
    for await (const { first, leaves } of this.#pieces(false)) {
      const last = leaves.at(-1) ?? Buffer.from("");
      const { log = null } = Object(parseJson(last)) as Partial<Leaf>;
      head = { size: first + leaves.length, hash: leafHash(last), log };
    }
    return head;
  }
}

/** What the canonical bytes of an entry of this action begin with. */
const redactedMark = Buffer.from(`{"action":${JSON.stringify(redacted)}`);

const noParts: Piece["parts"] = new Map();

function notNext(first: number): EndingPiece & { readonly ends: string } {
  const ends = `Entries from ${first} on are missing: there is no ${bundleNames.entries(first)}.`;
  return { first, leaves: [], parts: noParts, ends };
}

function nothingFrom(first: number, why: string): EndingPiece {
  const ends = `${why}: nothing from entry ${first} on was checked.`;
  return { first, leaves: [], parts: noParts, ends };
}

/** Complete lines, and how many bytes follow the last. */
function linesOf(bytes: Buffer): { readonly lines: Buffer[]; readonly rest: number } {
  const lines: Buffer[] = [];
  let start = 0;
  for (let end = bytes.indexOf(newline); end !== -1; end = bytes.indexOf(newline, start)) {
    lines.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return { lines, rest: bytes.length - start };
}

const newline = 0x0a;

/** Parts by entry, or in words what is wrong with the file. */
function partsOf(bytes: Buffer): Map<number, EntryPart[]> | string {
  const { lines, rest } = linesOf(bytes);
  const parts = new Map<number, EntryPart[]>();
  for (const [i, line] of lines.entries()) {
    const { seq, name, salt, body } = Object(parseJson(line)) as Record<string, unknown>;
    const valid =
      Number.isSafeInteger(seq) &&
      typeof name === "string" &&
      typeof salt === "string" &&
      /^(?:[0-9a-f]{2})+$/.test(salt) &&
      typeof body === "string";
    if (!valid) return `has no part in line ${i + 1}`;
    const part = { name, salt: Buffer.from(salt, "hex"), body };
    parts.set(Number(seq), [...(parts.get(Number(seq)) ?? []), part]);
  }
  return rest === 0 ? parts : `breaks off in line ${lines.length + 1}`;
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}

import type { AuditFailure, AuditVerification, AuditVerifyInput } from "../domain/audit-proofs.ts";
import { StorageError } from "../errors/storage-error.ts";
import { keyAnnouncedBy, mayAnnounceKey } from "./actions.ts";
import { type EntryFailure, inEntry, nothingPassed, type Passed } from "./failure.ts";
import { bufferOf, type Leaf } from "./leaf.ts";
import { parseLeaf } from "./leaf-parse.ts";
import type { TileReader } from "./tiles.ts";
import { cutShort, damaged, lastFailure, prevIn } from "./verify-blame.ts";
import { CheckpointCheck, readAnchors, type StoredCheckpoint } from "./verify-checkpoints.ts";
import {
  atBeginning,
  type Before,
  checkEntry,
  checkHashes,
  checkParts,
  locate,
  type StoredEntry,
} from "./verify-entry.ts";
import { type IntentSource, IntentsCheck } from "./verify-intents.ts";
import { type RedactionSource, Redactions } from "./verify-redactions.ts";
import { TreeCheck } from "./verify-tree.ts";
import { verdictOf, warningsOf } from "./verify-verdict.ts";

/** The trail's end when verification began. */
export interface TrailHead {
  readonly size: number;
  readonly hash: string;
  readonly log: string | null;
}

/** A trail to verify: of a backend, a folder opened read-only, or an exported bundle. */
export interface TrailSource {
  /** What is appended behind it isn't looked at. To be read after `keys`, and after it is settled which `checkpoints` there are. */
  readonly head: TrailHead;
  /** The public keys (vkey) that are stored as the trail's. */
  readonly keys: readonly string[];
  /** The same, looked up again: a key may have been made since. */
  keysNow?(): Promise<readonly string[]>;
  /** All entries from 0 on, in order, in batches; those behind the head are passed over. */
  entries(): AsyncIterable<readonly StoredEntry[]>;
  /**
   * The entries that say that a part was erased, those behind the head included. Asked again when a part is missing that none explains: it
   * may have been erased since.
   */
  readonly redactions: RedactionSource;
  /** Whether it is a copy, of some moment: that a kept checkpoint vouches for more is then no sign of tampering. */
  readonly isCopy?: true;
  /** The stored checkpoints by size, ascending: none that was signed after the head was read. */
  checkpoints(): AsyncIterable<StoredCheckpoint>;
  /** The size of the newest checkpoint as the trail keeps it apart from the checkpoints. To be read before it is settled which there are. */
  readonly signedSize?: number;
  /** Reads the stored tree; `null` where none is stored. */
  readonly readTiles: TileReader | null;
  /** The stored list of open intents; `null` where it is found from the entries each time. */
  readonly intents?: IntentSource | null;
  /** What is stored of the trail and is part of no entry and no tile of it: asked at the end. */
  stray?(): Promise<AuditFailure | null>;
  /** What the source lacks, in sentences, asked at the end: entries that it lacks are then no tampering, and the verdict is `incomplete`. */
  missing?(): readonly string[];
}

/** Told about every thousand entries. */
export type OnProgress = (progress: { readonly checked: number; readonly size: number }) => void;

const progressEvery = 1000;

/**
 * Verifies a trail from its first entry to the head, in one pass and in constant memory but for a small record of each erased part. It
 * stops at the first failure, since everything behind a broken link is unproven. Nothing is written.
 *
 * What can't be read because it is damaged is a failure like any other.
 *
 * @throws NoteError when a trusted key or the kept checkpoint isn't one; `VALIDATION` when the latter is damaged; what else reading the source throws
 */
export async function verifyTrail(
  source: TrailSource,
  input: AuditVerifyInput = {},
  onProgress?: OnProgress,
): Promise<AuditVerification> {
  const anchors = readAnchors(input, source.keys);
  const passed = nothingPassed();
  const { head, isCopy = false } = source;
  const stored = { log: head.log, stored: source.checkpoints(), isCopy };
  const checkpoints = new CheckpointCheck(stored, anchors, passed);
  try {
    const run = new Verification(source, checkpoints, passed, input, onProgress);
    return await run.result();
  } finally {
    await checkpoints.close();
  }
}

class Verification {
  readonly #source: TrailSource;
  readonly #checkpoints: CheckpointCheck;
  readonly #passed: Passed;
  readonly #input: AuditVerifyInput;
  readonly #onProgress: OnProgress | undefined;
  readonly #tree: TreeCheck;
  readonly #redactions: Redactions;
  readonly #intents = new IntentsCheck();
  #before: Before = atBeginning;
  #redacted = 0;
  /** The first part that is missing without an entry that says why. Where entries were put in or taken out, that is what is wrong. */
  #unexplained: AuditFailure | null = null;

  constructor(
    source: TrailSource,
    checkpoints: CheckpointCheck,
    passed: Passed,
    input: AuditVerifyInput,
    onProgress: OnProgress | undefined,
  ) {
    this.#source = source;
    this.#checkpoints = checkpoints;
    this.#passed = passed;
    this.#input = input;
    this.#onProgress = onProgress;
    this.#tree = new TreeCheck(source.readTiles);
    this.#redactions = new Redactions(source.redactions, source.head.size, source.head.log);
  }

  async result(): Promise<AuditVerification> {
    const found = await this.#unlessUnreadable(() => this.#firstFailure());
    // The tree tells which entry was changed, where the chain only tells that one of two was.
    const inTree = await this.#unlessUnreadable(() => this.#tree.compareAll());
    const firstFailure =
      found === null || (inTree !== null && inTree.seq < found.seq) ? inTree : found;
    this.#passed.root += this.#tree.passed;
    return this.#verification(firstFailure);
  }

  async #firstFailure(): Promise<AuditFailure | null> {
    // Where something is damaged, the entries are read all the same, up to it.
    const unreadable = this.#hashesOnly
      ? null
      : await this.#unlessUnreadable(() => this.#redactions.load().then(() => null));
    return (
      (await this.#checkpoints.begin()) ??
      (await this.#checkSigned()) ??
      (await this.#checkEntries()) ??
      (await this.#checkEnd()) ??
      this.#unexplained ??
      unreadable
    );
  }

  /** What is damaged so that it can't even be read is a failure where reading has got. */
  async #unlessUnreadable(step: () => Promise<AuditFailure | null>): Promise<AuditFailure | null> {
    try {
      return await step();
    } catch (error) {
      if (!StorageError.is(error, "CORRUPTION")) throw error;
      return inEntry(this.#tree.size, {
        check: "content",
        expected: "what was written",
        actual: error.message,
        words: `it, or what is read with it, is damaged: ${error.message}`,
      });
    }
  }

  async #checkEntries(): Promise<AuditFailure | null> {
    const { size } = this.#source.head;
    if (size === 0) return null;
    for await (const rows of this.#source.entries()) {
      const wrong = await this.#checkBatch(rows);
      if (wrong !== null) return wrong;
      if (this.#tree.size === size) break;
    }
    this.#onProgress?.({ checked: this.#tree.size, size });
    return null;
  }

  async #checkBatch(rows: readonly StoredEntry[]): Promise<AuditFailure | null> {
    for (const [i, row] of rows.entries()) {
      if (row.seq >= this.#source.head.size) break;
      const next = rows[i + 1];
      const result = this.#hashesOnly ? this.#checkHashes(row, next) : this.#checkWhole(row, next);
      // Nearly always there is nothing to wait for, and waiting would cost as much as the check.
      const wrong = result instanceof Promise ? await result : result;
      if (wrong !== null) return wrong;
      if (!this.#tree.due && !this.#checkpoints.isDueAt(this.#tree.size)) continue;
      const unsigned = (await this.#tree.compare()) ?? (await this.#checkSigned());
      if (unsigned !== null) return unsigned;
    }
    return null;
  }

  #checkHashes(row: StoredEntry, next: StoredEntry | undefined): AuditFailure | null {
    const result = checkHashes(row, this.#before);
    if ("check" in result) return this.#locate(row, next, result);
    const wrong = lastFailure(row, result.hash, this.#source.head);
    if (wrong !== null) return wrong;
    const leaf = mayAnnounceKey(row.leaf) ? parseLeaf(bufferOf(row.leaf)) : null;
    if (leaf !== null) this.#announce(leaf);
    this.#add({ seq: row.seq, hash: result.hash, ts: "", leaf: row.leaf });
    return null;
  }

  #checkWhole(
    row: StoredEntry,
    next: StoredEntry | undefined,
  ): AuditFailure | null | Promise<AuditFailure | null> {
    const result = checkEntry(row, this.#before, this.#source.head.log);
    if ("check" in result) return this.#locate(row, next, result);
    const { hash, leaf } = result;
    const missing = checkParts(row, leaf);
    if ("check" in missing) return inEntry(row.seq, missing);
    const wrong =
      lastFailure(row, hash, this.#source.head) ??
      this.#revived(row) ??
      this.#redactions.meet(leaf);
    if (wrong !== null) return wrong;
    const accept = () => {
      this.#announce(leaf);
      this.#intents.meet(leaf);
      this.#add({ seq: row.seq, hash, ts: leaf.ts, leaf: row.leaf });
      this.#passed.time += 1;
      this.#passed.parts += 1;
      if (row.projection !== null) this.#passed.projection += 1;
    };
    // What is erased while it is read may look damaged; what had been erased before must not.
    if (row.damage !== undefined && this.#redactions.known(row.seq, missing))
      return damaged(row.seq, row.damage);
    if (missing.length > 0) return this.#explain(row, missing, accept);
    accept();
    return null;
  }

  #locate(row: StoredEntry, next: StoredEntry | undefined, failure: EntryFailure): AuditFailure {
    const { size, hash } = this.#source.head;
    const isLast = row.seq === size - 1;
    const after = next === undefined || isLast ? null : prevIn(next.leaf);
    return locate(row, this.#before, isLast ? hash : after, failure);
  }

  #revived(row: StoredEntry): AuditFailure | null {
    const wrong = this.#redactions.revived(row);
    // A bundle has what was erased while it was written once more without it: the later file may be what the source lacks.
    return wrong !== null && this.#missing.length > 0 ? null : wrong;
  }

  /** Parts are missing: each needs an entry that says so. */
  async #explain(
    { seq, damage }: StoredEntry,
    missing: readonly string[],
    accept: () => void,
  ): Promise<AuditFailure | null> {
    for (const name of this.#unexplained === null ? missing : []) {
      if (await this.#redactions.explains(seq, name)) {
        this.#redacted += 1;
        continue;
      }
      // The entry that says so may be among those that the source lacks.
      if (this.#missing.length > 0) continue;
      if (damage !== undefined) return damaged(seq, damage);
      this.#unexplained ??= inEntry(seq, {
        check: "parts",
        expected: `${name} there, or an entry that erased it`,
        actual: "neither",
        words: `its part "${name}" is missing, and no entry says that it was erased`,
      });
    }
    accept();
    return null;
  }

  #announce(leaf: Leaf): void {
    const vkey = keyAnnouncedBy(leaf);
    if (vkey !== null) this.#checkpoints.announce(vkey, leaf.seq);
  }

  #add(entry: Before): void {
    this.#before = entry;
    this.#tree.add(entry.hash);
    this.#passed.content += 1;
    this.#passed.link += 1;
    const checked = entry.seq + 1;
    if (checked % progressEvery === 0)
      this.#onProgress?.({ checked, size: this.#source.head.size });
  }

  async #checkSigned(): Promise<AuditFailure | null> {
    const { size } = this.#tree;
    return this.#checkpoints.isDueAt(size) ? this.#checkpoints.at(size, this.#tree.root()) : null;
  }

  async #checkEnd(): Promise<AuditFailure | null> {
    const { head, keys, signedSize = 0 } = this.#source;
    const lacks = this.#missing.length > 0;
    if (this.#tree.size < head.size) return lacks ? null : cutShort(this.#tree.size, head);
    // What is signed of the trail, and the entry that announces a key, may be among what the source lacks.
    const unsigned = lacks ? null : this.#checkpoints.end(head.size, keys, signedSize);
    return (
      unsigned ??
      (await this.#checkKeys()) ??
      this.#redactions.unmet() ??
      (await this.#checkIntents()) ??
      (await this.#checkStray())
    );
  }

  /** What is stored besides. Where a file can't be read as it was written, the part that it therefore lacks tells more. */
  async #checkStray(): Promise<AuditFailure | null> {
    const stray = (await this.#source.stray?.()) ?? null;
    return stray?.check === "content" ? (this.#unexplained ?? stray) : stray;
  }

  async #checkKeys(): Promise<AuditFailure | null> {
    // The key may be among what the source lacks.
    if (this.#missing.length > 0) return null;
    const { keys, keysNow } = this.#source;
    const missing = this.#checkpoints.missingKey(keys);
    return missing && keysNow ? this.#checkpoints.missingKey(await keysNow()) : missing;
  }

  async #checkIntents(): Promise<AuditFailure | null> {
    const { intents, head } = this.#source;
    if (this.#hashesOnly || intents == null) return null;
    return this.#intents.compare(intents, head.size);
  }

  get #hashesOnly(): boolean {
    return this.#input.depth === "hashes";
  }

  get #missing(): readonly string[] {
    return this.#source.missing?.() ?? [];
  }

  #verification(firstFailure: AuditFailure | null): AuditVerification {
    const { size, hash, log } = this.#source.head;
    const { anchoredSize, keptBeyond } = this.#checkpoints;
    const [missing, last] = [this.#missing, this.#before];
    const found = { firstFailure, size, anchoredSize, keptBeyond, missing, last };
    return {
      verdict: verdictOf(found, this.#input),
      size,
      head: hash,
      root: Buffer.from(this.#tree.root()).toString("hex"),
      log,
      anchoredSize,
      checks: { ...this.#passed },
      redacted: this.#redacted,
      firstFailure,
      warnings: warningsOf(found, this.#input),
    };
  }
}

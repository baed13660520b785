import { Buffer } from "node:buffer";
import type { AuditFailure, AuditVerifyInput } from "../domain/audit-proofs.ts";
import { type Checkpoint, parseCheckpoint } from "./checkpoint.ts";
import type { Passed } from "./failure.ts";
import { type KeptCheckpoint, readableKeys, readKept, refuseDamaged } from "./kept-checkpoint.ts";
import type { Hash } from "./merkle.ts";
import { NoteError, type NoteVerifier, openNote, parseNote, parseVerifier } from "./signed-note.ts";

/** A checkpoint as it is stored. */
export interface StoredCheckpoint {
  /** The size it is stored under. */
  readonly size: number;
  readonly note: string;
}

/** What the caller has from elsewhere than the trail. */
export interface Anchors {
  readonly trusted: readonly NoteVerifier[];
  readonly kept: KeptCheckpoint | null;
}

/**
 * Reads what a trail is held against.
 *
 * @param keys - those that are stored as the trail's
 * @throws NoteError when a key or the checkpoint is none; StorageError `VALIDATION` when the checkpoint isn't what one of the keys signed
 */
export function readAnchors(
  { trustedKeys = [], checkpoint: note }: AuditVerifyInput,
  keys: readonly string[],
): Anchors {
  const trusted = trustedKeys.map(parseVerifier);
  const kept = note === undefined ? null : readKept(note);
  if (kept !== null) refuseDamaged(kept, [...trusted, ...readableKeys(keys)]);
  return { trusted, kept };
}

/** Holds the stored checkpoints, and the one that the caller kept, against the tree as it grows. */
export class CheckpointCheck {
  /** Entries from 0 on that an anchor vouches for. */
  anchoredSize = 0;
  /** For how many entries the kept checkpoint vouches, when the trail is a copy that ends before. */
  keptBeyond: number | null = null;
  readonly #isCopy: boolean;
  readonly #log: string | null;
  readonly #stored: AsyncIterator<StoredCheckpoint>;
  readonly #anchors: Anchors;
  readonly #passed: Passed;
  /** The keys that the trail's entries have announced so far, by vkey. */
  readonly #keys = new Map<string, NoteVerifier>();
  readonly #announcedBy = new Map<string, number>();
  #next: StoredCheckpoint | null = null;
  #keptSize: number;
  /** The size of the newest checkpoint that was met. */
  #newest = 0;
  #trustedSigned = false;

  /** @param trail - its name, what is stored, and whether it is a copy: one that may have been made before the kept checkpoint was signed */
  constructor(
    trail: {
      readonly log: string | null;
      readonly stored: AsyncIterable<StoredCheckpoint>;
      readonly isCopy: boolean;
    },
    anchors: Anchors,
    passed: Passed,
  ) {
    this.#log = trail.log;
    this.#stored = trail.stored[Symbol.asyncIterator]();
    this.#isCopy = trail.isCopy;
    this.#anchors = anchors;
    this.#passed = passed;
    this.#keptSize = anchors.kept?.checkpoint.size ?? Number.POSITIVE_INFINITY;
  }

  /** Whether something is signed of a tree of this size. */
  isDueAt(size: number): boolean {
    // What is stored under no number at all is due at once.
    return size === this.#keptSize || (this.#next !== null && !(this.#next.size > size));
  }

  /** Before the first entry. */
  async begin(): Promise<AuditFailure | null> {
    await this.#advance();
    const origin = this.#anchors.kept?.checkpoint.origin ?? this.#log;
    if (this.#log === null || origin === this.#log) return null;
    const message = `the checkpoint that you kept is of the trail ${origin}, this one is ${this.#log}`;
    return failure(0, "consistency", String(origin), this.#log, message);
  }

  /** An entry announced a signing key. */
  announce(vkey: string, seq: number): void {
    const verifier = parseVerifier(vkey);
    if (verifier.name !== this.#log) return;
    this.#keys.set(vkey, verifier);
    this.#announcedBy.set(vkey, seq);
  }

  /** Checks what is signed of the tree, which has this root at this size. */
  async at(size: number, root: Hash): Promise<AuditFailure | null> {
    while (this.#next !== null && !(this.#next.size > size)) {
      const wrong = this.#checkStored(this.#next, size, root);
      if (wrong !== null) return wrong;
      await this.#advance();
    }
    if (this.#keptSize !== size) return null;
    this.#keptSize = Number.POSITIVE_INFINITY;
    return this.#checkKept(size, root);
  }

  /**
   * Behind the last entry.
   *
   * @param keys - the keys that are stored as the trail's
   * @param signed - the size of the newest checkpoint, as it is stored apart from them
   */
  end(size: number, keys: readonly string[], signed: number): AuditFailure | null {
    return (
      this.#cut(size) ??
      this.#removed(signed) ??
      this.#untrusted(size) ??
      this.#unannounced(size, keys)
    );
  }

  /** What is wrong with the stored keys where one is missing that an entry announces. */
  missingKey(keys: readonly string[]): AuditFailure | null {
    const [vkey, seq] = [...this.#announcedBy].find(([key]) => !keys.includes(key)) ?? [];
    if (vkey === undefined || seq === undefined) return null;
    const message = `the signing key ${vkey}, which entry ${seq} announces, is missing among the trail's stored keys`;
    return failure(seq, "signature", vkey, "no such key", message);
  }

  /** Lets go of what the stored checkpoints are read from. */
  async close(): Promise<void> {
    await this.#stored.return?.();
  }

  async #advance(): Promise<void> {
    const { done, value } = await this.#stored.next();
    this.#next = done === true ? null : value;
  }

  #checkStored({ size: under, note }: StoredCheckpoint, size: number, root: Hash) {
    let checkpoint: Checkpoint;
    let signedBy: readonly NoteVerifier[];
    try {
      checkpoint = parseCheckpoint(parseNote(note).text);
      signedBy = openWholly(note, [...this.#keys.values()]);
    } catch (error) {
      if (!(error instanceof NoteError)) throw error;
      const message = `the checkpoint of ${under} entries: ${error.message}`;
      return failure(size, "signature", "signed by the trail's keys", error.message, message);
    }
    if (checkpoint.size !== size || under !== size || checkpoint.origin !== this.#log) {
      const [expected, actual] = [
        `${this.#log} ${size}`,
        `${checkpoint.origin} ${checkpoint.size}`,
      ];
      const message = `a checkpoint of ${actual} is stored where that of ${under} entries should be`;
      return failure(size, "root", expected, actual, message);
    }
    const [expected, actual] = [hex(checkpoint.root), hex(root)];
    if (expected !== actual) {
      const message = `the first ${size} entries have the root ${actual}, their checkpoint says ${expected}`;
      return failure(size, "root", expected, actual, message);
    }
    this.#passed.root += 1;
    this.#passed.signature += 1;
    this.#newest = size;
    if (signedBy.some((key) => this.#anchors.trusted.some((trusted) => sameKey(trusted, key)))) {
      this.#trustedSigned = true;
      this.anchoredSize = size;
    }
    return null;
  }

  #checkKept(size: number, root: Hash): AuditFailure | null {
    const { kept, trusted } = this.#anchors;
    if (kept === null) return null;
    this.#refuseDamaged();
    const [expected, actual] = [hex(kept.checkpoint.root), hex(root)];
    if (expected !== actual) {
      const message = `the first ${size} entries have the root ${actual}, the checkpoint that you kept says ${expected}`;
      return failure(size, "consistency", expected, actual, message);
    }
    try {
      openNote(kept.note, [...this.#keys.values(), ...trusted]);
    } catch (error) {
      if (!(error instanceof NoteError)) throw error;
      const message = `the checkpoint of ${size} entries that you kept: ${error.message}`;
      return failure(size, "signature", "signed by the trail's keys", error.message, message);
    }
    this.#passed.consistency += 1;
    this.anchoredSize = Math.max(this.anchoredSize, size);
    return null;
  }

  /** Before it is held against anything: an entry may announce a key that isn't among the stored ones. */
  #refuseDamaged(): void {
    const { kept, trusted } = this.#anchors;
    if (kept !== null) refuseDamaged(kept, [...trusted, ...this.#keys.values()]);
  }

  #cut(size: number): AuditFailure | null {
    const kept = Number.isFinite(this.#keptSize);
    if (kept) this.#refuseDamaged();
    const signed = this.#next?.size ?? this.#keptSize;
    if (this.#next === null && !kept) return null;
    if (this.#next === null && this.#isCopy) {
      this.keptBeyond = signed;
      return null;
    }
    const whose =
      this.#next === null ? "the checkpoint that you kept vouches" : "a stored checkpoint vouches";
    const message = `entry ${size}: it is missing; ${whose} for ${signed} entries, and the trail has ${size}`;
    const check = this.#next === null ? "consistency" : "root";
    return failure(size, check, `${signed} entries`, `${size} entries`, message);
  }

  #removed(signed: number): AuditFailure | null {
    if (signed <= this.#newest) return null;
    const message = `the checkpoint of ${signed} entries is missing; the newest that is stored is of ${this.#newest}`;
    const [expected, actual] = [`checkpoint ${signed}`, `checkpoint ${this.#newest}`];
    return failure(signed, "signature", expected, actual, message);
  }

  #untrusted(size: number): AuditFailure | null {
    const { trusted } = this.#anchors;
    if (trusted.length === 0 || this.#trustedSigned) return null;
    const ids = trusted.map(({ name, keyId }) => `${name} (${keyId})`).join(", ");
    const message = `no checkpoint of this trail is signed by a key that you trust: ${ids}`;
    return failure(size, "signature", ids, "no such signature", message);
  }

  #unannounced(size: number, keys: readonly string[]): AuditFailure | null {
    const vkey = keys.find((key) => !this.#keys.has(key));
    if (vkey === undefined) return null;
    const message = `the key ${vkey} is stored as one of this trail's, and no entry announces it`;
    return failure(size, "signature", "a key that an entry announces", vkey, message);
  }
}

/** As {@link openNote}, and every line has to be a signature by another one of the keys. */
function openWholly(note: string, keys: readonly NoteVerifier[]): readonly NoteVerifier[] {
  const { signedBy } = openNote(note, keys);
  if (signedBy.length === parseNote(note).signatures.length) return signedBy;
  throw new NoteError("it has a signature line that is none by a key of the trail");
}

function sameKey(a: NoteVerifier, b: NoteVerifier): boolean {
  return a.name === b.name && Buffer.from(a.publicKey).equals(b.publicKey);
}

function hex(hash: Hash): string {
  return Buffer.from(hash).toString("hex");
}

function failure(
  seq: number,
  check: AuditFailure["check"],
  expected: string,
  actual: string,
  message: string,
): AuditFailure {
  return { seq, check, expected, actual, message };
}

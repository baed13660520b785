import type { AuditFailure } from "../domain/audit-proofs.ts";
import { commitment, type EntryPart, saltBytes } from "./commitment.ts";
import { type EntryFailure, inEntry } from "./failure.ts";
import { bufferOf, genesisHash, type Leaf, leafHash } from "./leaf.ts";
import { parseLeaf } from "./leaf-parse.ts";
import { type AuditProjection, projectionOf } from "./projection.ts";
import { exchangedWord, prevIn, saidOtherwise } from "./verify-blame.ts";

/** One entry as it is stored. */
export interface StoredEntry {
  readonly seq: number;
  /** Exactly the bytes that were hashed. */
  readonly leaf: Uint8Array;
  /** The stored hash, lower-case hex; where none is stored, the one of the bytes. */
  readonly hash: string;
  readonly parts: readonly EntryPart[];
  /** The searchable copy; `null` where none is kept. */
  readonly projection: AuditProjection | null;
  /** Why a part of it can't be read, in words, where one can't. */
  readonly damage?: string | undefined;
}

/** What the entry before leaves for the next one to be checked against. */
export interface Before {
  readonly seq: number;
  readonly hash: string;
  /** Its sealing time; the empty string before the first one. */
  readonly ts: string;
  readonly leaf: Uint8Array | null;
}

/** Before the first entry. */
export const atBeginning: Before = { seq: -1, hash: genesisHash, ts: "", leaf: null };

const sealedAt = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

/** Reads an entry's leaf and checks all that can be told from the entry itself and the one before. */
export function checkEntry(
  row: StoredEntry,
  before: Before,
  log: string | null,
): { readonly hash: string; readonly leaf: Leaf } | EntryFailure {
  const bytes = bufferOf(row.leaf);
  const leaf = parseLeaf(bytes);
  if (leaf === null) return notCanonical;
  const hash = leafHash(bytes);
  return (
    hashFailure(row, hash) ??
    logFailure(leaf, log) ??
    seqFailure(row, before) ??
    linkFailure(leaf, before) ??
    timeFailure(leaf, before) ??
    projectionFailure(row, leaf) ?? { hash, leaf }
  );
}

/** Checks only an entry's hash and link, for a fraction of the time. */
export function checkHashes(row: StoredEntry, before: Before): { hash: string } | EntryFailure {
  const bytes = bufferOf(row.leaf);
  const hash = leafHash(bytes);
  const failure = hashFailure(row, hash) ?? seqFailure(row, before);
  if (failure !== null) return failure;
  const prev = prevIn(bytes);
  return prev === before.hash ? { hash } : prevFailure(prev ?? "nothing", before);
}

/**
 * Says what is wrong with an entry. Where a link is broken, one of two entries was changed; the one before it, when the bytes that this link names
 * can be told, or when what follows fits this entry.
 *
 * @param after - the hash that what follows names for this entry, `null` where nothing does
 */
export function locate(
  row: StoredEntry,
  before: Before,
  after: string | null,
  failure: EntryFailure,
): AuditFailure {
  const { prev } = failure;
  if (prev === undefined || before.leaf === null) return inEntry(row.seq, failure);
  const exchanged = exchangedWord(before.leaf, prev);
  if (exchanged !== null) return inEntry(before.seq, exchanged);
  if (after !== leafHash(row.leaf)) return inEntry(row.seq, failure);
  const words = `its bytes have the hash ${before.hash}, entry ${row.seq} names ${prev}`;
  const hashes = { expected: prev, actual: before.hash };
  return inEntry(before.seq, { check: "content", ...hashes, words });
}

const notCanonical: EntryFailure = {
  check: "content",
  expected: "canonical JSON of an entry",
  actual: "other bytes",
  words: "its bytes are not the canonical JSON of an entry",
};

function hashFailure(row: StoredEntry, hash: string): EntryFailure | null {
  if (row.hash === hash) return null;
  const words = `its bytes have the hash ${hash}, stored beside them is ${row.hash}`;
  const hashes = { expected: row.hash, actual: hash };
  return exchangedWord(row.leaf, row.hash) ?? { check: "content", ...hashes, words };
}

function logFailure(leaf: Leaf, log: string | null): EntryFailure | null {
  if (leaf.log === log) return null;
  const stored = log === null ? "the trail's own name is gone" : `this one is ${log}`;
  const words = `it was sealed in log ${leaf.log}, ${stored}`;
  return { check: "content", expected: `log ${log}`, actual: `log ${leaf.log}`, words };
}

function seqFailure(row: StoredEntry, before: Before): EntryFailure | null {
  const seq = before.seq + 1;
  if (row.seq === seq) return null;
  const failure = { check: "link", expected: `seq ${seq}`, actual: `seq ${row.seq}` } as const;
  if (row.seq < seq) return { ...failure, words: `it stands where entry ${seq} should` };
  return { ...failure, at: seq, words: `it is missing; entry ${row.seq} stands in its place` };
}

function linkFailure(leaf: Leaf, before: Before): EntryFailure | null {
  const seq = before.seq + 1;
  if (leaf.seq !== seq) {
    const words = `it was sealed as entry ${leaf.seq}`;
    const [expected, actual] = [`sealed seq ${seq}`, `sealed seq ${leaf.seq}`];
    return { check: "link", expected, actual, words };
  }
  return leaf.prev === before.hash ? null : prevFailure(leaf.prev, before);
}

function prevFailure(prev: string, before: Before): EntryFailure {
  // From the chain alone nobody can tell which of the two it was; the tree can, where it holds the hash.
  const words =
    before.seq === -1
      ? `it names ${prev} as the entry before, and there is none`
      : `it names ${prev} as the hash of entry ${before.seq}, which is ${before.hash}: entry ${before.seq} was changed, or this link`;
  const [expected, actual] = [`prev ${before.hash}`, `prev ${prev}`];
  return { check: "link", expected, actual, words, prev };
}

function timeFailure(leaf: Leaf, before: Before): EntryFailure | null {
  const actual = leaf.ts;
  if (!sealedAt.test(actual)) {
    const expected = "an instant with six decimals";
    const words = `its time of sealing is ${actual}, not ${expected}`;
    return { check: "time", expected, actual, words };
  }
  if (actual >= before.ts) return null;
  const words = `it was sealed at ${actual}, the one before it later, at ${before.ts}`;
  return { check: "time", expected: `${before.ts} or later`, actual, words };
}

function projectionFailure(row: StoredEntry, leaf: Leaf): EntryFailure | null {
  if (row.projection === null) return null;
  const sealed = projectionOf(leaf);
  for (const column in sealed) {
    const name = column as keyof AuditProjection;
    const stored = row.projection[name];
    if (stored !== sealed[name]) return saidOtherwise("projection", name, stored, sealed[name]);
  }
  return null;
}

/** Checks the parts that are there. @returns what is wrong with one, or the names of those that are missing */
export function checkParts(row: StoredEntry, leaf: Leaf): EntryFailure | readonly string[] {
  const missing: string[] = [];
  let found = 0;
  for (const [name, sealed] of Object.entries(leaf.parts)) {
    const part = row.parts.find((candidate) => candidate.name === name);
    if (part === undefined) {
      missing.push(name);
      continue;
    }
    found += 1;
    const actual = isPlain(part) ? commitment(part) : "none";
    if (actual === sealed) continue;
    const words = `its part "${name}" has the commitment ${actual}, sealed was ${sealed}`;
    return { check: "parts", expected: `${name} ${sealed}`, actual: `${name} ${actual}`, words };
  }
  if (found === row.parts.length) return missing;
  const more =
    row.parts.find(({ name }, i) => !Object.hasOwn(leaf.parts, name) || firstOf(row, name) !== i)
      ?.name ?? "";
  const words = `it has a part "${more}" that was not sealed with it`;
  return { check: "parts", expected: `${more} no such part`, actual: `${more} there`, words };
}

/** Other salts and texts than those that are made could have the same commitment: HMAC pads its key, UTF-8 has no lone surrogates. */
function isPlain({ salt, body }: EntryPart): boolean {
  return salt.length === saltBytes && body.isWellFormed();
}

function firstOf(row: StoredEntry, name: string): number {
  return row.parts.findIndex((part) => part.name === name);
}

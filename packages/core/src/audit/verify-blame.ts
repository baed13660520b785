import type { AuditFailure } from "../domain/audit-proofs.ts";
import { type EntryFailure, inEntry } from "./failure.ts";
import { bufferOf } from "./leaf.ts";
import type { AuditProjection } from "./projection.ts";
import { changedWord } from "./sealed-word.ts";

/** What is wrong with an entry whose bytes aren't those that have this hash, where one word of few was put for another. */
export function exchangedWord(leaf: Uint8Array, sealedHash: string): EntryFailure | null {
  const word = changedWord(bufferOf(leaf), sealedHash);
  return word && saidOtherwise("content", word.field, word.stored, word.sealed);
}

/** What is wrong with an entry that says something else than was sealed. */
export function saidOtherwise(
  check: "content" | "projection",
  field: keyof AuditProjection,
  stored: string | null,
  sealed: string | null,
): EntryFailure {
  const expected = `${field} ${JSON.stringify(sealed)}`;
  const actual = `${field} ${JSON.stringify(stored)}`;
  return { check, expected, actual, words: `stored ${actual}, sealed ${expected}` };
}

const linkMark = '},"prev":"';
const hashLength = 64;

/**
 * The hash that an entry names for the one before. It stands where the canonical order puts it: no string can hold its mark, since the quotes
 * in it would be escaped.
 *
 * @returns `null` where none stands
 */
export function prevIn(leaf: Uint8Array): string | null {
  const text = bufferOf(leaf).toString("latin1");
  const start = text.indexOf(linkMark) + linkMark.length;
  const end = start + hashLength;
  return text[end] === '"' ? text.slice(start, end) : null;
}

/** A trail's end. */
interface End {
  readonly size: number;
  readonly hash: string;
}

/** The trail ends before its head. */
export function cutShort(found: number, { size }: End): AuditFailure {
  return inEntry(found, {
    check: "link",
    expected: `${size} entries`,
    actual: `${found} entries`,
    words: `it is missing; the trail has ${size} entries, and only the first ${found} are there`,
  });
}

/** A part of an entry can't be read. */
export function damaged(seq: number, damage: string): AuditFailure {
  const expected = "parts as they were written";
  return inEntry(seq, { check: "parts", expected, actual: damage, words: damage });
}

/** What is wrong with the last entry: nothing that follows vouches for it, but the head does. */
export function lastFailure(
  { seq, leaf }: { readonly seq: number; readonly leaf: Uint8Array },
  actual: string,
  { hash, size }: End,
): AuditFailure | null {
  if (seq !== size - 1 || actual === hash) return null;
  const words = `its hash is ${actual}, but the last entry sealed has ${hash}`;
  const exchanged = exchangedWord(leaf, hash);
  return inEntry(seq, exchanged ?? { check: "link", expected: hash, actual, words });
}

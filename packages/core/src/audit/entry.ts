import { freshBytes } from "../crypto/random.ts";
import { commitment, type EntryPart, saltBytes } from "./commitment.ts";
import { leafHash } from "./leaf.ts";
import {
  type EntryContent,
  joinSegments,
  type LeafSegments,
  leafSegments,
  type Placement,
} from "./leaf-text.ts";

/**
 * An entry ready to be sealed: a backend joins its bytes with their place under its lock, see {@link joinLeaf}.
 */
export interface PreparedEntry {
  readonly content: EntryContent;
  readonly segments: LeafSegments;
  readonly parts: readonly EntryPart[];
}

/** Where an entry came to stand. */
export interface SealedLeaf {
  readonly seq: number;
  /** Exactly the bytes that are hashed. */
  readonly leaf: string;
  readonly hash: string;
  /** Whether the trail had an entry with this id before: this is that one. */
  readonly known?: true | undefined;
}

/** Makes the parts' commitments and the canonical bytes of an entry. */
export function prepareEntry(
  content: EntryContent,
  parts: Readonly<Record<string, string>>,
): PreparedEntry {
  const salted = Object.entries(parts).map(([name, body]) => ({
    name,
    salt: freshBytes(saltBytes),
    body,
  }));
  const commitments = Object.fromEntries(salted.map((part) => [part.name, commitment(part)]));
  return { content, segments: leafSegments(content, commitments), parts: salted };
}

/** Joins an entry with its place in the trail: the bytes to store and hash. */
export function joinLeaf(entry: PreparedEntry, place: Placement): string {
  return joinSegments(entry.segments, place);
}

/** Seals an entry at its place. */
export function sealEntry(entry: PreparedEntry, place: Placement): SealedLeaf {
  const leaf = joinLeaf(entry, place);
  return { seq: place.seq, leaf, hash: leafHash(leaf) };
}

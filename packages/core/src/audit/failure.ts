import type { AuditCheck, AuditFailure } from "../domain/audit-proofs.ts";

/** What is wrong with an entry; `words` go on from "entry 42:". */
export interface EntryFailure extends Omit<AuditFailure, "seq" | "message"> {
  readonly words: string;
  /** Of a broken link: the hash that the entry names for the one before it. */
  readonly prev?: string;
  /** Where it is, when that isn't the entry that was looked at. */
  readonly at?: number;
}

/** Says what is wrong with an entry. */
export function inEntry(
  looked: number,
  { words, prev: _, at: seq = looked, ...failure }: EntryFailure,
): AuditFailure {
  return { seq, ...failure, message: `entry ${seq}: ${words}` };
}

/** How many of everything passed, by check. */
export type Passed = Record<AuditCheck, number>;

/** Nothing has passed yet. */
export function nothingPassed(): Passed {
  return {
    content: 0,
    link: 0,
    time: 0,
    projection: 0,
    parts: 0,
    root: 0,
    signature: 0,
    consistency: 0,
  };
}

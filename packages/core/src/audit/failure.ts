import type { AuditCheck, AuditFailure } from "../domain/audit-proofs.ts";

/** What is wrong with an entry; `words` go on from "entry 42:". */
export interface EntryFailure extends Omit<AuditFailure, "seq" | "message"> {
  readonly words: string;
}

/** Says what is wrong with an entry. */
export function inEntry(seq: number, { words, ...failure }: EntryFailure): AuditFailure {
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

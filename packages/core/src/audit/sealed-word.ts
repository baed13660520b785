import type { Buffer } from "node:buffer";
import { actorTypes } from "../domain/actor.ts";
import { auditOutcomes, auditRisks } from "../domain/audit.ts";
import { leafHash } from "./leaf.ts";

/** A word in an entry's bytes that was another one when the entry was sealed. */
export interface ChangedWord {
  readonly field: "actorType" | "outcome" | "risk";
  readonly stored: string;
  readonly sealed: string;
}

/**
 * The members that hold one of a few words. No string can hold these marks, since the quotes in it would be escaped; of the two types, canonical
 * order puts the actor's first.
 */
const members = [
  { field: "actorType", at: /(?<="type":")\w+(?=")/, words: actorTypes },
  { field: "outcome", at: /(?<="outcome":")\w+(?=")/, words: auditOutcomes },
  { field: "risk", at: /(?<="risk":")\w+(?=")/, words: auditRisks },
] as const;

/**
 * Finds out what an entry said, where one word of few was put for another: of those that could have stood there, only the sealed one gives the
 * sealed hash. The hash alone tells that something was changed, not what.
 *
 * @param leaf - the bytes as they are stored
 * @param sealedHash - lower-case hex
 * @returns `null` when something else was changed, or more
 */
export function changedWord(leaf: Buffer, sealedHash: string): ChangedWord | null {
  const text = leaf.toString("utf8");
  for (const { field, at, words } of members) {
    const stored = at.exec(text)?.[0];
    if (stored === undefined) continue;
    const sealed = words.find((word) => leafHash(text.replace(at, word)) === sealedHash);
    if (sealed !== undefined) return { field, stored, sealed };
  }
  return null;
}

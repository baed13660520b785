import { invalid } from "../errors/storage-error.ts";
import { type Checkpoint, parseCheckpoint } from "./checkpoint.ts";
import {
  failingSignature,
  isVerifier,
  type NoteVerifier,
  parseNote,
  parseVerifier,
} from "./signed-note.ts";

/** A checkpoint that the caller kept. */
export interface KeptCheckpoint {
  readonly note: string;
  readonly checkpoint: Checkpoint;
}

/** Reads a checkpoint that the caller kept. @throws NoteError when it isn't one */
export function readKept(note: string): KeptCheckpoint {
  return { note, checkpoint: parseCheckpoint(parseNote(note).text) };
}

/**
 * Refuses a kept checkpoint which isn't what was signed: what differs from it then says nothing about the trail.
 *
 * @throws StorageError `VALIDATION` when it names one of the keys, and that key didn't sign this text
 */
export function refuseDamaged({ note }: KeptCheckpoint, keys: readonly NoteVerifier[]): void {
  const failing = failingSignature(note, keys);
  if (failing === null) return;
  throw invalid(
    `The checkpoint that you kept is damaged: the signature of ${failing.name} (${failing.keyId}) doesn't hold, so its text or signature isn't what that key signed. Nothing was found out about the trail. Give another copy of it, or an earlier one.`,
  );
}

/** Those of the stored keys that can be read. What is wrong with the others, verification finds. */
export function readableKeys(vkeys: readonly string[]): NoteVerifier[] {
  return vkeys.filter(isVerifier).map(parseVerifier);
}

import type { Hash } from "./merkle.ts";
import {
  NoteError,
  type NoteSigner,
  type NoteVerifier,
  openNote,
  signNote,
} from "./signed-note.ts";

/** What a log had at some moment: C2SP tlog-checkpoint. */
export interface Checkpoint {
  /** The log's identity. */
  readonly origin: string;
  /** How many entries it had. */
  readonly size: number;
  /** The root of their Merkle tree. */
  readonly root: Hash;
}

const hashBytes = 32;

/** A checkpoint's text: origin, size and root in base64, a line each. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${Buffer.from(root).toString("base64")}\n`;
}

/**
 * Reads a checkpoint's text. Lines after the third are passed over, as the format asks.
 *
 * @throws NoteError when it isn't one
 */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin = "", size = "", encoded = "", ...rest] = text.split("\n");
  const root = Buffer.from(encoded, "base64");
  const valid =
    origin !== "" &&
    rest.length > 0 &&
    /^(0|[1-9]\d*)$/.test(size) &&
    Number.isSafeInteger(Number(size)) &&
    root.length === hashBytes &&
    root.toString("base64") === encoded;
  if (!valid) throw new NoteError("not a checkpoint: origin, size and root, a line each");
  return { origin, size: Number(size), root };
}

/** Signs a checkpoint as a note. @throws NoteError when it can't be signed */
export function signCheckpoint(checkpoint: Checkpoint, signers: readonly NoteSigner[]): string {
  return signNote(formatCheckpoint(checkpoint), signers);
}

/**
 * Reads a signed checkpoint.
 *
 * @throws NoteError when it isn't one, isn't of that origin, or wasn't signed by a trusted key
 */
export function openCheckpoint(
  note: string,
  origin: string,
  verifiers: readonly NoteVerifier[],
): Checkpoint {
  const checkpoint = parseCheckpoint(openNote(note, verifiers).text);
  if (checkpoint.origin !== origin)
    throw new NoteError(`the checkpoint is of ${checkpoint.origin}, not of ${origin}`);
  return checkpoint;
}

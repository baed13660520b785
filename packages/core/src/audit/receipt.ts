import { type Checkpoint, openCheckpoint } from "./checkpoint.ts";
import { type Hash, verifyInclusion } from "./merkle.ts";
import { NoteError, type NoteVerifier } from "./signed-note.ts";

const firstLine = "c2sp.org/tlog-proof@v1";
const hashBytes = 32;
/** A tree of 2 ** 64 leaves has no longer path. */
const maxHashes = 64;

/** A proof that an entry is in a log, to be checked offline: C2SP tlog-proof. */
export interface Receipt {
  /** The entry's sequence number. */
  readonly seq: number;
  /** From the leaf up. */
  readonly proof: readonly Hash[];
  /** The signed checkpoint that the proof leads to. */
  readonly checkpoint: string;
  /** Extra data, which nothing vouches for: the entry's bytes, so that whoever has the receipt can compute the leaf hash. */
  readonly extra?: Uint8Array | undefined;
}

/** A receipt as text. */
export function formatReceipt({ seq, proof, checkpoint, extra }: Receipt): string {
  const more = extra === undefined ? "" : `extra ${Buffer.from(extra).toString("base64")}\n`;
  const hashes = proof.map((hash) => `${Buffer.from(hash).toString("base64")}\n`);
  return `${firstLine}\n${more}index ${seq}\n${hashes.join("")}\n${checkpoint}`;
}

/** Reads a receipt, with or without extra data. @throws NoteError when it isn't one */
export function parseReceipt(text: string): Receipt {
  const end = text.indexOf("\n\n");
  if (end === -1) throw new NoteError("not a receipt: it has no checkpoint");
  const [first, ...lines] = text.slice(0, end).split("\n");
  const extra = lines[0]?.startsWith("extra ")
    ? parseBase64(lines.shift()?.slice(6) ?? "")
    : undefined;
  const [, index] = /^index (0|[1-9]\d*)$/.exec(lines.shift() ?? "") ?? [];
  const seq = Number(index);
  if (first !== firstLine || index === undefined || !Number.isSafeInteger(seq))
    throw new NoteError(`not a receipt: it begins with ${firstLine} and the index`);
  if (lines.length > maxHashes) throw new NoteError("the receipt's path is too long for any log");
  return { seq, proof: lines.map(parseHash), checkpoint: text.slice(end + 2), extra };
}

/**
 * Checks that a receipt proves the entry: that its leaf hash stands at the receipt's index in a tree whose root a trusted key
 * signed.
 *
 * @param leaf - the entry's leaf hash
 * @returns the checkpoint that it was proven against
 * @throws NoteError saying what doesn't hold
 */
export function verifyReceipt(
  text: string,
  leaf: Hash,
  origin: string,
  verifiers: readonly NoteVerifier[],
): Checkpoint {
  const { seq, proof, checkpoint } = parseReceipt(text);
  const tree = openCheckpoint(checkpoint, origin, verifiers);
  if (!verifyInclusion(proof, { seq, hash: leaf }, tree))
    throw new NoteError(`the entry isn't number ${seq} of the ${tree.size} in the checkpoint`);
  return tree;
}

function parseHash(line: string): Hash {
  const hash = parseBase64(line);
  if (hash.length !== hashBytes)
    throw new NoteError(`not a hash: ${JSON.stringify(line.slice(0, 100))}`);
  return hash;
}

function parseBase64(text: string): Uint8Array {
  const bytes = Buffer.from(text, "base64");
  if (bytes.toString("base64") === text) return bytes;
  throw new NoteError(`not base64: ${JSON.stringify(text.slice(0, 100))}`);
}

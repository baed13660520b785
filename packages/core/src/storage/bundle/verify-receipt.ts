import { parseCheckpoint } from "../../audit/checkpoint.ts";
import { leafHash } from "../../audit/leaf.ts";
import { parseLeaf } from "../../audit/leaf-parse.ts";
import { verifyReceipt as checkReceipt, parseReceipt } from "../../audit/receipt.ts";
import { NoteError, openNote, parseNote, parseVerifier } from "../../audit/signed-note.ts";
import type { SealedAuditEntry } from "../../domain/audit.ts";
import { invalid, StorageError } from "../../errors/storage-error.ts";
import { showSealed } from "../domains/audit-entries.ts";
import { checkVerifyInput } from "../domains/audit-verification.ts";

/** What a receipt proves. */
export interface VerifiedReceipt {
  /** The entry's number. */
  readonly seq: number;
  /** Its leaf hash, lower-case hex. */
  readonly hash: string;
  /** The trail that it is in. */
  readonly log: string;
  /** How many entries the checkpoint vouches for. */
  readonly size: number;
  /** Those of the trusted keys that signed it. */
  readonly signedBy: readonly string[];
  /** What was hashed of the entry: nothing else is proven, nor whether its details are still there. `null` when the receipt doesn't carry it. */
  readonly entry: SealedAuditEntry | null;
}

/**
 * Checks a receipt of {@link Audit.prove} offline: that the entry stands in the trail whose checkpoint a trusted key signed.
 *
 * @param receipt - C2SP tlog-proof text
 * @param options - `trustedKeys`: public keys (`vkey`) got from somewhere else than the receipt; `hash`: the entry's leaf hash, needed only for a
 * receipt that doesn't carry the entry
 * @throws StorageError `CORRUPTION` when it doesn't hold; `VALIDATION` for what is no receipt, key or hash
 */
export function verifyReceipt(
  receipt: string,
  options: { readonly trustedKeys: readonly string[]; readonly hash?: string },
): VerifiedReceipt {
  checkInput(receipt, options);
  checkVerifyInput({ trustedKeys: options.trustedKeys });
  const trusted = reading("trustedKeys", () => options.trustedKeys.map(parseVerifier));
  const { seq, checkpoint, extra } = reading("the receipt", () => parseReceipt(receipt));
  const { origin } = reading("the receipt", () => parseCheckpoint(parseNote(checkpoint).text));
  const hash = extra === undefined ? options.hash : leafHash(extra);
  if (hash === undefined || !/^[0-9a-f]{64}$/.test(hash))
    throw invalid("The receipt doesn't carry the entry: give its hash, 64 hexadecimal digits.");
  try {
    if (options.hash !== undefined && options.hash !== hash)
      throw new NoteError(`the receipt is of an entry with the hash ${hash}`);
    const { size } = checkReceipt(receipt, Buffer.from(hash, "hex"), origin, trusted);
    const signers = openNote(checkpoint, trusted).signedBy;
    const signedBy = options.trustedKeys.filter((_key, i) =>
      signers.some((signer) => signer === trusted[i]),
    );
    const entry = extra === undefined ? null : entryOf(Buffer.from(extra), hash);
    return { seq, hash, log: origin, size, signedBy, entry };
  } catch (cause) {
    if (!(cause instanceof NoteError)) throw cause;
    throw new StorageError(
      "CORRUPTION",
      `The receipt proves nothing: ${cause.message}. Get another one, and check the trusted keys.`,
      { cause },
    );
  }
}

function entryOf(bytes: Buffer, hash: string): SealedAuditEntry {
  if (parseLeaf(bytes) === null) throw new NoteError("what it carries is no entry");
  return showSealed({ leaf: bytes.toString("utf8"), hash });
}

function checkInput(receipt: unknown, options: unknown): void {
  if (typeof receipt !== "string") throw invalid("The receipt must be a text.");
  const { trustedKeys, hash } = Object(options) as { trustedKeys?: unknown; hash?: unknown };
  if (!Array.isArray(trustedKeys) || trustedKeys.some((key) => typeof key !== "string"))
    throw invalid("trustedKeys must be an array of public keys as text.");
  if (hash !== undefined && typeof hash !== "string") throw invalid("hash must be a text.");
}

function reading<Result>(what: string, read: () => Result): Result {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof NoteError)) throw cause;
    throw invalid(`${what} can't be read: ${cause.message}.`, cause);
  }
}

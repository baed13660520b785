import type { AuditEntry } from "./audit.ts";

/** A signed statement of what a trail held: C2SP tlog-checkpoint. */
export interface AuditCheckpoint {
  /** The trail's identity. */
  readonly origin: string;
  /** How many entries it vouches for. */
  readonly size: number;
  /** The root of their RFC 6962 Merkle tree, lower-case hex. */
  readonly root: string;
  /** The signed note, to be kept somewhere else. */
  readonly note: string;
  readonly signedAt: string;
}

/** A key that signs a trail's checkpoints. */
export interface AuditKey {
  /** Eight hexadecimal digits, as in signed notes. */
  readonly keyId: string;
  /** The public key as C2SP signed-note writes it: `name+keyId+base64`. */
  readonly vkey: string;
  readonly createdAt: string;
  /** `null` for the one that signs now. */
  readonly retiredAt: string | null;
}

/** A proof that an entry is in the trail that a checkpoint vouches for. */
export interface AuditProof {
  readonly seq: number;
  /** The entry's leaf hash, lower-case hex. */
  readonly hash: string;
  readonly checkpoint: AuditCheckpoint;
  /** The audit path of RFC 6962 §2.1.1, from the leaf up, lower-case hex. */
  readonly path: readonly string[];
  /** All of it as C2SP tlog-proof text, for anybody to check offline. */
  readonly receipt: string;
}

/** A proof that a trail still begins with what it held earlier: RFC 6962 §2.1.2. */
export interface AuditConsistency {
  readonly from: { readonly size: number; readonly root: string };
  readonly to: { readonly size: number; readonly root: string };
  /** Lower-case hex. */
  readonly proof: readonly string[];
}

/** The kinds of check that verification makes. */
export const auditChecks = [
  "content",
  "link",
  "time",
  "projection",
  "parts",
  "root",
  "signature",
  "consistency",
] as const;

/** A kind of check that verification makes. */
export type AuditCheck = (typeof auditChecks)[number];

/** The first place where the trail isn't what it was. */
export interface AuditFailure {
  /** The entry, or the size of the tree or checkpoint that doesn't hold. */
  readonly seq: number;
  readonly check: AuditCheck;
  readonly expected: string;
  readonly actual: string;
  /** In words: `entry 42: stored outcome "success", sealed "denied"`. */
  readonly message: string;
}

/** What verification found. */
export interface AuditVerification {
  /**
   * - `ok`: intact, and vouched for by a checkpoint that the caller kept, or that a key which the caller trusts has signed, as far as the caller asked.
   * - `unanchored`: intact in itself, and nothing vouches for it, or not for enough of it; a cut tail or a trail replaced as a whole would look the same.
   * - `incomplete`: nothing is wrong with what is there, and not all that was to be checked is.
   * - `outdated`: nothing is wrong with a bundle, and the kept checkpoint is newer: the bundle ends before it, so the two can't be compared.
   * - `tampered`: something is not what was sealed.
   */
  readonly verdict: "ok" | "unanchored" | "incomplete" | "outdated" | "tampered";
  /** How many entries there were when verification began; later appends aren't looked at. */
  readonly size: number;
  /** Hash of the last entry; 64 zeros for an empty trail. */
  readonly head: string;
  /** Root of the Merkle tree over all of them, lower-case hex. */
  readonly root: string;
  readonly log: string | null;
  /** Entries from 0 on that an anchor vouches for; 0 without one. What follows them is chained, and unanchored. */
  readonly anchoredSize: number;
  /** How many entries, tiles, checkpoints or proofs each check passed. */
  readonly checks: Readonly<Record<AuditCheck, number>>;
  /** Parts that were erased, each with an entry that says so. */
  readonly redacted: number;
  readonly firstFailure: AuditFailure | null;
  /** What limits what this verification can say, in sentences. */
  readonly warnings: readonly string[];
}

/** What verification is held against. */
export interface AuditVerifyInput {
  /** Public keys (`vkey`) that the caller trusts, got from somewhere else than this trail. */
  readonly trustedKeys?: readonly string[];
  /** A signed checkpoint that the caller kept. `VALIDATION` when it isn't what a key of the trail or a trusted one signed: it was damaged. */
  readonly checkpoint?: string;
  /**
   * For how many entries at the trail's end nothing needs to vouch yet: with more of them the verdict is `unanchored`. 0 asks for an anchor over
   * all. By default any number, as long as something vouches for the first.
   */
  readonly maxUnanchored?: number;
  /** `hashes`: only bytes, links and tree, several times as fast. Default `full`. */
  readonly depth?: "full" | "hashes";
}

/** What `audit.watch` gives: entries as they are sealed. */
export type AuditStream = AsyncIterable<AuditEntry>;

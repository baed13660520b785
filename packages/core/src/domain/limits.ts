/**
 * Every limit of the contract, in one place. Bytes are UTF-8 bytes, before any encryption; all are checked before any I/O
 * and are the same on every backend.
 */
export const limits = {
  /** An organisation id. */
  orgIdBytes: 128,
  /** An agent id, and every other record id. */
  idBytes: 128,
  /** A memory key. */
  keyBytes: 512,
  /** A name, a URL, an e-mail address: short text a person typed. */
  textBytes: 1024,
  /** A memory value as JSON text, unless `StorageOptions.maxValueBytes` says otherwise. */
  valueBytesDefault: 256 * 1024,
  /** The most that `StorageOptions.maxValueBytes` may allow. */
  valueBytesMax: 1024 * 1024,
  /** Nesting of arrays and objects in a JSON value. */
  jsonDepth: 64,
  /** Operations (checks, writes and audit entries) in one transaction. */
  transactionOperations: 128,
  /** All values written by one transaction. */
  transactionBytes: 4 * 1024 * 1024,
  /** Times a transaction's function runs before it gives up with `CONFLICT`. */
  transactionAttempts: 5,
  /** Records on a page when the caller names no limit. */
  pageDefault: 100,
  /** Records on a page at most. */
  pageMax: 1000,
  /** One audit entry: its canonical bytes and its parts together. */
  auditEntryBytes: 64 * 1024,
  /** The secrets of one record in clear, as one JSON object. */
  secretBytes: 64 * 1024,
  /** Shortest time to live. */
  ttlMinMs: 1000,
  /** Longest time to live: ten years of 365.25 days. */
  ttlMaxMs: 10 * 365.25 * 24 * 60 * 60 * 1000,
  /** Longest time for which a rotated API key may go on working. */
  keyOverlapMaxMs: 30 * 24 * 60 * 60 * 1000,
} as const;

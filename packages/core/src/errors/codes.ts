/** What is fixed about an error code: whether trying again can help, and the HTTP status it maps to. */
export interface ErrorCodeInfo {
  readonly retryable: boolean;
  readonly httpStatus: number;
  /** One line for the reference: when it happens and what to do. */
  readonly summary: string;
}

const info = (httpStatus: number, retryable: boolean, summary: string): ErrorCodeInfo => ({
  retryable,
  httpStatus,
  summary,
});

/** The registry of every stable error code. A retired code is never given a new meaning. */
export const errorCodes = {
  VALIDATION: info(
    400,
    false,
    "An argument is not acceptable; the message names it. Correct the call.",
  ),
  LIMIT_EXCEEDED: info(
    422,
    false,
    "A size or count is over its limit; the message names both. Send less, or split it.",
  ),
  NOT_FOUND: info(404, false, "The record to change does not exist. Create it first."),
  ALREADY_EXISTS: info(
    409,
    false,
    "A record with this id, slug or link exists. Change that one, or remove it first.",
  ),
  PRECONDITION_FAILED: info(
    412,
    false,
    "`ifVersion` or `ifAbsent` does not hold; `currentVersion` says what is stored. Read again, then decide.",
  ),
  CONFLICT: info(
    409,
    true,
    "A transaction met newer versions on every attempt. Run it again, with less contention.",
  ),
  UNAVAILABLE: info(
    503,
    true,
    "The backend can't be reached or lost the connection. Check it; where the message says so, the outcome is unknown.",
  ),
  ABORTED: info(
    499,
    false,
    "The caller's AbortSignal fired. Where the message says so, the outcome is unknown.",
  ),
  CORRUPTION: info(
    500,
    false,
    "Stored data is not what was written. Restore a backup, or run `codespar salvage`.",
  ),
  SCHEMA_PENDING: info(503, true, "The database lacks migrations. Run `codespar migrate`."),
  SCHEMA_DRIFT: info(
    500,
    false,
    "The database is not what the migrations make: edited, newer or foreign, or something that they made is gone. The message says which, and what to do.",
  ),
  STORAGE_LOCKED: info(
    503,
    true,
    "Another process holds the files. Use its HTTP API, stop it, or set DATABASE_URL for several processes.",
  ),
  MOVE_UNFINISHED: info(
    503,
    false,
    "The storage is the target of a move that isn't finished. Run the same `codespar move` again, or go on with the source.",
  ),
  DECRYPTION_FAILED: info(
    500,
    false,
    "A stored secret doesn't open: it was changed, moved, or its key is missing. Store it again.",
  ),
  ENCRYPTION_KEY_MISSING: info(
    503,
    false,
    "Secrets can't be stored without CODESPAR_ENCRYPTION_KEY. Set it and restart.",
  ),
  KEY_MISMATCH: info(
    503,
    false,
    "CODESPAR_ENCRYPTION_KEY lacks the key that seals what is stored. Set that key, which `codespar secrets status` names by its id: after a rotation the new one, otherwise the one that was set before.",
  ),
  UNSUPPORTED: info(501, false, "This backend or server can't do that; the message says what can."),
} as const satisfies Record<string, ErrorCodeInfo>;

/** A stable error code. */
export type ErrorCode = keyof typeof errorCodes;

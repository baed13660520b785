import type { ErrorCode } from "@codespar/core";

/** What the process's exit status says. Documented in docs/reference/cli.md; a status is never given a new meaning. */
export const exitCodes = {
  /** Done. */
  ok: 0,
  /** Failed for a reason that has no status of its own. */
  failure: 1,
  /** The command line, an argument, VALUE or the configuration isn't acceptable; nothing was done. */
  usage: 2,
  /** Nothing outside of a trail vouches for it, or not for as much of it as `audit verify --require-anchor` or `--max-unanchored` asked. */
  unanchored: 3,
  /** What was asked for does not exist. */
  notFound: 4,
  /** What is stored forbids it: a precondition doesn't hold, a record exists already, a move's target isn't empty. */
  refused: 5,
  /** The storage can't be used now: unreachable, locked, not migrated, or not healthy. */
  unavailable: 6,
  /** Stored data or the audit trail is not what was written. */
  integrity: 7,
  /** Not all of a trail could be verified, and what could is intact. */
  incomplete: 8,
  /** A copy of a trail ends before the checkpoint that it was to be held against. */
  outdated: 9,
  /** Ended by Ctrl-C. */
  interrupted: 130,
  /** Whoever read standard output went away. */
  brokenPipe: 141,
  /** Ended by SIGTERM. */
  terminated: 143,
} as const;

/** An exit status. */
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** The exit status for each of the library's error codes. */
export const exitCodeOf = {
  VALIDATION: exitCodes.usage,
  LIMIT_EXCEEDED: exitCodes.usage,
  ENCRYPTION_KEY_MISSING: exitCodes.usage,
  KEY_MISMATCH: exitCodes.usage,
  MOVE_UNFINISHED: exitCodes.usage,
  NOT_FOUND: exitCodes.notFound,
  ALREADY_EXISTS: exitCodes.refused,
  PRECONDITION_FAILED: exitCodes.refused,
  CONFLICT: exitCodes.refused,
  UNAVAILABLE: exitCodes.unavailable,
  STORAGE_LOCKED: exitCodes.unavailable,
  SCHEMA_PENDING: exitCodes.unavailable,
  ABORTED: exitCodes.interrupted,
  CORRUPTION: exitCodes.integrity,
  DECRYPTION_FAILED: exitCodes.integrity,
  SCHEMA_DRIFT: exitCodes.failure,
  UNSUPPORTED: exitCodes.failure,
} as const satisfies Record<ErrorCode, ExitCode>;

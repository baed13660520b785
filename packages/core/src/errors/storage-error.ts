import { withoutApiKeys } from "../domain/api-key.ts";
import { type ErrorCode, errorCodes } from "./codes.ts";

const brand = Symbol.for("codespar.StorageError");

/** The one class of error that this library throws on purpose. Every message says what to do. */
export class StorageError extends Error {
  override readonly name: string = "StorageError";
  readonly code: ErrorCode;
  /** Whether the same call can succeed later without changing anything. */
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    // A message may quote what was given, and keys are taken for their ids.
    super(withoutApiKeys(message), options);
    this.code = code;
    this.retryable = errorCodes[code].retryable;
    Object.defineProperty(this, brand, { value: true });
  }

  /**
   * Whether `error` is a `StorageError`, of this or of another copy of the package in the same process.
   *
   * @param code - also asks for this code.
   */
  static is(error: unknown, code?: ErrorCode): error is StorageError {
    if (typeof error !== "object" || error === null || !(brand in error)) return false;
    return code === undefined || (error as Partial<StorageError>).code === code;
  }
}

/** `ifVersion` or `ifAbsent` didn't hold. Nothing of the call was written. */
export class PreconditionFailedError extends StorageError {
  override readonly name = "PreconditionFailedError";
  /** The version stored now, or `null` when there is no such record. */
  readonly currentVersion: string | null;

  constructor(what: string, currentVersion: string | null) {
    const now =
      currentVersion === null ? "it does not exist" : `its version is "${currentVersion}"`;
    super(
      "PRECONDITION_FAILED",
      `${what}: the precondition does not hold, ${now}. Read it again, then decide.`,
    );
    this.currentVersion = currentVersion;
  }
}

/** Shorthand for the error that bad input gets. */
export function invalid(message: string, cause?: unknown): StorageError {
  return new StorageError("VALIDATION", message, cause === undefined ? undefined : { cause });
}

/** The trail isn't what was sealed; `how` goes on from "The trail is damaged:". */
export function damagedTrail(how: string, cause?: unknown): StorageError {
  return new StorageError(
    "CORRUPTION",
    `The trail is damaged: ${how}. To see what was changed, run: codespar audit verify`,
    { cause },
  );
}

import { damagedTrail, StorageError } from "../../errors/storage-error.ts";

/** What node-postgres tells of an error: SQLSTATE, or the operating system's code, and the server's details. */
export interface DatabaseError {
  readonly message: string;
  readonly code?: string | undefined;
  readonly detail?: string | undefined;
  readonly constraint?: string | undefined;
  readonly severity?: string | undefined;
  readonly syscall?: string | undefined;
  readonly path?: string | undefined;
}

/** SQLSTATEs of our own, raised by the functions in the schema `codespar`. */
export const ownStates = {
  expectationFailed: "CS001",
  routeTaken: "CS002",
  importRefused: "CS003",
  appendOnly: "CS004",
  signingRefused: "CS005",
} as const;

/** Reads an unknown error as node-postgres'. */
export function databaseError(error: unknown): DatabaseError {
  return error instanceof Error ? (error as Error & DatabaseError) : { message: String(error) };
}

/** Nobody answered for as long as a statement may take. */
export class StatementTimeout extends Error {
  override readonly name = "StatementTimeout";

  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms (statementTimeoutMs)`);
  }
}

/** Whether the server itself answered with this error, so that the transaction is known not to have happened. */
export function isServerError(error: unknown): boolean {
  const { code, severity } = databaseError(error);
  // Errors of the operating system have codes that look alike (EPIPE) and no severity, whose words depend on the server's language.
  if (typeof code !== "string" || severity === undefined) return false;
  return !/^(?:57P|08)/.test(code) && severity !== "FATAL" && severity !== "PANIC";
}

/** Errors after which the same statement can simply be sent again: it met another one in its way. */
export function isTransient(error: unknown): boolean {
  const { code } = databaseError(error);
  return code === "40001" || code === "40P01";
}

/** Errors that say the connection's prepared statements aren't what we think: DDL since, or a pooler in between. */
export function isStaleStatement(error: unknown): boolean {
  const { code, message } = databaseError(error);
  return (
    code === "26000" || code === "42P05" || (code === "0A000" && message.includes("cached plan"))
  );
}

const pendingStates = new Set(["42P01", "3F000", "42883", "42703"]);

/** Whether the error says that a table or function isn't there (yet). */
export function isMissingSchema(error: unknown): boolean {
  return pendingStates.has(databaseError(error).code ?? "");
}

const byState: Readonly<Record<string, string>> = {
  "3D000": "the database doesn't exist. Create it: codespar migrate --create",
  "28P01": "the password was refused. Correct DATABASE_URL.",
  "28000":
    "the login was refused. Correct DATABASE_URL, or add ?sslmode=require if the server insists on TLS.",
  "42501":
    "permission denied. Let the user of DATABASE_URL use CodeSpar's tables: GRANT codespar_app TO that user.",
  "53300": "the server has no connection left. Lower maxConnections, or raise its max_connections.",
  "25006": "the server is read-only (a standby?). Point DATABASE_URL at the primary.",
  "57014": "the statement took longer than statementTimeoutMs. Nothing was written.",
  "55P03": "a lock wasn't granted in time. Try again.",
  "57P03": "the server is starting or stopping. Try again.",
  "53100": "the server's disk is full. Make room.",
  ENOTFOUND: "its host name can't be resolved. Correct DATABASE_URL.",
  ECONNREFUSED: "nothing listens there. Start the server, or correct DATABASE_URL.",
};

/**
 * Turns an error of node-postgres into ours.
 *
 * @param label - `host/database`
 */
export function toStorageError(error: unknown, label: string): StorageError {
  if (StorageError.is(error)) return error;
  const { code, message } = databaseError(error);
  const cause = { cause: error };
  if (isMissingSchema(error)) {
    return new StorageError(
      "SCHEMA_PENDING",
      `PostgreSQL ${label} lacks tables of CodeSpar. Run: codespar migrate`,
      cause,
    );
  }
  if (code === ownStates.signingRefused) return damagedTrail(message, error);
  if (code?.startsWith("22")) {
    return new StorageError(
      "VALIDATION",
      `PostgreSQL can't store this: ${message}. Correct the value.`,
      cause,
    );
  }
  if (code?.startsWith("54")) {
    return new StorageError(
      "LIMIT_EXCEEDED",
      `PostgreSQL can't store this: ${message}. Make it smaller.`,
      cause,
    );
  }
  const known = byState[code ?? ""] ?? tlsProblem(error);
  if (known !== undefined)
    return new StorageError("UNAVAILABLE", `PostgreSQL ${label}: ${known}`, cause);
  const what = isServerError(error)
    ? `${message} (SQLSTATE ${code})`
    : error instanceof StatementTimeout
      ? message
      : `the connection failed (${message})`;
  return new StorageError(
    "UNAVAILABLE",
    `PostgreSQL ${label}: ${what}. Check that the server is up and reachable.`,
    cause,
  );
}

/** What to do when TLS isn't to be had as the URL asks for it; `undefined` for other errors. */
function tlsProblem(error: unknown): string | undefined {
  const { code, message, syscall, path } = databaseError(error);
  if (message === lacksTlsMessage)
    return "the server has no TLS, and sslmode asks for it. Turn it on there, or set sslmode=disable in DATABASE_URL.";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return `the server's certificate is for another host (${message}). Use that host in DATABASE_URL, or sslmode=verify-ca to accept any.`;
  if (certificateCodes.test(code ?? ""))
    return `the server's certificate isn't trusted (${message}). Name its authority's with sslrootcert=/path/to/ca.pem in DATABASE_URL, or set sslmode=require alone to encrypt without checking it.`;
  if (syscall === "open" && path !== undefined)
    return `${path} can't be read (${code}). Correct sslrootcert, sslcert or sslkey in DATABASE_URL.`;
  return undefined;
}

/** How node-postgres says that the server declined TLS. */
export const lacksTlsMessage = "The server does not support SSL connections";

/** OpenSSL's verdicts on a chain of certificates, as Node names them. */
const certificateCodes =
  /^(?:CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_(?:GET|VERIFY)_|INVALID_CA$)/;

/** The error of a commit whose answer never came. */
export function outcomeUnknown(label: string, why: string, cause?: unknown): StorageError {
  return new StorageError(
    "UNAVAILABLE",
    `PostgreSQL ${label}: ${why}; outcome unknown: the write may or may not have happened. Read before you repeat it.`,
    { cause },
  );
}

import { StorageError } from "../../errors/storage-error.ts";

/** The code of a Node error (`ENOSPC`), or `null`. */
export function errnoOf(error: unknown): string | null {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" && !StorageError.is(error) ? code : null;
}

export const isMissing = (error: unknown): boolean => errnoOf(error) === "ENOENT";

const remedies: Readonly<Record<string, string>> = {
  ENOSPC: "The disk is full. Free space, then restart",
  EDQUOT: "The disk quota is used up. Raise it or free space, then restart",
  EROFS:
    "The file system is read-only. Set CODESPAR_STORAGE_DIR to a folder that can be written, or open with readOnly",
  EACCES:
    "Permission is missing. Give this user the folder, or set CODESPAR_STORAGE_DIR to one of its own",
  EPERM:
    "Permission is missing. Give this user the folder, or set CODESPAR_STORAGE_DIR to one of its own",
  EMFILE: "Too many files are open. Raise the limit (ulimit -n), then restart",
  ENFILE: "Too many files are open on this machine. Close some, then restart",
  ENOTDIR: "Something on the path is a file. Set CODESPAR_STORAGE_DIR to a folder",
  EIO: "The disk reports an error. Check it, then restart",
};

/**
 * What a failed file-system call means to a caller.
 *
 * @param doing - what was tried, as in "The files could not be opened"
 */
export function unavailable(doing: string, cause: unknown): StorageError {
  if (StorageError.is(cause)) return cause;
  const errno = errnoOf(cause);
  const remedy = remedies[errno ?? ""] ?? "Check the storage folder, then restart";
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new StorageError("UNAVAILABLE", `${doing} (${detail}). ${remedy}.`, { cause });
}

/** Something of a trail that isn't as it was written, and the entry that it stands at. */
export interface Damage {
  readonly seq: number;
  readonly error: StorageError;
}

/** Stored bytes aren't what was written. */
export function corruption(
  file: string,
  offset: number,
  what: string,
  cause?: unknown,
): StorageError {
  return new StorageError(
    "CORRUPTION",
    `${file}, byte ${offset}: ${what}. Nothing was changed. Restore a backup, or copy what is intact with: codespar salvage --to DIR`,
    cause === undefined ? undefined : { cause },
  );
}

/** For `catch`: what didn't open since it is damaged is `null`. @throws any other failure */
export function nullWhenDamaged(error: unknown): null {
  if (StorageError.is(error, "CORRUPTION")) return null;
  throw error;
}

/** Runs all of the steps, whatever becomes of those before, then throws what the first failed one threw. */
export async function runAll(
  steps: readonly (() => Promise<unknown> | undefined)[],
): Promise<void> {
  let failed: { readonly error: unknown } | null = null;
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      failed ??= { error };
    }
  }
  if (failed !== null) throw failed.error;
}

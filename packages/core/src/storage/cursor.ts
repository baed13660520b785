import { createHash } from "node:crypto";
import { limits } from "../domain/limits.ts";
import { textProblem } from "../domain/text.ts";
import { invalid } from "../errors/storage-error.ts";

/** What a cursor is good for: the organisation, the table, and every filter of the listing. */
export type CursorScope = readonly (string | number | boolean | null | undefined)[];

/** Makes an opaque cursor that continues after a key. */
export function encodeCursor(scope: CursorScope, after: readonly string[]): string {
  return Buffer.from(JSON.stringify([fingerprint(scope), ...after])).toString("base64url");
}

/**
 * Reads a cursor.
 *
 * @throws StorageError `VALIDATION` when it isn't one, or belongs to another organisation or listing
 */
export function decodeCursor(
  scope: CursorScope,
  cursor: unknown,
  parts: number,
): readonly string[] {
  const decoded = typeof cursor === "string" ? parseCursor(cursor) : null;
  if (decoded === null)
    throw invalid("cursor is not one that this listing gave: start without a cursor.");
  const [print, ...after] = decoded;
  if (print !== fingerprint(scope) || after.length !== parts) {
    throw invalid(
      "cursor belongs to another organisation, listing or filter: start without a cursor.",
    );
  }
  return after;
}

function parseCursor(cursor: string): string[] | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    // Whoever can compute a fingerprint can make a cursor: its parts obey the rule of all keys.
    const wellFormed = (part: unknown) => textProblem(part, limits.textBytes) === null;
    return Array.isArray(value) && value.every(wellFormed) ? value : null;
  } catch {
    return null; // Not JSON: not a cursor.
  }
}

function fingerprint(scope: CursorScope): string {
  return createHash("sha256")
    .update(JSON.stringify(scope.map((part) => part ?? null)))
    .digest("base64url")
    .slice(0, 12);
}

import { StorageError } from "@codespar/core";

/** What `If-Match` or `If-None-Match` holds. */
export type EntityTags = "*" | readonly EntityTag[];

/** One entity tag; its text is a record's version. */
export interface EntityTag {
  readonly weak: boolean;
  readonly version: string;
}

const element = /[ \t]*(?:(W\/)?"([\x21\x23-\x7e\x80-\xff]*)")?[ \t]*(?:,|$)/y;

/**
 * Reads a list of entity tags (RFC 9110, section 13.1).
 *
 * @throws StorageError `VALIDATION` when it isn't one
 */
export function parseEntityTags(name: string, header: string): EntityTags {
  if (header.trim() === "*") return "*";
  const tags: EntityTag[] = [];
  element.lastIndex = 0;
  while (element.lastIndex < header.length) {
    const match = element.exec(header);
    if (match === null) throw malformed(name);
    if (match[2] !== undefined) tags.push({ weak: match[1] !== undefined, version: match[2] });
  }
  if (tags.length === 0) throw malformed(name);
  return tags;
}

/** A version as a strong entity tag. */
export function entityTag(version: string): string {
  return `"${version}"`;
}

/** Whether `If-Match` holds: strong comparison, so a weak tag matches nothing. */
export function matchesStrongly(tags: EntityTags, version: string | null): boolean {
  if (version === null) return false;
  return tags === "*" || tags.some((tag) => !tag.weak && tag.version === version);
}

/** Whether an `If-None-Match` names this version: weak comparison. */
export function matchesWeakly(tags: EntityTags, version: string | null): boolean {
  if (version === null) return false;
  return tags === "*" || tags.some((tag) => tag.version === version);
}

function malformed(name: string): StorageError {
  return new StorageError(
    "VALIDATION",
    `${name} must be * or entity tags in double quotes, as ETag gives them: ${name}: "abc.1".`,
  );
}

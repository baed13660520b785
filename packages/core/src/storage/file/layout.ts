import type { TableName } from "../tables.ts";

/** What the storage folder and its folders hold is called here and nowhere else. See docs/reference/file-format.md. */
export const names = {
  lock: "codespar.lock",
  keys: "keys",
  key: "encryption.key",
  canary: "canary",
  organisations: "orgs",
  manifest: "snapshot.json",
  auditLog: "audit_log.jsonl",
  auditParts: "audit_parts.jsonl",
  auditTiles: "audit_tiles",
} as const;

/** What a file is called while it is being written. Whatever has this ending is left over and can go. */
export const unfinished = (name: string): string => `${name}.tmp`;
export const isUnfinished = (name: string): boolean => name.endsWith(".tmp");

/** What holds a key that a rotation replaced. */
export const retiredKeyFile = (keyId: string): string => `retired-${keyId}.key`;
export const isRetiredKey = (name: string): boolean => /^retired-[0-9a-f]{12}\.key$/.test(name);

export const tableFile = (table: TableName): string => `${table}.json`;

export const segmentFile = (segment: number): string =>
  `journal-${String(segment).padStart(6, "0")}.jsonl`;

/** The number in a journal segment's name, or `null` when it isn't one. */
export function segmentNumber(name: string): number | null {
  const match = /^journal-(\d{6,15})\.jsonl$/.exec(name);
  return match?.[1] === undefined ? null : Number(match[1]);
}

const plain = /^[a-z0-9_-]{1,64}$/;
const encoded = /^~[a-z2-7]+$/;
const alphabet = "abcdefghijklmnopqrstuvwxyz234567";

/**
 * An organisation's folder: its id when that is a safe name everywhere, else `~` and the lower-case base32 of its UTF-8 bytes
 * (RFC 4648 without padding). Case-insensitive file systems, `..`, separators and lengths over 255 bytes do no harm that way.
 */
export function organisationFolder(orgId: string): string {
  return plain.test(orgId) ? orgId : `~${toBase32(Buffer.from(orgId, "utf8"))}`;
}

/** An organisation's folder within a storage folder. */
export function organisationPath(directory: string, orgId: string): string {
  return `${directory}/${names.organisations}/${organisationFolder(orgId)}`;
}

/** The id that a folder stands for, or `null` when it is no organisation's. */
export function organisationOf(folder: string): string | null {
  if (plain.test(folder)) return folder;
  if (!encoded.test(folder)) return null;
  const orgId = fromBase32(folder.slice(1)).toString("utf8");
  return organisationFolder(orgId) === folder ? orgId : null;
}

function toBase32(bytes: Buffer): string {
  let text = "";
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = ((held << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet.charAt((held >> bits) & 31);
    }
  }
  return bits > 0 ? text + alphabet.charAt((held << (5 - bits)) & 31) : text;
}

function fromBase32(text: string): Buffer {
  const bytes: number[] = [];
  let bits = 0;
  let held = 0;
  for (const letter of text) {
    held = ((held << 5) | alphabet.indexOf(letter)) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((held >> bits) & 255);
    }
  }
  return Buffer.from(bytes);
}

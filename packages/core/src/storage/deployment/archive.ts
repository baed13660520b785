import { Buffer } from "node:buffer";
import { z } from "zod";
import { bufferOf } from "../../audit/leaf.ts";
import { invalid, StorageError } from "../../errors/storage-error.ts";
import type { AuditPart, AuditRow, ColumnValue, StoredRecord } from "../backend.ts";
import { type TableName, type TableSpec, tables } from "../tables.ts";

/*
 * An organisation's archive: JSON Lines, in UTF-8. The first line says what it is, the last one what it must hold, so that a cut or changed one
 * shows; between them a line per record, then one per entry of the trail. See docs/reference/archive.md.
 */

const format = "codespar.organisation/1";

const headerSchema = z.object({
  format: z.literal(format),
  organisation: z.string(),
  exportedAt: z.string(),
});

/** What the first line says. */
export type ArchiveHeader = z.output<typeof headerSchema>;

const closingSchema = z.object({
  end: z.literal(true),
  /** Lines of each table. */
  counts: z.record(z.string(), z.int()),
  /** The trail as far as the archive holds it; `log` is `null` for an empty one. */
  trail: z.object({ log: z.string().nullable(), size: z.int(), head: z.string() }),
  /** SHA-256 of all bytes before this line, lower-case hex. */
  sha256: z.string(),
});

/** What the last line says. */
export type ArchiveClosing = Omit<z.output<typeof closingSchema>, "end">;

/** A line between the first and the last one. */
export type ArchiveLine =
  | { readonly table: TableName; readonly record: StoredRecord }
  | { readonly table: "audit_log"; readonly row: AuditRow };

export function encodeHeader(organisation: string, exportedAt: string): string {
  return `${JSON.stringify({ format, organisation, exportedAt } satisfies ArchiveHeader)}\n`;
}

export function encodeClosing(closing: ArchiveClosing): string {
  return `${JSON.stringify({ end: true, ...closing })}\n`;
}

/** A record under its columns' names; JSON columns hold their document. */
export function encodeRecord(table: TableName, record: StoredRecord): string {
  const { key, columns }: TableSpec = tables[table];
  const members = [["table", JSON.stringify(table)]];
  for (const [i, name] of key.entries()) members.push([name, JSON.stringify(record.key[i])]);
  for (const [name, type] of Object.entries(columns)) {
    const value = record.columns[name] ?? null;
    const isDocument = type === "json" && typeof value === "string";
    members.push([name, isDocument ? onOneLine(value) : JSON.stringify(value)]);
  }
  const { version, createdAt, updatedAt, expiresAt } = record;
  const meta = { version, created_at: createdAt, updated_at: updatedAt, expires_at: expiresAt };
  for (const [name, value] of Object.entries(meta)) members.push([name, JSON.stringify(value)]);
  return `{${members.map(([name, text]) => `"${name}":${text}`).join(",")}}\n`;
}

/** An entry: the bytes that are hashed as text, and the parts they commit to. @throws StorageError `CORRUPTION` when they aren't UTF-8 */
export function encodeEntry({ seq, hash, leaf, parts }: AuditRow): string {
  const bytes = bufferOf(leaf);
  const text = bytes.toString("utf8");
  if (!Buffer.from(text).equals(bytes)) {
    throw new StorageError(
      "CORRUPTION",
      `Entry ${seq} of the trail is not text any more. Verify the trail: codespar audit verify`,
    );
  }
  const erasable = parts.map(({ name, salt, body }) => ({
    name,
    salt: Buffer.from(salt).toString("base64"),
    body,
  }));
  return `${JSON.stringify({ table: "audit_log", seq, hash, leaf: text, parts: erasable })}\n`;
}

/** @throws StorageError `VALIDATION` when the line isn't an archive's first one, `UNSUPPORTED` for another version's */
export function decodeHeader(line: string): ArchiveHeader {
  const members = parseLine(line, 1);
  const header = headerSchema.safeParse(members);
  if (header.success) return header.data;
  const { format: other } = members;
  if (typeof other === "string" && other.startsWith("codespar.organisation/") && other !== format) {
    throw new StorageError(
      "UNSUPPORTED",
      `The archive was written by another version of CodeSpar (${other}). Use that version or a later one.`,
    );
  }
  throw invalid("This is not the archive of an organisation. Make one: codespar orgs export ID");
}

/**
 * @returns `null` when the line isn't an archive's last one
 * @throws StorageError `VALIDATION` when it is one that was changed
 */
export function decodeClosing(line: string, number: number): ArchiveClosing | null {
  if (!line.startsWith('{"end":')) return null;
  const closing = closingSchema.safeParse(parseLine(line, number));
  if (!closing.success) throw notOurs(number);
  const { end: _, ...content } = closing.data;
  return content;
}

/** @throws StorageError `VALIDATION` when the line is none that an archive has */
export function decodeLine(line: string, number: number): ArchiveLine {
  const members = parseLine(line, number);
  const table = members["table"];
  try {
    if (table === "audit_log") return { table, row: rowOf(members) };
    if (typeof table === "string" && Object.hasOwn(tables, table)) {
      const name = table as TableName;
      return { table: name, record: recordOf(name, members) };
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  throw notOurs(number);
}

function recordOf(table: TableName, members: Record<string, unknown>): StoredRecord {
  const { key, columns }: TableSpec = tables[table];
  const values = Object.entries(columns).map(([name, type]): [string, ColumnValue] => {
    const value = members[name];
    if (value === undefined) throw new TypeError(`${name} is missing`);
    return [name, type === "json" ? JSON.stringify(value) : (value as ColumnValue)];
  });
  return {
    key: key.map((name) => textOf(members[name])),
    columns: Object.fromEntries(values),
    version: textOf(members["version"]),
    createdAt: textOf(members["created_at"]),
    updatedAt: textOf(members["updated_at"]),
    expiresAt: members["expires_at"] === null ? null : textOf(members["expires_at"]),
  };
}

function rowOf({ seq, hash, leaf, parts }: Record<string, unknown>): AuditRow {
  if (typeof seq !== "number" || !Array.isArray(parts)) throw new TypeError("a member is missing");
  const erasable = parts.map((part: Record<string, unknown>): AuditPart => {
    const { name, salt, body } = part;
    return {
      name: textOf(name),
      salt: Buffer.from(textOf(salt), "base64"),
      body: textOf(body),
    };
  });
  const bytes = Buffer.from(textOf(leaf));
  return { seq, hash: textOf(hash), leaf: bytes, parts: erasable, projection: null };
}

function parseLine(line: string, number: number): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw notOurs(number);
}

function notOurs(number: number): StorageError {
  return invalid(`Line ${number} is none of an organisation's archive. Export it again.`);
}

function textOf(value: unknown): string {
  if (typeof value !== "string") throw new TypeError("a member is missing");
  return value;
}

/** Line breaks are white space in a document that came from elsewhere, since inside of its strings they are escaped. */
function onOneLine(document: string): string {
  return /[\n\r]/.test(document) ? document.replace(/[\n\r]/g, " ") : document;
}

import { Buffer } from "node:buffer";
import { z } from "zod";
import { bufferOf } from "../../audit/leaf.ts";
import { isPlainObject } from "../../domain/text.ts";
import { invalid, StorageError } from "../../errors/storage-error.ts";
import type { AuditPart, AuditRow, ColumnValue, StoredRecord } from "../backend.ts";
import type { MovableTable } from "../move/content.ts";
import { type TableName, type TableSpec, tableNames, tables } from "../tables.ts";
import { endOfString } from "../values.ts";
import type { Line } from "./archive-lines.ts";
import { storedInstant } from "./archive-values.ts";

/*
 * An organisation's archive: JSON Lines, in UTF-8. The first line says what it is, the last one what it must hold, so that a cut or changed one
 * shows; between them a line per record, then one per entry of the trail. See docs/reference/archive.md.
 */

const format = "codespar.organisation/1";

const headerSchema = z.strictObject({
  format: z.literal(format),
  organisation: z.string(),
  exportedAt: storedInstant,
});

/** What the first line says. */
export type ArchiveHeader = z.output<typeof headerSchema>;

const counts: z.ZodType<Readonly<Partial<Record<MovableTable, number>>>> = z.partialRecord(
  z.enum([...tableNames, "audit_log"]),
  z.int(),
);

const closingSchema = z.strictObject({
  end: z.literal(true),
  /** Lines of each table. */
  counts,
  /** The trail as far as the archive holds it; `log` is `null` for an empty one. */
  trail: z.strictObject({ log: z.string().nullable(), size: z.int(), head: z.string() }),
  /** SHA-256 of all bytes before this line, lower-case hex. */
  sha256: z.string(),
});

/** What the last line says. */
export type ArchiveClosing = Omit<z.output<typeof closingSchema>, "end">;

/** A line's members by name, before anybody has looked at their values. */
export type Members = Readonly<Record<string, unknown>>;

/** An entry's members. */
interface EntryMembers extends Pick<AuditRow, "seq" | "hash"> {
  readonly leaf: string;
  readonly parts: readonly Readonly<Record<"name" | "salt" | "body", string>>[];
}

const meta = ["version", "created_at", "updated_at", "expires_at"];

/** What each table's lines hold: exactly that. */
const memberNames = Object.fromEntries([
  ...tableNames.map((name) => {
    const { key, columns }: TableSpec = tables[name];
    return [name, new Set(["table", ...key, ...Object.keys(columns), ...meta])];
  }),
  ["audit_log", new Set(["table", "seq", "hash", "leaf", "parts"])],
]) as Readonly<Record<MovableTable, ReadonlySet<string>>>;

export function encodeHeader({ organisation, exportedAt }: Omit<ArchiveHeader, "format">): string {
  return `${JSON.stringify({ format, organisation, exportedAt } satisfies ArchiveHeader)}\n`;
}

export function encodeClosing({ counts, trail, sha256 }: ArchiveClosing): string {
  const { log, size, head } = trail;
  return `${JSON.stringify({ end: true, counts, trail: { log, size, head }, sha256 })}\n`;
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

/**
 * What an archive's first line says.
 *
 * @throws StorageError `VALIDATION` when it isn't one, `UNSUPPORTED` for another version's
 */
export function decodeHeader({ text }: Line): ArchiveHeader {
  const members = membersOf(text);
  const header = headerSchema.safeParse(members);
  if (header.success && isSame(encodeHeader(header.data), text)) return header.data;
  const other = members?.["format"];
  if (typeof other === "string" && other.startsWith("codespar.organisation/") && other !== format) {
    throw new StorageError(
      "UNSUPPORTED",
      `The archive was written by another version of CodeSpar (${other.slice(0, 100)}). Use that version or a later one.`,
    );
  }
  throw invalid("This is not the archive of an organisation. Make one: codespar orgs export ID");
}

/** Whether a line is to be an archive's last one. */
export function isClosing({ text }: Line): boolean {
  return text.startsWith('{"end":');
}

/** What an archive's last line says. @throws StorageError `VALIDATION` when it is none */
export function decodeClosing(line: Line): ArchiveClosing {
  const closing = closingSchema.safeParse(membersOf(line.text));
  if (!closing.success) throw wrongLine(line, problemIn(closing.error));
  const { end: _, ...content } = closing.data;
  if (!isSame(encodeClosing(content), line.text))
    throw wrongLine(line, "it isn't written as an export writes its last line");
  return content;
}

/**
 * The members of a line between the first and the last one, and the table that it is of.
 *
 * @throws StorageError `VALIDATION` when it is no JSON object, of no table that an archive has, or hasn't exactly the members of its table
 */
export function decodeMembers(line: Line): {
  readonly table: MovableTable;
  readonly members: Members;
} {
  const members = membersOf(line.text);
  if (members === null) throw wrongLine(line, "it is no JSON object");
  const { table } = members;
  if (typeof table !== "string" || !Object.hasOwn(memberNames, table))
    throw wrongLine(line, "it names no table that an archive has");
  const names = memberNames[table as MovableTable];
  const missing = [...names].find((name) => !Object.hasOwn(members, name));
  if (missing !== undefined) throw wrongLine(line, `${table} has "${missing}", which is missing`);
  const unknown = Object.keys(members).find((name) => !names.has(name));
  if (unknown !== undefined)
    throw wrongLine(line, `${table} has no "${unknown.slice(0, 100)}", which stands in it`);
  if (countMembers(line.text) !== names.size) throw wrongLine(line, "a member stands twice in it");
  return { table: table as MovableTable, members };
}

/** A record of checked members. */
export function recordOf(table: TableName, members: Members): StoredRecord {
  const { key, columns }: TableSpec = tables[table];
  const values = Object.entries(columns).map(([name, type]): [string, ColumnValue] => {
    const value = members[name];
    return [name, type === "json" ? JSON.stringify(value) : (value as ColumnValue)];
  });
  return {
    key: key.map((name) => String(members[name])),
    columns: Object.fromEntries(values),
    version: String(members["version"]),
    createdAt: String(members["created_at"]),
    updatedAt: String(members["updated_at"]),
    expiresAt: members["expires_at"] as string | null,
  };
}

/** An entry of checked members. */
export function rowOf(members: Members): AuditRow {
  const { seq, hash, leaf, parts } = members as unknown as EntryMembers;
  const erasable = parts.map(({ name, salt, body }): AuditPart => {
    return { name, salt: Buffer.from(salt, "base64"), body };
  });
  return { seq, hash, leaf: Buffer.from(leaf), parts: erasable, projection: null };
}

/** Room for two hashes and the words about them: what a forged entry holds can be of any length. */
const longest = 400;

/** What is wrong with a line, after "Line n of the archive". Never repeats values but the trail's own: others may be secret. */
export function wrongLine({ number }: Pick<Line, "number">, what: string): StorageError {
  const letters = [...what];
  const shown = letters.length > longest ? `${letters.slice(0, longest).join("")}…` : what;
  return invalid(`Line ${number} of the archive can't be taken over: ${shown}. Export it again.`);
}

/** What a schema found first, and where. */
export function problemIn(error: z.ZodError): string {
  const [issue] = error.issues;
  const where = issue?.path.map(String).join(".") ?? "";
  const what = (issue?.message ?? "it isn't acceptable")
    .slice(0, 300)
    .replace(/^Invalid input: /, "");
  return where === ""
    ? what
    : `${where} ${/^(?:must|has|is) /.test(what) ? what : `is wrong: ${what}`}`;
}

/** Whether a line is what was written: no member twice, and none that the schema passes over. */
function isSame(written: string, text: string): boolean {
  return written === `${text}\n`;
}

function membersOf(text: string): Members | null {
  try {
    const value: unknown = JSON.parse(text);
    return isPlainObject(value) ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** How many members a JSON object has in its text: parsed, those of one name are one. */
function countMembers(text: string): number {
  let depth = 0;
  let count = 0;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit === 0x22) i = endOfString(text, i);
    else if (unit === 0x5b || unit === 0x7b) depth += 1;
    else if (unit === 0x5d || unit === 0x7d) depth -= 1;
    else if (unit === 0x3a && depth === 1) count += 1;
  }
  return count;
}

/** Line breaks are white space in a document that came from elsewhere, since inside of its strings they are escaped. */
function onOneLine(document: string): string {
  return /[\n\r]/.test(document) ? document.replace(/[\n\r]/g, " ") : document;
}

import type { ColumnValue, StoredRecord } from "../backend.ts";
import { type TableName, tableNames, tables } from "../tables.ts";
import { type ParsedLine, parseLine, parseObject, text } from "./line.ts";
import { readMemoryEntry } from "./memory-line.ts";

/** What a table's columns mean to its lines. */
interface LineShape {
  readonly key: readonly string[];
  readonly plain: readonly string[];
  readonly json: readonly string[];
}

const shapes = Object.fromEntries(
  tableNames.map((name) => {
    const columns = Object.entries(tables[name].columns);
    const shape: LineShape = {
      key: tables[name].key,
      plain: columns.filter(([, type]) => type !== "json").map(([column]) => column),
      json: columns.filter(([, type]) => type === "json").map(([column]) => column),
    };
    return [name, shape];
  }),
) as Readonly<Record<TableName, LineShape>>;

/**
 * A record's members as JSON, without braces: the key, the plain columns, the metadata and last the JSON columns, each after a
 * tab. The tab is white space to a JSON parser; to {@link decodeRecord} it shows where a document begins that needn't be parsed.
 */
export function encodeRecord(table: TableName, record: StoredRecord): string {
  const shape = shapes[table];
  let line = "";
  for (let i = 0; i < shape.key.length; i++) {
    line += `"${shape.key[i]}":${text(record.key[i] ?? "")},`;
  }
  for (const column of shape.plain) {
    line += `"${column}":${JSON.stringify(record.columns[column] ?? null)},`;
  }
  line +=
    `"version":${text(record.version)},"created_at":"${record.createdAt}","updated_at":"${record.updatedAt}",` +
    `"expires_at":${record.expiresAt === null ? "null" : `"${record.expiresAt}"`}`;
  for (const column of shape.json) {
    const document = record.columns[column];
    if (typeof document === "string") line += `,\t"${column}":${onOneLine(document)}`;
  }
  return line;
}

/**
 * Reads what {@link encodeRecord} wrote, and the brace after it, from `bytes[start, end)`.
 *
 * @param intern - gives the one copy of a text that comes often
 * @throws SyntaxError
 */
export function decodeRecord(
  table: TableName,
  bytes: Buffer,
  start: number,
  end: number,
  intern: (text: string) => string,
): StoredRecord {
  if (table === "agent_memory") {
    const entry = readMemoryEntry(bytes, start, end, intern);
    if (entry !== null) return entry;
  }
  const shape = shapes[table];
  const { members, documents }: ParsedLine =
    shape.json.length === 0
      ? { members: parseObject(`{${bytes.toString("utf8", start, end)}`), documents: {} }
      : parseLine(bytes, start, end);
  const columns: Record<string, ColumnValue> = {};
  for (const column of shape.plain) columns[column] = (members[column] ?? null) as ColumnValue;
  for (const column of shape.json) columns[column] = documents[column] ?? null;
  return {
    key: shape.key.map((column) => stringOf(members[column])),
    columns,
    version: stringOf(members["version"]),
    createdAt: stringOf(members["created_at"]),
    updatedAt: stringOf(members["updated_at"]),
    expiresAt: members["expires_at"] === null ? null : stringOf(members["expires_at"]),
  };
}

/** UTF-8 bytes of a record's documents and texts: what counts towards the limit. */
export function sizeOf(record: StoredRecord): number {
  let bytes = 0;
  for (const column in record.columns) {
    const value = record.columns[column];
    if (typeof value === "string") bytes += Buffer.byteLength(value);
  }
  return bytes;
}

/** Line breaks and tabs are white space in a document that came from elsewhere, since inside of its strings they are escaped. */
function onOneLine(document: string): string {
  return /[\n\r\t]/.test(document) ? document.replace(/[\n\r\t]/g, " ") : document;
}

function stringOf(value: unknown): string {
  if (typeof value !== "string") throw new SyntaxError("a member is missing");
  return value;
}

import { leafHash } from "../../audit/leaf.ts";
import type { StoredRecord } from "../backend.ts";
import { type TableName, tables } from "../tables.ts";
import { type ErasedPart, partMembers, partOf } from "./audit-parts.ts";
import type { SealedEntry } from "./audit-trail.ts";
import { eachLine } from "./byte-reader.ts";
import { parseLine, parseObject, text } from "./line.ts";
import { decodeRecord, encodeRecord } from "./record-codec.ts";

/** One line of a frame's body. */
export type Operation =
  | { readonly kind: "put"; readonly table: TableName; readonly record: StoredRecord }
  | { readonly kind: "delete"; readonly table: TableName; readonly key: readonly string[] }
  | { readonly kind: "audit"; readonly entry: SealedEntry }
  | { readonly kind: "erase"; readonly part: ErasedPart };

/** How the line of a put to this table begins. */
export function putLine(table: TableName): string {
  return `{"put":"${table}",`;
}

export function encodePut(table: TableName, record: StoredRecord): string {
  return `${putLine(table)}${encodeRecord(table, record)}}\n`;
}

export function encodeDelete(table: TableName, key: readonly string[]): string {
  return `{"delete":"${table}","key":${JSON.stringify(key)}}\n`;
}

export function encodeAudit(entry: SealedEntry): string {
  const parts = entry.parts.map((part) => `{${partMembers(part)}}`).join(",");
  return `{"audit":${entry.seq},"id":${text(entry.id)},"parts":[${parts}],\t"leaf":${entry.leaf}}\n`;
}

export function encodeErase({ seq, name, at, bytes }: ErasedPart): string {
  return `{"erase":${seq},"name":${text(name)},"at":${at},"bytes":${bytes}}\n`;
}

/** Where a table's name stands in `{"put":"…` and `{"delete":"…`, and the letter that tells operations apart. */
const putName = '{"put":"'.length;
const deleteName = '{"delete":"'.length;
const letterP = 0x70;
const letterD = 0x64;
const letterE = 0x65;

/**
 * Reads a frame's body.
 *
 * @throws SyntaxError when a line is none that this version writes
 */
export function decodeOperations(
  body: Buffer,
  intern: (text: string) => string,
  onOperation: (operation: Operation) => void,
): void {
  eachLine(body, (start, end) => {
    const letter = body[start + 2];
    if (letter === letterP) {
      const table = tableAt(body, start + putName);
      const members = start + putName + table.length + '",'.length;
      onOperation({ kind: "put", table, record: decodeRecord(table, body, members, end, intern) });
    } else if (letter === letterD) {
      const table = tableAt(body, start + deleteName);
      const { key } = parseObject(body.toString("utf8", start, end));
      onOperation({ kind: "delete", table, key: key as string[] });
    } else if (letter === letterE) {
      onOperation({ kind: "erase", part: decodeErase(body.toString("utf8", start, end)) });
    } else {
      onOperation({ kind: "audit", entry: decodeAudit(body, start, end) });
    }
  });
}

function decodeAudit(body: Buffer, start: number, end: number): SealedEntry {
  const { members, documents } = parseLine(body, start + 1, end);
  const { audit: seq, id, parts } = members;
  const leaf = documents["leaf"];
  if (
    typeof seq !== "number" ||
    typeof id !== "string" ||
    leaf === undefined ||
    !Array.isArray(parts)
  ) {
    throw new SyntaxError("not an operation of this version");
  }
  return { seq, id, leaf, hash: leafHash(leaf), parts: parts.map(partOf) };
}

function decodeErase(line: string): ErasedPart {
  const { erase: seq, name, at, bytes } = parseObject(line);
  if (
    typeof seq !== "number" ||
    typeof name !== "string" ||
    typeof at !== "number" ||
    typeof bytes !== "number"
  ) {
    throw new SyntaxError("not an operation of this version");
  }
  return { seq, name, at, bytes };
}

const quote = 0x22;

function tableAt(body: Buffer, start: number): TableName {
  const end = body.indexOf(quote, start);
  const name = body.toString("latin1", start, end);
  if (!Object.hasOwn(tables, name)) throw new SyntaxError(`unknown table ${name}`);
  return name as TableName;
}

import type { StoredRecord } from "../backend.ts";
import { ByteReader, eachBlock, eachLine } from "./byte-reader.ts";
import type { FileSystem } from "./file-system.ts";
import { sortKey } from "./key-order.ts";
import { tableFile } from "./layout.ts";
import { decodeRecord, encodeRecord } from "./record-codec.ts";
import type { Table } from "./table.ts";

/**
 * Reads what can be read of a table's file whose checksum doesn't hold: the lines that are exactly what their record would be
 * written as. A changed letter inside of a text isn't seen that way, so these records are unproven.
 *
 * @returns how many records were read, and what was passed over, in words
 */
export async function salvageTable(
  fs: FileSystem,
  folder: string,
  table: Table,
): Promise<{ readonly unproven: number; readonly lost: readonly string[] }> {
  const path = `${folder}/${tableFile(table.name)}`;
  const lost: string[] = [`${path}: its checksum doesn't match its content`];
  let unproven = 0;
  const file = await fs.open(path, "read");
  try {
    const size = await file.size();
    const end = await eachBlock(new ByteReader(file, size), 0, (block, position) => {
      eachLine(block, (start, lineEnd) => {
        if (position + start === 0 || block[start] === closingBracket) return;
        const record = readLine(table, block, start, lineEnd);
        if (record === null) {
          lost.push(`${path}: the line at byte ${position + start} is damaged`);
          return;
        }
        table.put(sortKey(record.key), record);
        unproven++;
      });
    });
    if (end < size) lost.push(`${path}: its last ${size - end} bytes are damaged`);
  } finally {
    await file.close();
  }
  return { unproven, lost };
}

const closingBracket = 0x5d;
const comma = 0x2c;

function readLine(table: Table, block: Buffer, start: number, end: number): StoredRecord | null {
  const stop = block[end - 1] === comma ? end - 1 : end;
  try {
    const record = decodeRecord(table.name, block, start + 1, stop, (text) => text);
    const line = `{${encodeRecord(table.name, record)}}`;
    return line === block.toString("utf8", start, stop) ? record : null;
  } catch {
    return null;
  }
}

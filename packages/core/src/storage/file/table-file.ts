import { createHash } from "node:crypto";
import type { StoredRecord } from "../backend.ts";
import type { TableName } from "../tables.ts";
import { ByteReader, eachBlock, eachLine } from "./byte-reader.ts";
import { corruption } from "./failures.ts";
import type { FileSystem } from "./file-system.ts";
import { sortKey } from "./key-order.ts";
import { tableFile, unfinished } from "./layout.ts";
import { parseObject } from "./line.ts";
import { decodeRecord, encodeRecord } from "./record-codec.ts";
import { isLive, type Table } from "./table.ts";

const format = "codespar.table/1";
const sumField = ',"sum":"';

/** What a snapshot needs to know of the moment. */
export interface SnapshotContext {
  readonly organisation: string;
  readonly segment: number;
  readonly nowIso: string;
  /** Lets others run; rejects when the snapshot is to be given up. */
  pause(): Promise<void>;
}

/** The longest that a snapshot works without letting others run. */
const sliceMs = 4;
const sliceBytes = 1024 * 1024;
/** Keys put in order at once. */
const settleAtOnce = 256;
/** Records between two looks at the clock. */
const stride = 32;

/**
 * Writes a table to its file: valid JSON, a record a line. It is fuzzy: what changes meanwhile may be in it or not, and is in the
 * journal from `segment` on in any case. Expired records are left out.
 *
 * @returns the file's size. It is durable but not yet renamed to its name: see {@link tableFile}.
 */
export async function writeTable(
  fs: FileSystem,
  folder: string,
  table: Table,
  context: SnapshotContext,
): Promise<number> {
  const path = `${folder}/${unfinished(tableFile(table.name))}`;
  const file = await fs.open(path, "edit");
  const hash = createHash("sha256");
  let position = 0;
  const write = async (content: string) => {
    const bytes = Buffer.from(content);
    hash.update(bytes);
    await file.write(bytes, position);
    position += bytes.length;
  };
  try {
    await file.truncate(0);
    const { organisation, segment } = context;
    await write(
      `${JSON.stringify({ format, table: table.name, organisation, segment }).slice(0, -1)},"records":[`,
    );
    // What is added from now on is in the journal, and needn't be in this snapshot.
    for (let left = table.unsettled; left > 0; left -= settleAtOnce) {
      table.settle(settleAtOnce);
      await context.pause();
    }
    let count = 0;
    let last: string | undefined;
    for (;;) {
      const slice = nextSlice(table, last, count === 0, context.nowIso);
      if (slice.content !== "") await write(slice.content);
      count += slice.count;
      if (slice.last === undefined) break;
      last = slice.last;
      await context.pause();
    }
    await write(`\n],"count":${count}`);
    const end = Buffer.from(`${sumField}${hash.digest("hex")}"}\n`);
    await file.write(end, position);
    await file.sync();
    position += end.length;
  } catch (error) {
    await file.close().catch(() => undefined);
    await fs.remove(path).catch(() => undefined);
    throw error;
  }
  await file.close();
  return position;
}

/** The next records' lines; `last` is where to go on, `undefined` at the end. */
function nextSlice(table: Table, after: string | undefined, first: boolean, nowIso: string) {
  const until = performance.now() + sliceMs;
  let content = "";
  let count = 0;
  let looked = 0;
  for (const key of table.settledKeysAfter(after)) {
    const record = table.get(key);
    if (record !== undefined && isLive(record, nowIso)) {
      content += `${first && count === 0 ? "\n" : ",\n"}{${encodeRecord(table.name, record)}}`;
      count++;
    }
    looked++;
    if (looked % stride === 0 && (content.length > sliceBytes || performance.now() > until)) {
      return { content, count, last: key };
    }
  }
  return { content, count, last: undefined };
}

/**
 * Reads a table's file into an empty table.
 *
 * @param oldest - the oldest segment that the file may be of
 * @returns the file's size
 * @throws StorageError `CORRUPTION`
 */
export async function readTable(
  fs: FileSystem,
  folder: string,
  table: Table,
  oldest: number,
  intern: (text: string) => string,
): Promise<number> {
  const path = `${folder}/${tableFile(table.name)}`;
  let count = 0;
  const file = await fs.open(path, "read");
  let end: number;
  try {
    const reader = new TableReader(path, table.name, oldest, intern);
    const size = await file.size();
    end = await eachBlock(new ByteReader(file, size), 0, (block, position) => {
      reader.block(block, position, (record) => {
        table.put(sortKey(record.key), record);
        count++;
      });
    });
    reader.finish(end, count);
    if (end !== size) throw corruption(path, end, "something follows the end");
  } finally {
    await file.close();
  }
  table.changed = false;
  return end;
}

class TableReader {
  readonly #path: string;
  readonly #table: TableName;
  readonly #oldest: number;
  readonly #intern: (text: string) => string;
  readonly #hash = createHash("sha256");
  #started = false;
  #trailer: string | null = null;

  constructor(path: string, table: TableName, oldest: number, intern: (text: string) => string) {
    this.#path = path;
    this.#table = table;
    this.#oldest = oldest;
    this.#intern = intern;
  }

  block(block: Buffer, position: number, onRecord: (record: StoredRecord) => void): void {
    let covered = block.length;
    eachLine(block, (start, end) => {
      try {
        if (this.#trailer !== null) throw new SyntaxError("something follows the end");
        if (!this.#started) this.#header(block.toString("utf8", start, end));
        else if (block[start] === 0x5d) {
          this.#trailer = block.toString("utf8", start, end + 1);
          covered = start + Math.max(0, this.#trailer.indexOf(sumField));
        } else {
          const comma = block[end - 1] === 0x2c;
          onRecord(
            decodeRecord(this.#table, block, start + 1, comma ? end - 1 : end, this.#intern),
          );
        }
      } catch (error) {
        throw corruption(this.#path, position + start, "a line is damaged", error);
      }
    });
    this.#hash.update(block.subarray(0, covered));
  }

  finish(end: number, count: number): void {
    const expected = `],"count":${count}${sumField}${this.#hash.digest("hex")}"}\n`;
    if (this.#trailer !== expected) {
      throw corruption(
        this.#path,
        end,
        "its checksum doesn't match its content, or its end is missing",
      );
    }
  }

  #header(line: string): void {
    const header = parseObject(`${line}]}`);
    if (header["format"] !== format || header["table"] !== this.#table) {
      throw new SyntaxError("not a file of this table and version");
    }
    if (typeof header["segment"] !== "number" || header["segment"] < this.#oldest) {
      throw new SyntaxError("older than the snapshot it belongs to");
    }
    this.#started = true;
  }
}

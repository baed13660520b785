import { Buffer } from "node:buffer";

/** Reads a value that lies in the bytes from `start` to `end`. */
export type ReadField = (bytes: Buffer, start: number, end: number) => unknown;

/** A row: what each field was read as, or `null`. */
export type CopiedRow<Reads extends readonly ReadField[]> = {
  [Key in keyof Reads]: ReturnType<Reads[Key]> | null;
};

export const asText = (bytes: Buffer, start: number, end: number) =>
  bytes.toString("utf8", start, end);
export const asBytes = (bytes: Buffer, start: number, end: number) => bytes.subarray(start, end);
export const asHex = (bytes: Buffer, start: number, end: number) =>
  bytes.toString("hex", start, end);
/** A bigint that is exact as a number: up to 2 ** 53. */
export const asInteger = (bytes: Buffer, start: number) =>
  bytes.readInt32BE(start) * 2 ** 32 + bytes.readUInt32BE(start + 4);

/** Seconds from the beginning of 1970 to that of 2000, which PostgreSQL counts from, in microseconds. */
const epoch = 946_684_800;
const million = 1_000_000;

let second = Number.NaN;
let shown = "";

/** A timestamptz as ISO 8601 with six decimals. What no calendar has (`infinity`) comes through as the number. */
export const asInstant = (bytes: Buffer, start: number): string => {
  const number = asInteger(bytes, start);
  // From the year 2285 on, microseconds take more than a number holds.
  const isExact = Number.isSafeInteger(number);
  const exact = isExact ? 0n : bytes.readBigInt64BE(start);
  const whole = isExact ? Math.floor(number / million) : Number(exact / 1_000_000n);
  const micros = isExact ? number - whole * million : Number(exact % 1_000_000n);
  // Instants that follow each other are mostly of the same second.
  if (whole !== second) {
    const date = new Date((epoch + whole) * 1000);
    if (Number.isNaN(date.getTime())) return String(number);
    second = whole;
    shown = date.toISOString().slice(0, -"000Z".length);
  }
  return `${shown}${String(million + micros).slice(1)}Z`;
};

/** `PGCOPY\n\xff\r\n\0`, and four bytes of flags. */
const headBytes = 15;
const leastRoom = 64 * 1024;

/**
 * Takes what a `COPY … TO STDOUT (FORMAT binary)` sends. Of all ways to read rows it costs this process the least: bytes come as they are,
 * nothing becomes a string that is none, and little is left to be collected.
 *
 * @see https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format"
 */
export class CopyOut {
  #bytes = Buffer.alloc(0);
  #length = 0;

  /** Forgets what an earlier attempt sent. */
  clear(): void {
    this.#length = 0;
  }

  /** @param chunk - is copied */
  add(chunk: Uint8Array): void {
    const length = this.#length + chunk.length;
    if (length > this.#bytes.length) {
      const room = Buffer.allocUnsafeSlow(Math.max(leastRoom, 2 * length));
      room.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = room;
    }
    this.#bytes.set(chunk, this.#length);
    this.#length = length;
  }

  /**
   * @param reads - reads the fields, one for each
   * @param make - makes something of a row, whose array is used again for the next one
   */
  rows<const Reads extends readonly ReadField[], Made>(
    reads: Reads,
    make: (row: CopiedRow<Reads>) => Made,
  ): Made[] {
    const bytes = this.#bytes;
    const made: Made[] = [];
    const row: unknown[] = reads.map(() => null);
    let at = headBytes;
    at += 4 + bytes.readInt32BE(at);
    while (bytes.readInt16BE(at) === reads.length) {
      at += 2;
      for (let field = 0; field < reads.length; field += 1) {
        const start = at + 4;
        const length = bytes.readInt32BE(at);
        at = start + Math.max(length, 0);
        row[field] = length < 0 ? null : reads[field]?.(bytes, start, at);
      }
      made.push(make(row as CopiedRow<Reads>));
    }
    return made;
  }
}

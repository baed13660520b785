import type { OpenFile } from "./file-system.ts";

const windowBytes = 4 * 1024 * 1024;

/** Reads a file from front to back through a window, so that its size doesn't matter. */
export class ByteReader {
  readonly #file: OpenFile;
  readonly #end: number;
  #window: Buffer = Buffer.alloc(0);
  #windowAt = 0;

  /** Nothing at or behind `end` is read. */
  constructor(file: OpenFile, end: number) {
    this.#file = file;
    this.#end = end;
  }

  get end(): number {
    return this.#end;
  }

  /** `length` bytes at `position`, fewer at the end. The bytes are valid until the next call that has to read. */
  async take(position: number, length: number): Promise<Buffer> {
    return this.have(position, length) ?? (await this.#fill(position, length));
  }

  /** As {@link ByteReader.take} when nothing has to be read for it, else `null`. */
  have(position: number, length: number): Buffer | null {
    const wanted = Math.min(length, this.#end - position);
    const from = position - this.#windowAt;
    if (from < 0 || from + wanted > this.#window.length) return null;
    return this.#window.subarray(from, from + wanted);
  }

  async #fill(position: number, length: number): Promise<Buffer> {
    const wanted = Math.max(0, Math.min(length, this.#end - position));
    const size = Math.max(0, Math.min(Math.max(length, windowBytes), this.#end - position));
    this.#window = await this.#file.read(position, size);
    this.#windowAt = position;
    return this.#window.subarray(0, wanted);
  }
}

const lineBreak = 0x0a;

/**
 * Calls `onLines` with blocks of whole lines from `start` to the reader's end.
 *
 * @returns where the last whole line ends
 */
export async function eachBlock(
  reader: ByteReader,
  start: number,
  onLines: (block: Buffer, position: number) => void,
): Promise<number> {
  let position = start;
  let length = 1024 * 1024;
  while (position < reader.end) {
    const block = await reader.take(position, length);
    const last = block.lastIndexOf(lineBreak);
    if (last === -1) {
      if (block.length < length) break;
      length *= 2;
      continue;
    }
    onLines(block.subarray(0, last + 1), position);
    position += last + 1;
    length = 1024 * 1024;
  }
  return position;
}

/** Calls `onLine` with where each line of a block begins and ends, its line break left out. */
export function eachLine(block: Buffer, onLine: (start: number, end: number) => void): void {
  let start = 0;
  while (start < block.length) {
    const end = block.indexOf(lineBreak, start);
    onLine(start, end === -1 ? block.length : end);
    start = end === -1 ? block.length : end + 1;
  }
}

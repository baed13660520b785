import { Buffer, isUtf8 } from "node:buffer";
import { bufferOf } from "../../audit/leaf.ts";
import { invalid } from "../../errors/storage-error.ts";

/** A line of an archive. */
export interface Line {
  /** From 1. */
  readonly number: number;
  readonly text: string;
  /** What `text` was read from, without the line break. Only until the next line is asked for. */
  readonly bytes: Buffer;
}

/** Several times what the largest record or entry takes, in whatever way it is escaped. */
const longest = 8 * 1024 * 1024;

/**
 * The lines of a text that comes in pieces, one in memory at a time. What follows the last line break is a line too.
 *
 * @throws StorageError `VALIDATION` for a line that is longer than any of an archive, or isn't UTF-8
 */
export async function* linesOf(
  pieces: AsyncIterable<string | Uint8Array>,
): AsyncGenerator<Line, void> {
  let number = 0;
  /** The beginning of a line whose end hasn't come yet. */
  let held: Buffer[] = [];
  let heldBytes = 0;
  const take = (end: Buffer): Line => {
    number += 1;
    const bytes = held.length === 0 ? end : Buffer.concat([...held, end]);
    held = [];
    heldBytes = 0;
    if (bytes.length > longest) throw tooLong(number);
    // What isn't UTF-8 could be read as other text than was summed up.
    if (!isUtf8(bytes))
      throw invalid(`Line ${number} of the archive isn't UTF-8. Export it again.`);
    return { number, text: bytes.toString("utf8"), bytes };
  };
  for await (const piece of pieces) {
    const bytes = typeof piece === "string" ? Buffer.from(piece) : bufferOf(piece);
    let start = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      yield take(bytes.subarray(start, end));
      start = end + 1;
    }
    if (start === bytes.length) continue;
    // Copied: whoever gives the pieces may use their memory again.
    held.push(Buffer.from(bytes.subarray(start)));
    heldBytes += bytes.length - start;
    if (heldBytes > longest) throw tooLong(number + 1);
  }
  if (held.length > 0) yield take(Buffer.alloc(0));
}

function tooLong(number: number) {
  return invalid(
    `Line ${number} of the archive has more than ${longest} bytes, which none of an archive has. Export it again.`,
  );
}

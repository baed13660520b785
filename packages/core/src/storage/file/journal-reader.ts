import type { ByteReader } from "./byte-reader.ts";
import { corruption } from "./failures.ts";
import { decodeHeader, type FrameHeader, frameStart, headerBytesMax, isIntact } from "./frame.ts";

const lineBreak = 0x0a;

/** What a segment holds, read to its end. */
export interface SegmentEnd {
  /** Where its whole frames end. */
  readonly position: number;
  readonly frame: number;
  readonly prev: string;
  /** Where the last frame begins, `null` without any. */
  readonly lastFrameAt: number | null;
}

/**
 * Reads a segment's frames in order, calling `onFrame` with each body.
 *
 * @param from - the frame expected first, and the sum that it follows
 * @returns where they end; less than the reader's end when what follows is a torn frame, which was never acknowledged
 * @throws StorageError `CORRUPTION` when a frame is damaged that others follow, or one is missing
 */
export async function readSegment(
  name: string,
  reader: ByteReader,
  from: { readonly frame: number; readonly prev: string },
  onFrame: (body: Buffer, header: FrameHeader, position: number) => void,
): Promise<SegmentEnd> {
  let { frame, prev } = from;
  let position = 0;
  let lastFrameAt: number | null = null;
  while (position < reader.end) {
    const found = await frameAt(reader, position);
    if (found === null) {
      const next = await findFrame(reader, position + 1);
      if (next === null) break;
      throw corruption(
        name,
        position,
        `a frame is damaged, and an intact one follows at byte ${next}`,
      );
    }
    if (found.header.frame !== frame || found.header.prev !== prev) {
      throw corruption(
        name,
        position,
        `frame ${frame} is missing or replaced by frame ${found.header.frame}`,
      );
    }
    onFrame(found.body, found.header, position);
    lastFrameAt = position;
    position = found.end;
    frame++;
    prev = found.header.sum;
  }
  return { position, frame, prev, lastFrameAt };
}

/** The intact frame at a position, or `null`. */
export async function frameAt(
  reader: ByteReader,
  position: number,
): Promise<{ header: FrameHeader; body: Buffer; end: number } | null> {
  const start = await reader.take(position, headerBytesMax);
  const lineEnd = start.indexOf(lineBreak);
  if (lineEnd === -1) return null;
  const header = decodeHeader(start.toString("latin1", 0, lineEnd));
  const bodyAt = position + lineEnd + 1;
  if (header === null || bodyAt + header.bytes > reader.end) return null;
  const body = await reader.take(bodyAt, header.bytes);
  return isIntact(header, body) ? { header, body, end: bodyAt + header.bytes } : null;
}

/** Where the next intact frame begins, at or after a position, or `null`. */
export async function findFrame(reader: ByteReader, position: number): Promise<number | null> {
  const stride = 1024 * 1024;
  let at = position;
  while (at < reader.end) {
    const block = await reader.take(at, stride + frameStart.length);
    const hit = block.indexOf(frameStart);
    if (hit === -1 || hit >= stride) {
      at += stride;
      continue;
    }
    if ((await frameAt(reader, at + hit)) !== null) return at + hit;
    at += hit + 1;
  }
  return null;
}

import { createHash } from "node:crypto";

/** What the first frame of an organisation's journal follows. */
export const firstPrev = "0".repeat(32);
/** No frame's header line is longer, its line break included. */
export const headerBytesMax = 160;
/** What a frame begins with; only at the start of a line, so never inside of another frame. */
export const frameStart = '{"frame":';

/** A frame's header. `sum` covers all of the others, and the body. */
export interface FrameHeader {
  readonly frame: number;
  readonly bytes: number;
  /** The sum of the frame before. */
  readonly prev: string;
  readonly sum: string;
}

const headerForm =
  /^\{"frame":(0|[1-9]\d{0,14}),"bytes":(0|[1-9]\d{0,9}),"prev":"([0-9a-f]{32})","sum":"([0-9a-f]{32})"\}$/;

/** A frame ready to be written: a header line, then `body`, whole lines. */
export function encodeFrame(
  frame: number,
  prev: string,
  body: Buffer,
): { bytes: Buffer; sum: string } {
  const sum = sumOf(frame, prev, body);
  const header = `{"frame":${frame},"bytes":${body.length},"prev":"${prev}","sum":"${sum}"}\n`;
  const bytes = Buffer.allocUnsafeSlow(header.length + body.length);
  bytes.write(header, "latin1");
  body.copy(bytes, header.length);
  return { bytes, sum };
}

/** Reads a header line without its line break, or gives `null`. Says nothing about the body yet. */
export function decodeHeader(line: string): FrameHeader | null {
  const match = headerForm.exec(line);
  if (match === null) return null;
  const [, frame, bytes, prev = "", sum = ""] = match;
  return { frame: Number(frame), bytes: Number(bytes), prev, sum };
}

/** Whether `body` is what the header was written for. */
export function isIntact(header: FrameHeader, body: Buffer): boolean {
  return body.length === header.bytes && sumOf(header.frame, header.prev, body) === header.sum;
}

/** 128 bits of SHA-256: a changed frame isn't found by chance, nor one moved to another place. */
function sumOf(frame: number, prev: string, body: Buffer): string {
  return createHash("sha256")
    .update(`${frame} ${body.length} ${prev}\n`)
    .update(body)
    .digest("hex")
    .slice(0, 32);
}

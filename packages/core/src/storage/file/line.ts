/** A line taken apart. `documents` hold JSON that was not parsed, by name. */
export interface ParsedLine {
  readonly members: Readonly<Record<string, unknown>>;
  readonly documents: Readonly<Record<string, string>>;
}

const tab = 0x09;
const colon = 0x3a;
const none: Readonly<Record<string, string>> = Object.freeze({});

/** JSON of a text. */
export function text(value: string): string {
  return JSON.stringify(value);
}

/**
 * Parses `"name":…,"name":…,⇥"document":…,⇥"document":…}` in `bytes[start, end)`. Documents follow a tab, which JSON never
 * holds inside of a string, and are returned as the text they are.
 *
 * @throws SyntaxError
 */
export function parseLine(bytes: Buffer, start: number, end: number): ParsedLine {
  let at = bytes.indexOf(tab, start);
  if (at === -1 || at >= end) {
    return { members: parseObject(`{${bytes.toString("utf8", start, end)}`), documents: none };
  }
  const members = parseObject(`{${bytes.toString("utf8", start, at - 1)}}`);
  const documents: Record<string, string> = {};
  while (at < end) {
    const next = bytes.indexOf(tab, at + 1);
    // A document ends before ",⇥", the last one before "}".
    const stop = next === -1 || next >= end ? end - 1 : next - 1;
    const nameEnd = bytes.indexOf(colon, at);
    const name = bytes.toString("latin1", at + 2, nameEnd - 1);
    documents[name] = bytes.toString("utf8", nameEnd + 1, stop);
    at = next === -1 ? end : next;
  }
  return { members, documents };
}

/** Parses a line that is one plain object. @throws SyntaxError */
export function parseObject(json: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(json);
  if (typeof value !== "object" || value === null) throw new SyntaxError("not an object");
  return value as Record<string, unknown>;
}

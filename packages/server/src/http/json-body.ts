import { isUtf8 } from "node:buffer";
import type { IncomingHttpHeaders } from "node:http";
import { StorageError } from "@codespar/core";
import { HttpError } from "../errors.ts";

/**
 * Refuses a body that says of itself that it is encoded otherwise than it will be read: not compressed, and in UTF-8.
 *
 * @throws HttpError `UNSUPPORTED_MEDIA_TYPE`
 */
export function refuseEncoded(headers: IncomingHttpHeaders): void {
  const encoding = headers["content-encoding"]?.trim().toLowerCase();
  if (encoding !== undefined && encoding !== "" && encoding !== "identity")
    throw new HttpError("UNSUPPORTED_MEDIA_TYPE", "Send the body without Content-Encoding.", {
      // RFC 9110 §12.5.3: tells what would have been read.
      "accept-encoding": "identity",
    });
  const charset = /;\s*charset\s*=\s*"?([^\s";]+)/i.exec(headers["content-type"] ?? "")?.[1];
  if (charset !== undefined && !/^utf-?8$|^us-ascii$/i.test(charset))
    throw new HttpError("UNSUPPORTED_MEDIA_TYPE", "Send JSON in UTF-8.");
}

/**
 * Parses a JSON body without changing what it says: bytes that aren't UTF-8, members that stand twice and integers with more digits than a
 * number keeps are refused instead of repaired, and `__proto__` is a member like any other.
 *
 * @returns the value; `undefined` for an empty body
 * @throws StorageError `VALIDATION`. Its message never quotes the body.
 */
export function parseJsonBody(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  if (!isUtf8(body)) throw refused("it isn't UTF-8");
  const text = body.toString("utf8");
  const value = parse(text);
  const { members, lost } = written(text);
  if (members !== membersKept(value)) throw refused("an object names the same member twice");
  if (lost !== null)
    throw refused(`the integer at position ${lost} has more digits than a number keeps`);
  return value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const position = error instanceof SyntaxError ? /at position \d+/.exec(error.message) : null;
    throw refused(position === null ? "its syntax is wrong" : `its syntax is wrong ${position[0]}`);
  }
}

function refused(why: string): StorageError {
  return new StorageError(
    "VALIDATION",
    `The body is not acceptable JSON: ${why}. Correct it and send it again.`,
  );
}

/** What stands outside of the strings of valid JSON: how many members, one for every colon, and where the first integer is that would be rounded. */
function written(text: string): { readonly members: number; readonly lost: number | null } {
  let members = 0;
  let lost: number | null = null;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit === 0x22) i = endOfString(text, i + 1);
    else if (unit === 0x3a) members += 1;
    else if (isDigit(unit)) {
      const start = i;
      i = endOfNumber(text, start) - 1;
      if (lost === null && losesDigits(text.slice(start, i + 1))) lost = start;
    }
  }
  return { members, lost };
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}

/** Behind its digits, point and exponent. */
function endOfNumber(text: string, start: number): number {
  let end = start;
  while (end < text.length && !/[^\d.eE+-]/.test(text.charAt(end))) end += 1;
  return end;
}

/**
 * Whether it is an integer that isn't the number which `JSON.parse` makes of it (RFC 8259 §6), nor written as JavaScript writes that number:
 * with zeros in place of digits that don't tell it from others. Without its sign.
 */
function losesDigits(number: string): boolean {
  if (number.length < shortestLost || !/^\d+$/.test(number)) return false;
  if (number.length > longestKept) return true;
  const kept = Number(number);
  return String(kept) !== number && BigInt(kept) !== BigInt(number);
}

/** 2^53, behind which integers have gaps, has sixteen digits; the largest double has 309. */
const shortestLost = 16;
const longestKept = 309;

function endOfString(text: string, start: number): number {
  for (let i = start; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit === 0x22) return i;
    if (unit === 0x5c) i += 1;
  }
  return text.length;
}

/** Counts without recursion: a body may nest as deep as it is long. */
function membersKept(value: unknown): number {
  let members = 0;
  const open: unknown[] = [value];
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    if (typeof at !== "object" || at === null) continue;
    const items: unknown[] = Object.values(at);
    if (!Array.isArray(at)) members += items.length;
    for (const item of items) if (typeof item === "object" && item !== null) open.push(item);
  }
  return members;
}

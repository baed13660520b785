import type { StoredRecord } from "../backend.ts";

const quote = 0x22;
const backslash = 0x5c;
const agentName = '"agent_id":"'.length;
const keyName = ',"key":"'.length;
const versionName = ',"version":"'.length;
const createdName = ',"created_at":"'.length;
const updatedName = ',"updated_at":"'.length;
const expiresName = ',"expires_at":'.length;
const valueName = ',\t"value":'.length;
const letterN = 0x6e;

let lastInstant = "";

/**
 * Reads a line of `agent_memory` of which no text but the value needs unescaping, as nearly all are, without parsing it: there may
 * be two million.
 *
 * @returns `null` when the line has to be parsed
 */
export function readMemoryEntry(
  bytes: Buffer,
  start: number,
  end: number,
  intern: (text: string) => string,
): StoredRecord | null {
  const agentAt = start + agentName;
  const agentEnd = endOfText(bytes, agentAt, end);
  const keyAt = agentEnd + 1 + keyName;
  const keyEnd = endOfText(bytes, keyAt, end);
  const versionAt = keyEnd + 1 + versionName;
  const versionEnd = endOfText(bytes, versionAt, end);
  const createdAt = versionEnd + 1 + createdName;
  const createdEnd = endOfText(bytes, createdAt, end);
  const updatedAt = createdEnd + 1 + updatedName;
  const updatedEnd = endOfText(bytes, updatedAt, end);
  const expiresAt = updatedEnd + 1 + expiresName;
  const never = bytes[expiresAt] === letterN;
  const expiresEnd = never ? expiresAt + "null".length : endOfText(bytes, expiresAt + 1, end) + 1;
  if (
    agentEnd < 0 ||
    keyEnd < 0 ||
    versionEnd < 0 ||
    createdEnd < 0 ||
    updatedEnd < 0 ||
    expiresEnd < 1
  ) {
    return null;
  }
  const created = instant(bytes, createdAt, createdEnd);
  return {
    key: [intern(bytes.toString("utf8", agentAt, agentEnd)), bytes.toString("utf8", keyAt, keyEnd)],
    columns: { value: bytes.toString("utf8", expiresEnd + valueName, end - 1) },
    version: bytes.toString("utf8", versionAt, versionEnd),
    createdAt: created,
    updatedAt: instant(bytes, updatedAt, updatedEnd),
    expiresAt: never ? null : bytes.toString("latin1", expiresAt + 1, expiresEnd - 1),
  };
}

/** Where the text ends that begins at `at`, or something below zero when it has escapes or no end. */
function endOfText(bytes: Buffer, at: number, end: number): number {
  if (at < 0) return absent;
  for (let i = at; i < end; i++) {
    const byte = bytes[i];
    if (byte === quote) return i;
    if (byte === backslash) break;
  }
  return absent;
}

/** So far below zero that whatever is added to it stays below. */
const absent = -1_000_000;

/** Neighbours often have the same instant; it is then kept once. */
function instant(bytes: Buffer, start: number, end: number): string {
  const text = bytes.toString("latin1", start, end);
  if (text !== lastInstant) lastInstant = text;
  return lastInstant;
}

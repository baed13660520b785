import { Secret } from "../crypto/secret.ts";
import { limits } from "../domain/limits.ts";
import { kindOf } from "../domain/text.ts";
import { invalid, StorageError } from "../errors/storage-error.ts";

/**
 * Turns a value into its JSON text.
 *
 * @param maxBytes - UTF-8 bytes
 * @throws StorageError `VALIDATION` when JSON can't hold the value without loss, `LIMIT_EXCEEDED` when it is too large or deep
 */
export function encodeValue(value: unknown, what: string, maxBytes: number): string {
  const text = stringify(value, what);
  if (text === undefined)
    throw invalid(
      `${what} must be a JSON value, not ${kindOf(value)}. Use null, or delete the key.`,
    );
  if (text.length * 3 > maxBytes) {
    const bytes = Buffer.byteLength(text);
    if (bytes > maxBytes)
      throw new StorageError(
        "LIMIT_EXCEEDED",
        `${what} must be at most ${maxBytes} bytes of JSON, is ${bytes}.`,
      );
  }
  if (exceedsDepth(text)) throw tooDeep(what);
  checkLossless(value, what);
  return text;
}

function stringify(value: unknown, what: string): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (error) {
    throw unconvertible(error, what);
  }
}

function unconvertible(error: unknown, what: string): StorageError {
  if (error instanceof RangeError) return tooDeep(what);
  const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
  return invalid(`${what} can't be represented as JSON: ${reason}.`, error);
}

function tooDeep(what: string): StorageError {
  return new StorageError(
    "LIMIT_EXCEEDED",
    `${what} must nest at most ${limits.jsonDepth} levels of arrays and objects.`,
  );
}

/** Whether JSON text nests deeper than the limit. Brackets inside strings don't count. */
function exceedsDepth(text: string): boolean {
  if (text.length <= limits.jsonDepth * 2) return false;
  let depth = 0;
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i);
    if (unit === 0x22) i = endOfString(text, i);
    else if (unit === 0x5b || unit === 0x7b) {
      depth += 1;
      if (depth > limits.jsonDepth) return true;
    } else if (unit === 0x5d || unit === 0x7d) depth -= 1;
  }
  return false;
}

/** Index of the quote that ends the JSON string which starts at `start`. */
export function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end !== -1 && escaped(text, end)) end = text.indexOf('"', end + 1);
  return end === -1 ? text.length : end;
}

function escaped(text: string, index: number): boolean {
  let backslashes = 0;
  while (text.charCodeAt(index - 1 - backslashes) === 0x5c) backslashes += 1;
  return backslashes % 2 === 1;
}

/** What `JSON.stringify` drops or makes null silently, and where it stands. */
interface Loss {
  readonly path: string;
  readonly kind: string;
}

function checkLossless(value: unknown, what: string): void {
  let loss: Loss | null;
  try {
    loss = lossIn(value, "", new Set());
  } catch (error) {
    // A getter or toJSON that works only once.
    throw unconvertible(error, what);
  }
  if (loss === null) return;
  if (loss.kind === secret) {
    throw invalid(
      `${what}${loss.path} is a Secret, which can't be stored here: use channelConfigs or slackInstallations, which seal it.`,
    );
  }
  throw invalid(
    `${what}${loss.path} is ${loss.kind}, which JSON can't hold: use null, a number, text, an array or an object.`,
  );
}

/**
 * Every value is walked, so the path is made only on the way back from a loss.
 *
 * @param key - the property or index that holds the value; `undefined` for what is walked as it is, whatever its `toJSON`
 */
function lossIn(value: unknown, key: string | number | undefined, seen: Set<object>): Loss | null {
  if (typeof value === "number") return Number.isFinite(value) ? null : loss(String(value));
  if (typeof value === "function" || typeof value === "symbol") return loss(`a ${typeof value}`);
  if (typeof value !== "object" || value === null) return null;
  if (key !== undefined) {
    // A value that stands in several places is walked once.
    if (seen.has(value)) return null;
    seen.add(value);
    if ("toJSON" in value && typeof value.toJSON === "function") {
      return lossInReplaced(value as Replaced, key, seen);
    }
  }
  return Array.isArray(value) ? lossInArray(value, seen) : lossInObject(value, seen);
}

interface Replaced {
  toJSON(key: string): unknown;
}

/** What stands for such a value is asked for once more: it can hold what JSON can't, just as others can. */
function lossInReplaced(value: Replaced, key: string | number, seen: Set<object>): Loss | null {
  if (value instanceof Date && value.toJSON === Date.prototype.toJSON) {
    return Number.isNaN(value.getTime()) ? loss("an invalid Date") : null;
  }
  if (value instanceof Secret) return loss(secret);
  const found = value.toJSON(String(key));
  if (found === undefined) return typeof key === "number" ? loss("undefined") : null;
  return lossIn(found, undefined, seen);
}

function lossInArray(items: readonly unknown[], seen: Set<object>): Loss | null {
  // By index: entries() and forEach() skip holes, and JSON turns those into null.
  for (let i = 0; i < items.length; i += 1) {
    const found = items[i] === undefined ? loss("undefined") : lossIn(items[i], i, seen);
    if (found !== null) return { ...found, path: `[${i}]${found.path}` };
  }
  return null;
}

function lossInObject(value: object, seen: Set<object>): Loss | null {
  const prototype: unknown = Object.getPrototypeOf(value);
  // Most are plain, and those are quickly told.
  const loses = prototype === Object.prototype ? null : lossOfType(value);
  if (loses !== null) return loses;
  for (const key of Object.keys(value)) {
    const found = lossIn(value[key as keyof typeof value], key, seen);
    if (found !== null) return { ...found, path: `.${key}${found.path}` };
  }
  return null;
}

function lossOfType(value: object): Loss | null {
  const emptied = emptiedTypes.find((type) => value instanceof type);
  if (emptied !== undefined) return loss(`a ${emptied.name}`);
  if (ArrayBuffer.isView(value)) return loss("binary data");
  if (value instanceof Secret) return loss(secret);
  return value instanceof Number ? lossIn(Number(value), "", new Set()) : null;
}

/** JSON would hold "[secret]" in its place. */
const secret = "a Secret";
const emptiedTypes = [Map, Set, WeakMap, WeakSet, RegExp, Error, ArrayBuffer, Promise];

const loss = (kind: string): Loss => ({ path: "", kind });

import { Buffer } from "node:buffer";

/** What is wrong with a text, and which kind of error that is. */
export interface TextProblem {
  readonly code: "VALIDATION" | "LIMIT_EXCEEDED";
  readonly message: string;
}

const controlCharacters = /\p{Cc}/u;

/**
 * The one rule for ids, keys and names: well-formed Unicode, no control characters, not empty, at most `maxBytes` UTF-8 bytes.
 *
 * @returns what is wrong, or `null`
 */
export function textProblem(value: unknown, maxBytes: number): TextProblem | null {
  if (typeof value !== "string")
    return { code: "VALIDATION", message: `must be a string, not ${kindOf(value)}` };
  if (value.length === 0) return { code: "VALIDATION", message: "must not be empty" };
  // A UTF-16 unit makes at most three UTF-8 bytes: short texts need no counting.
  if (value.length * 3 > maxBytes) {
    const bytes = Buffer.byteLength(value);
    if (bytes > maxBytes) {
      return {
        code: "LIMIT_EXCEEDED",
        message: `must have at most ${maxBytes} UTF-8 bytes, has ${bytes}`,
      };
    }
  }
  if (!value.isWellFormed())
    return {
      code: "VALIDATION",
      message: "must be well-formed Unicode: it holds a lone surrogate",
    };
  if (controlCharacters.test(value))
    return { code: "VALIDATION", message: "must not hold control characters" };
  return null;
}

/** Names a value's kind for an error message, never the value: it may be a secret. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (value === undefined) return "undefined";
  const kind = typeof value;
  return kind === "object" ? "an object" : `a ${kind}`;
}

/** Whether a value is an object of no class of its own, from whatever realm. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Compares as UTF-8 bytes do; JavaScript's own order puts U+E000 to U+FFFF after the characters beyond them. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return codePointRank(x) - codePointRank(y);
  }
  return a.length - b.length;
}

/** Moves surrogates, which encode the characters beyond U+FFFF, behind all other units. */
function codePointRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

import { addAbortSignal } from "node:stream";
import { InvalidArgumentError } from "commander";
import { usage } from "./failure.ts";
import { note } from "./output.ts";

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Reads a duration such as `90s`, `10m`, `12h` or `30d` as milliseconds. */
export function parseDuration(text: string): number {
  const [, amount, unit] = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text) ?? [];
  if (amount === undefined) {
    throw new InvalidArgumentError("Write it as a number with ms, s, m, h or d, for example 10m.");
  }
  return Number(amount) * unitMs[unit as keyof typeof unitMs];
}

/** Reads a whole number that is not negative. */
export function parseCount(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  return Number(text);
}

/** An address of a server. @param what - the option or variable that holds it */
export function checkUrl(what: string, url: string): string {
  if (/^https?:\/\//.test(url) && URL.canParse(url)) return url;
  // Not shown: a key or a password may have got there.
  throw usage(`${what} must be an address such as http://localhost:3000.`);
}

/** The value that VALUE stands for: JSON, or with `asText` the text itself; `-` reads standard input. */
export async function readValue(
  argument: string,
  asText: boolean,
  signal: AbortSignal,
): Promise<unknown> {
  const text = argument === "-" ? await readStandardInput(signal) : argument;
  return asText ? text : parseJson(text);
}

function parseJson(text: string): unknown {
  const lost = lostNumber(text);
  if (lost !== undefined) {
    throw usage(
      `VALUE holds ${lost}, which a JSON number here can't keep exactly. Write it as a string: "${lost}".`,
    );
  }
  try {
    return JSON.parse(text);
  } catch {
    throw usage(
      `VALUE is not JSON. For text, add --string, or quote it twice: '"text"'. To read it from standard input, give -.`,
    );
  }
}

const longestShown = 40;

/**
 * The first number in JSON text that `JSON.parse` would change without a word: an integer with digits that a double can't hold, and
 * whatever is too large for one, of which `JSON.stringify` would make null on its way to a server.
 */
function lostNumber(json: string): string | undefined {
  const withoutStrings = json.replace(/"(?:[^"\\]|\\.)*"/g, '""');
  const numbers = withoutStrings.match(/-?\d[\d.eE+-]*/g) ?? [];
  const lost = numbers.find((number) => overflows(number) || losesDigits(number));
  return lost === undefined || lost.length <= longestShown
    ? lost
    : `${lost.slice(0, longestShown)}…`;
}

function overflows(number: string): boolean {
  return Math.abs(Number(number)) === Infinity;
}

function losesDigits(number: string): boolean {
  return /^-?\d{16,}$/.test(number) && BigInt(number) !== BigInt(Number(number));
}

async function readStandardInput(signal: AbortSignal): Promise<string> {
  if (process.stdin.isTTY) note("Type VALUE, then end with Ctrl-D:");
  const { limits } = await import("@codespar/core");
  // JSON may be written with more white space than value, but not without bound.
  const most = 16 * limits.valueBytesMax;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of addAbortSignal(signal, process.stdin) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > most)
      throw usage(`Standard input is longer than ${most} bytes, which no VALUE can be.`);
    chunks.push(chunk);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
  } catch {
    throw usage("Standard input is not UTF-8 text. Convert it first, for example with base64.");
  }
}

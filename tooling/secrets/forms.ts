import { inspect } from "node:util";

/** One way in which bytes may be written. */
export interface Needle {
  readonly form: string;
  readonly bytes: Buffer;
}

/** Every form in which we look for bytes that nobody may see. */
export function formsOf(part: Buffer): Needle[] {
  const text = part.toString("utf8");
  const isText = Buffer.from(text, "utf8").equals(part);
  const all = [
    { form: "plain", bytes: part },
    ...[0, 1, 2].map((offset) => ({ form: `base64 at ${offset}`, bytes: base64Of(part, offset) })),
    { form: "hex", bytes: Buffer.from(part.toString("hex")) },
    { form: "HEX", bytes: Buffer.from(part.toString("hex").toUpperCase()) },
    { form: "escaped bytes", bytes: Buffer.from(percentOf(part)) },
    { form: "escaped bytes in lower case", bytes: Buffer.from(percentOf(part).toLowerCase()) },
    ...(isText ? textForms(text) : []),
  ];
  const url = all
    .filter(({ form }) => form.startsWith("base64"))
    .map(({ form, bytes }) => ({
      form: form.replace("base64", "base64url"),
      bytes: urlSafe(bytes),
    }));
  return distinct([...all, ...url]);
}

function textForms(text: string): Needle[] {
  const json = JSON.stringify(text).slice(1, -1);
  const swapped = Buffer.from(text, "utf16le").swap16();
  const url = encodeURIComponent(text);
  return [
    { form: "URL-encoded", bytes: Buffer.from(url) },
    { form: "URL-encoded in lower case", bytes: Buffer.from(lowerEscapes(url)) },
    {
      form: "as in a form",
      bytes: Buffer.from(new URLSearchParams([["", text]]).toString().slice(1)),
    },
    { form: "as in a path", bytes: Buffer.from(encodeURI(text)) },
    { form: "JSON", bytes: Buffer.from(json) },
    { form: "ASCII JSON", bytes: Buffer.from(asciiOf(json)) },
    { form: "JSON in JSON", bytes: Buffer.from(JSON.stringify(json).slice(1, -1)) },
    { form: "inspected", bytes: Buffer.from(inspect(text).slice(1, -1)) },
    { form: "Latin-1", bytes: Buffer.from(text, "latin1") },
    { form: "UTF-16LE", bytes: Buffer.from(text, "utf16le") },
    { form: "UTF-16BE", bytes: swapped },
  ];
}

/** What base64 of a longer text holds of a part that begins at this offset modulo 3, whatever stands around it. */
export function base64Of(part: Buffer, offset: number): Buffer {
  const padded = Buffer.concat([Buffer.alloc(offset), part]).toString("base64");
  const begin = Math.ceil((offset * 8) / 6);
  const end = Math.floor(((offset + part.length) * 8) / 6);
  return Buffer.from(padded.slice(begin, end));
}

function urlSafe(base64: Buffer): Buffer {
  return Buffer.from(base64.toString("latin1").replaceAll("+", "-").replaceAll("/", "_"));
}

function percentOf(part: Buffer): string {
  return [...part].map((byte) => `%${byte.toString(16).padStart(2, "0").toUpperCase()}`).join("");
}

function lowerEscapes(url: string): string {
  return url.replace(/%../g, (escaped) => escaped.toLowerCase());
}

function asciiOf(json: string): string {
  return json.replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Many forms are the same for most texts: each is then named after the first. */
function distinct(needles: readonly Needle[]): Needle[] {
  const byBytes = new Map<string, Needle>();
  for (const needle of needles) {
    const bytes = needle.bytes.toString("latin1");
    if (!byBytes.has(bytes)) byBytes.set(bytes, needle);
  }
  return [...byBytes.values()];
}

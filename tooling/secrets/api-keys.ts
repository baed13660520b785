import { base64Of } from "./forms.ts";

const apiKey =
  /csk_[A-Za-z0-9_-]{1,171}_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}_[A-Za-z0-9_-]{43}/;

/** One way in which a text may be written: how an API key begins in it, and how what follows is read. */
interface Writing {
  readonly form: string;
  readonly begins: Buffer;
  /** How many bytes before the beginning have to be read with it. */
  readonly before: number;
  readonly read: (text: string) => string;
}

const begins = Buffer.from("csk_");
const asIs = (text: string) => text;
const fromHex = (text: string) => Buffer.from(text, "hex").toString("latin1");

/** API keys are made by the product and hold no marker. They are known by how they look. */
const writings: readonly Writing[] = [
  { form: "an API key", begins, before: 0, read: asIs },
  {
    form: "an API key in UTF-16",
    begins: Buffer.from("c\0s\0k\0_"),
    before: 0,
    read: (text) => text.replaceAll("\0", ""),
  },
  ...[begins.toString("hex"), begins.toString("hex").toUpperCase()].map((text) => ({
    form: "an API key in hex",
    begins: Buffer.from(text),
    before: 0,
    read: fromHex,
  })),
  ...[0, 1, 2].map((offset) => ({
    form: "an API key in base64",
    begins: base64Of(begins, offset),
    before: Math.ceil((offset * 8) / 6),
    read: (text: string) => Buffer.from(text, "base64").toString("latin1"),
  })),
];

/** Longer than a key, twice over for hex and UTF-16. */
const windowBytes = 1024;

/** How the first API key that stands in these bytes is written. */
export function apiKeyIn(bytes: Buffer): string | undefined {
  return writings.find((writing) => stands(bytes, writing))?.form;
}

function stands(bytes: Buffer, { begins, before, read }: Writing): boolean {
  for (let at = bytes.indexOf(begins); at !== -1; at = bytes.indexOf(begins, at + 1)) {
    const text = bytes.toString("latin1", Math.max(0, at - before), at + windowBytes);
    if (apiKey.test(read(text))) return true;
  }
  return false;
}

import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { search } from "./search.ts";
import { awkward, sealingKey, token } from "./tokens.ts";

/** Encoders that owe nothing to those of the search. */
const writers: Readonly<Record<string, (text: string) => string | Buffer>> = {
  plain: (text) => text,
  base64: (text) => Buffer.from(text).toString("base64"),
  base64url: (text) => Buffer.from(text).toString("base64url"),
  hex: (text) => Buffer.from(text).toString("hex"),
  "upper-case hex": (text) => Buffer.from(text).toString("hex").toUpperCase(),
  "URL-encoded": encodeURIComponent,
  "a path": (text) => new URL(`http://host/${text.replaceAll("\\", "%5C")}`).pathname,
  "a query": (text) => new URLSearchParams({ text }).toString(),
  JSON: (text) => JSON.stringify({ text }),
  "JSON in JSON": (text) => JSON.stringify({ text: JSON.stringify({ text }) }),
  inspected: (text) => inspect({ error: new Error("failed"), text }),
  "UTF-16": (text) => Buffer.from(text, "utf16le"),
  "UTF-16, the other way": (text) => Buffer.from(text, "utf16le").swap16(),
  "Latin-1": (text) => Buffer.from(text, "latin1"),
};

describe("the search for planted tokens", () => {
  it.each(Object.entries(writers))(
    "finds what is written as %s, wherever it begins",
    (_, write) => {
      for (let before = 0; before < 6; before += 1) {
        const secret = token("secret", awkward());
        const around = `${"a".repeat(before)}${secret.text} and more`;
        for (const text of [around, secret.text, around.replace(secret.text.slice(0, 25), "")]) {
          const bytes = Buffer.from(write(text));
          expect(search([{ where: "here", bytes }], [secret])).not.toEqual([]);
        }
        const other = token("another", awkward());
        expect(search([{ where: "here", bytes: Buffer.from(write(around)) }], [other])).toEqual([]);
      }
    },
  );

  it("finds the bytes of a key, and those of half of it", () => {
    const bytes = randomBytes(32);
    const key = sealingKey("key", bytes.toString("base64"));
    const ways = [
      bytes.toString("hex"),
      bytes,
      bytes.subarray(16),
      bytes.toString("base64url"),
      key.text,
    ];
    for (const way of ways) {
      const content = Buffer.concat([
        Buffer.from("x"),
        Buffer.from(way as string),
        Buffer.from("y"),
      ]);
      expect(search([{ where: "here", bytes: content }], [key])).not.toEqual([]);
    }
  });
});

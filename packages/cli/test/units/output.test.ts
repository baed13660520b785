import { describe, expect, it } from "vitest";
import { columns, jsonText } from "../../src/output.ts";

describe("jsonText", () => {
  it("escapes what could drive or deceive a terminal, and stays the same value", () => {
    const value = { "a\u009b31m": "\u202egnp.exe\u2069 \u007f\u2028", "\u001b[2J": "é😀" };
    const text = jsonText(value);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(text).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/);
    expect(text).toContain("é😀");
    expect(JSON.parse(text)).toEqual(value);
  });

  it("prints lone surrogates so that they read back", () => {
    expect(JSON.parse(jsonText("\ud800"))).toBe("\ud800");
  });
});

describe("columns", () => {
  it("align, without trailing spaces", () => {
    expect(
      columns([
        ["A", "LONG", "C"],
        ["bbb", "", ""],
      ]),
    ).toEqual(["A    LONG  C", "bbb"]);
  });
});

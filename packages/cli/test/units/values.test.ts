import { describe, expect, it } from "vitest";
import { parseCount, parseDuration, readValue } from "../../src/values.ts";

const { signal } = new AbortController();

describe("durations", () => {
  it.each([
    ["250ms", 250],
    ["90s", 90_000],
    ["10m", 600_000],
    ["12h", 43_200_000],
    ["30d", 2_592_000_000],
  ])("%s is %d milliseconds", (text, expected) => {
    expect(parseDuration(text)).toBe(expected);
  });

  it.each(["", "10", "m", "1.5h", "-1s", "1 h", "1y", "1e3s", "9999999999999s"])(
    "%j is refused",
    (text) => {
      expect(() => parseDuration(text)).toThrow(/for example 10m/);
    },
  );
});

describe("counts", () => {
  it.each(["", "-1", "1.5", "1e3", "0x10", " 1", "ten"])("%j is refused", (text) => {
    expect(() => parseCount(text)).toThrow(/whole number/);
  });
});

describe("VALUE", () => {
  it("is JSON, whatever JSON it is", async () => {
    await expect(readValue('{"__proto__":[1,null,"\\ud800"]}', false, signal)).resolves.toEqual(
      JSON.parse('{"__proto__":[1,null,"\\ud800"]}'),
    );
    await expect(readValue("-5.50", false, signal)).resolves.toBe(-5.5);
  });

  it("is the text itself with --string", async () => {
    await expect(readValue('{"a":1}', true, signal)).resolves.toBe('{"a":1}');
  });

  it("says how to give text when it isn't JSON, and doesn't repeat it", async () => {
    const failure = expect(readValue("hunter2", false, signal)).rejects;
    await failure.toThrow(/add --string/);
    await expect(readValue("hunter2", false, signal)).rejects.not.toThrow(/hunter2/);
  });

  it.each(["12345678901234567890", '{"id":9007199254740993}', "[-9007199254740993]"])(
    "%s would lose digits and is refused",
    async (text) => {
      await expect(readValue(text, false, signal)).rejects.toThrow(/as a string/);
    },
  );

  it.each(["1e400", "-1e400", '{"a":[{"b":1.5E+309}]}', "9".repeat(400)])(
    "number %# is larger than any here and is refused",
    async (text) => {
      await expect(readValue(text, false, signal)).rejects.toThrow(
        /^VALUE holds .{1,100}as a string/,
      );
    },
  );

  it.each([
    "9007199254740992",
    '"12345678901234567890"',
    "1.12345678901234567890",
    "1e20",
    "1e308",
    '"1e400"',
  ])("%s keeps its digits", async (text) => {
    await expect(readValue(text, false, signal)).resolves.toEqual(JSON.parse(text));
  });
});

import { expect, test } from "vitest";
import { testSecret } from "../../../../tooling/secrets.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

const nested = (depth: number): unknown => {
  let value: unknown = 1;
  for (let level = 0; level < depth; level += 1) value = level % 2 === 0 ? [value] : { v: value };
  return value;
};

const roundTrips: readonly [name: string, value: unknown][] = [
  ["booleans", [true, false]],
  ["a string that looks like a number", "123"],
  ["a string that looks like JSON", '{"a":1}'],
  ["an empty string", ""],
  ["empty containers", { array: [], object: {}, nested: [[], {}] }],
  ["NUL", "before\u0000after"],
  ["NUL in a property name", { "a\u0000b": "\u0000" }],
  ["lone surrogates", ["\ud800", "\udfff", "a\udc00b", "\ud83d"]],
  ["a lone surrogate in a property name", { "\ud800": 1 }],
  [
    "every control character",
    Array.from({ length: 160 }, (_, code) => String.fromCharCode(code)).join(""),
  ],
  ["line separators", "\u2028\u2029\ufeff\ufffe\uffff"],
  ["emoji, combining marks and right-to-left text", "👩‍👩‍👧‍👦 e\u0301 עברית 𝒳"],
  ["escapes that aren't", "\\u0000 \\ud800 \\ \" ' `"],
  ["largest safe integers", [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]],
  [
    "the ends of the doubles",
    [Number.MAX_VALUE, Number.MIN_VALUE, -Number.MAX_VALUE, Number.EPSILON, 1e21, 1e-7],
  ],
  ["integers beyond the safe ones", [2 ** 53, 2 ** 64, Number("12345678901234567890")]],
  ["fractions", [0.1, 0.1 + 0.2, 1 / 3, 1.1]],
  [
    "property names of Object.prototype",
    JSON.parse('{"__proto__":{"a":1},"constructor":2,"toString":3,"hasOwnProperty":4}'),
  ],
  ["integer-like property names", { 10: "ten", 9: "nine", a: "a", "-1": "minus", "01": "padded" }],
  ["an empty property name", { "": { "": null } }],
  ["64 levels", nested(64)],
  ["brackets in strings", "[".repeat(200)],
  ["brackets after an escaped quote", `\\"${"[{".repeat(100)}`],
  ["a long array", Array.from({ length: 5000 }, (_, index) => index)],
  ["a value that stands in two places", [nested(3), nested(3)]],
];

describeEachBackend("values that round-trip:", { everyLogin: true }, (backend) => {
  test.each(roundTrips)("%s", async (_name, value) => {
    const { memory } = backend.open();
    await memory.set("agent", "key", value);
    expect(await memory.get("agent", "key")).toStrictEqual(value);
    await memory.setMany("agent", [{ key: "key 2", value }]);
    expect((await memory.list("agent")).items.map((entry) => entry.value)).toStrictEqual([
      value,
      value,
    ]);
  });

  test("all of them again after closing and opening", async () => {
    const first = backend.open();
    for (const [name, value] of roundTrips) await first.memory.set("agent", name, value);
    await first.close();
    const { memory } = backend.open();
    for (const [name, value] of roundTrips) {
      expect(await memory.get("agent", name), name).toStrictEqual(value);
    }
  });

  test("all of them as details of audit entries, whose trail verifies", async () => {
    const first = backend.open();
    for (const [name, details] of roundTrips) {
      const entry = await first.audit.append({ action: "test.value", details });
      expect(entry.details, name).toStrictEqual(details);
    }
    await first.close();
    const { audit } = backend.open();
    const { items } = await audit.list({ order: "asc" });
    expect(items.map(({ details }) => details)).toStrictEqual(roundTrips.map(([, value]) => value));
    expect(await audit.verify()).toMatchObject({ verdict: "unanchored", size: roundTrips.length });
  });

  test("what JSON.stringify makes of dates, toJSON, undefined properties and -0 is what is stored", async () => {
    const { memory } = backend.open();
    class Money {
      readonly #cents: number;
      constructor(cents: number) {
        this.#cents = cents;
      }
      toJSON() {
        return { cents: this.#cents };
      }
    }
    const money = new Money(5);
    const value = {
      at: new Date(Date.UTC(2024, 0, 2)),
      money,
      left: undefined,
      zero: -0,
      boxed: [Object("text"), Object(1), Object(true)],
      gone: { toJSON: () => undefined },
      keyed: [{ toJSON: (at: string) => at }],
      twice: [money, money],
    };
    await memory.set("agent", "key", value);
    expect(await memory.get("agent", "key")).toStrictEqual({
      at: "2024-01-02T00:00:00.000Z",
      money: { cents: 5 },
      zero: 0,
      boxed: ["text", 1, true],
      keyed: ["0"],
      twice: [{ cents: 5 }, { cents: 5 }],
    });
  });

  test("a property called __proto__ stays data", async () => {
    const { memory } = backend.open();
    await memory.set("agent", "__proto__", JSON.parse('{"__proto__":{"polluted":true}}'));
    await memory.set("__proto__", "constructor", 1);
    const value = await memory.get<object>("agent", "__proto__");
    expect(Object.keys(value ?? {})).toEqual(["__proto__"]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect("polluted" in {}).toBe(false);
    expect(await memory.get("__proto__", "constructor")).toBe(1);
    expect(await memory.get("__proto__", "toString")).toBeNull();
  });
});

describeEachBackend("values are copies:", { everyLogin: true }, (backend) => {
  test("changing what was stored changes nothing", async () => {
    const { memory } = backend.open();
    const value = { list: [1] };
    const storing = memory.set("agent", "key", value);
    value.list.push(2);
    await storing;
    value.list.push(3);
    expect(await memory.get("agent", "key")).toEqual({ list: [1] });
  });

  test("changing what was read changes nothing", async () => {
    const { memory } = backend.open();
    await memory.set("agent", "key", { list: [1] });
    const read = await memory.get<{ list: number[] }>("agent", "key");
    read?.list.push(2);
    const [many] = await memory.getMany<{ list: number[] }>("agent", ["key"]);
    many?.value.list.push(3);
    expect(await memory.get("agent", "key")).toEqual({ list: [1] });
  });

  test("changing settings that were stored or read changes nothing", async () => {
    const { channelConfigs } = backend.open();
    const settings = { organisation: "acme" };
    await channelConfigs.set("sentry", { credentials: { token: testSecret() }, settings });
    settings.organisation = "other";
    expect(await channelConfigs.get("sentry")).toMatchObject({
      settings: { organisation: "acme" },
    });
  });
});

const cyclic: { self?: unknown } = {};
cyclic.self = cyclic;

const selfish = {
  lost: Number.NaN,
  toJSON() {
    return this;
  },
};
let asked = 0;
const once = {
  toJSON() {
    asked += 1;
    if (asked % 2 === 0) throw new TypeError("no");
    return 1;
  },
};

const refused: readonly [name: string, value: unknown][] = [
  ["undefined", undefined],
  ["a function", () => 1],
  ["a symbol", Symbol("s")],
  ["a BigInt", 1n],
  ["NaN", Number.NaN],
  ["Infinity inside", { a: [1, Number.POSITIVE_INFINITY] }],
  ["undefined in an array", [1, undefined, 3]],
  ["a hole in an array", new Array(2)],
  ["a function in an array", [() => 1]],
  ["a BigInt inside", { a: { b: 1n } }],
  ["a Map", new Map([["a", 1]])],
  ["a Set inside", { a: new Set([1]) }],
  ["an invalid Date", { at: new Date(Number.NaN) }],
  ["an Error", new Error("lost")],
  ["a regular expression", { a: /x/ }],
  ["a cycle", cyclic],
  [
    "a toJSON that throws",
    {
      toJSON() {
        throw new TypeError("no");
      },
    },
  ],
  ["a toJSON that gives nothing", { toJSON: () => undefined }],
  ["a toJSON that gives nothing, in an array", [{ toJSON: () => undefined }]],
  ["a toJSON that gives NaN", { a: { toJSON: () => Number.NaN } }],
  ["a toJSON that gives Infinity inside", { toJSON: () => ({ a: [Number.NEGATIVE_INFINITY] }) }],
  ["a toJSON that gives a Map", { a: [{ toJSON: () => new Map([["a", 1]]) }] }],
  ["a toJSON that gives itself", selfish],
  ["a toJSON that gives NaN in its array", [1, { toJSON: (at: string) => (at === "1" ? NaN : 1) }]],
  ["a toJSON in what a toJSON gives", { toJSON: () => [{ toJSON: () => Number.NaN }] }],
  ["a Date whose toJSON gives NaN", Object.assign(new Date(0), { toJSON: () => Number.NaN })],
  ["NaN in a box", { a: Object(Number.NaN) }],
  ["a toJSON that works only once", once],
];

describeEachBackend(
  "values that JSON can't hold are refused, and nothing is written:",
  (backend) => {
    test.each(refused)("%s", async (_name, value) => {
      const { memory, audit } = backend.open();
      await memory.set("agent", "key", "before");
      await expectCode(memory.set("agent", "key", value), "VALIDATION");
      await expectCode(
        memory.setMany("agent", [
          { key: "fine", value: 1 },
          { key: "key", value },
        ]),
        "VALIDATION",
      );
      if (value !== undefined) {
        await expectCode(audit.append({ action: "test.refused", details: value }), "VALIDATION");
      }
      expect(await memory.get("agent", "key")).toBe("before");
      expect(await memory.has("agent", "fine")).toBe(false);
      expect(await audit.verify()).toMatchObject({ size: 0 });
    });

    test("more than 64 levels, however deep", async () => {
      const { memory } = backend.open();
      for (const depth of [65, 1000, 200_000]) {
        await expectCode(memory.set("agent", "key", nested(depth)), "LIMIT_EXCEEDED");
      }
      expect(await memory.has("agent", "key")).toBe(false);
    });
  },
);

import fc from "fast-check";

class Stranger {
  readonly id = "a";
}

/** Values that no call expects, and none of which runs code of its own when it is looked at. */
export const anything: fc.Arbitrary<unknown> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom<unknown>("a", "k", 1, {}, undefined, "2030-01-01T00:00:00Z"),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom<unknown>(
      ...[
        "",
        ".",
        "..",
        "../x",
        "__proto__",
        "a\u0000b",
        "\ud800",
        "\udc00\ud800",
        "\uffff",
        "😀",
        " ",
      ],
      ...[
        "x".repeat(129),
        "x".repeat(1025),
        "x".repeat(70_000),
        "%",
        "'; --",
        "csk_",
        "0199a7c2-1b2f-7d3c-8e4f-5a6b7c8d9e0f",
      ],
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom<unknown>(
      ...[null, true, false, 0, -0, -1, 1.5, 1e21, 2 ** 53, NaN, Infinity, -Infinity],
      ...[
        10n,
        Symbol("s"),
        () => 1,
        async () => undefined,
        Object,
        new Date(NaN),
        new Date(8.64e15),
      ],
      ...[
        [],
        [[]],
        [null],
        [undefined],
        Array(3),
        new Map([["a", 1]]),
        new Set([1]),
        new Stranger(),
      ],
      ...[
        Object.create(null),
        JSON.parse('{"__proto__":{"x":1}}'),
        Buffer.from("a"),
        /a/,
        new Error("e"),
      ],
      ...[
        new Proxy({}, {}),
        Promise.resolve(1),
        new WeakMap(),
        AbortSignal.abort(),
        "abc".matchAll(/b/g),
      ],
    ),
  },
  { weight: 1, arbitrary: fc.constant(null).map(cyclic) },
  { weight: 1, arbitrary: fc.constantFrom(65, 20_000).map(nested) },
  { weight: 3, arbitrary: options() },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  {
    weight: 1,
    arbitrary: fc.anything({ withBigInt: true, withDate: true, withMap: true, maxDepth: 2 }),
  },
);

/** Objects whose members have the names that calls look for, and anything as values. */
function options(): fc.Arbitrary<unknown> {
  const name = fc.constantFrom(
    ...[
      "ifVersion",
      "ifAbsent",
      "ttlMs",
      "expiresAt",
      "record",
      "limit",
      "cursor",
      "reverse",
      "prefix",
    ],
    ...[
      "signal",
      "key",
      "value",
      "name",
      "scopes",
      "id",
      "actor",
      "action",
      "details",
      "outcome",
      "type",
    ],
    ...[
      "repository",
      "credentials",
      "settings",
      "teamId",
      "enterpriseId",
      "tokens",
      "overlapMs",
      "size",
    ],
    ...[
      "order",
      "from",
      "to",
      "format",
      "status",
      "source",
      "after",
      "trustedKeys",
      "checkpoint",
      "depth",
    ],
  );
  const value = fc.oneof(
    fc.constantFrom<unknown>(
      "a",
      "",
      1,
      -1,
      1.5,
      NaN,
      true,
      null,
      [],
      {},
      ["read"],
      { a: "b" },
      "desc",
    ),
    fc.constantFrom<unknown>(
      "deploy.started",
      "github/docs",
      { type: "user", id: "u" },
      5000,
      1n,
      Symbol("s"),
    ),
    fc.constantFrom<unknown>("\ud800", "\u0000", "x".repeat(70_000), new Date(NaN), () => 1, [
      undefined,
    ]),
  );
  return fc.dictionary(name, value, { maxKeys: 4 });
}

function cyclic(): unknown {
  const value: Record<string, unknown> = { key: "k" };
  value["value"] = value;
  return value;
}

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i += 1) value = i % 2 === 0 ? [value] : { value };
  return value;
}

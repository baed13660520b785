import { createHash, createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { commitment } from "../../src/audit/commitment.ts";
import { joinLeaf, prepareEntry, sealEntry } from "../../src/audit/entry.ts";
import { genesisHash, leafHash, sealingTime } from "../../src/audit/leaf.ts";
import { parseLeaf } from "../../src/audit/leaf-parse.ts";
import { canonicalJson } from "../support/canonical-json.ts";
import { bitsOf, es6Numbers } from "./vectors.ts";

describe("RFC 6962 leaf hashes", () => {
  // transparency-dev/merkle: rfc6962/rfc6962_test.go, testonly/constants.go; golang.org/x/mod: sumdb/tlog/note_test.go
  const vectors: readonly [bytes: Buffer, hash: string][] = [
    [Buffer.alloc(0), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"],
    [Buffer.from("L123456"), "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"],
    [
      Buffer.from("hello world"),
      Buffer.from("TszzRgjTG6xce+z2AG31kAXYKBgQVtCSCE40HmuwBb0=", "base64").toString("hex"),
    ],
  ];
  test.each(vectors)("of %s", (bytes, hash) => {
    expect(leafHash(bytes)).toBe(hash);
    expect(leafHash(bytes.toString())).toBe(hash);
  });
});

describe("RFC 8785 canonical JSON", () => {
  // cyberphone/json-canonicalization: testdata
  const double = (hex: string) => Buffer.from(hex, "hex").readDoubleBE();
  const vectors: readonly [value: unknown, text: string][] = [
    [[56, { d: true, "10": null, "1": [] }], '[56,{"1":[],"10":null,"d":true}]'],
    [
      {
        numbers: [Number("333333333.33333329"), 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
        string: "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"/",
        literals: [null, true, false],
      },
      '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    ],
    [double("0000000000000001"), "5e-324"],
    [double("8000000000000000"), "0"],
    [double("444b1ae4d6e2ef50"), "1e+21"],
    [double("3eb0c6f7a0b5ed8d"), "0.000001"],
    [
      { "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7 },
      '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}',
    ],
  ];
  test.each(vectors)("%j", (value, text) => {
    expect(canonicalJson(value)).toBe(text);
  });

  test("the 10,000 first numbers of the published sequence", () => {
    const [hash, size] = [createHash("sha256"), 10_000];
    const numbers = es6Numbers();
    const digests: string[] = [];
    for (let line = 1; line <= size; line += 1) {
      const value = numbers.next().value ?? 0;
      hash.update(`${bitsOf(value)},${canonicalJson(value)}\n`);
      if (line === 1000 || line === size) digests.push(hash.copy().digest("hex"));
    }
    expect(digests).toEqual([
      "be18b62b6f69cdab33a7e0dae0d9cfa869fda80ddc712221570f9f40a5878687",
      "b9f7a8e75ef22a835685a52ccba7f7d6bdc99e34b010992cbc5864cd12be6892",
    ]);
  });
});

const word = fc
  .string({ unit: "binary", minLength: 1, maxLength: 30 })
  .filter((text) => text.isWellFormed());
const content = fc.record(
  {
    id: fc.uuid(),
    actor: fc.record({ type: fc.constantFrom("user", "agent", "system"), id: word }),
    action: word,
    outcome: fc.constantFrom("success", "failure", "denied"),
    target: fc.record({ type: word, id: word }),
    agent: fc.record({ id: word, run: word, model: word }, { requiredKeys: ["id"] }),
    project: word,
    risk: fc.constantFrom("low", "critical"),
    correlationId: word,
    occurredAt: fc.constant("2024-05-06T07:08:09.123Z"),
  },
  { requiredKeys: ["id", "actor", "action", "outcome"] },
) as fc.Arbitrary<Parameters<typeof prepareEntry>[0]>;
const place = fc.record({
  log: fc.stringMatching(/^codespar\/log\/[0-9a-f]{32}$/),
  prev: fc.stringMatching(/^[0-9a-f]{64}$/),
  seq: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  ts: fc.constant("2024-05-06T07:08:09.123000Z"),
});

describe("an entry's bytes", () => {
  test("joined from their segments are the canonical JSON of the whole", () => {
    fc.assert(
      fc.property(
        content,
        fc.dictionary(word, word, { maxKeys: 3 }),
        place,
        (said, parts, where) => {
          const entry = prepareEntry(said, parts);
          const leaf = joinLeaf(entry, where);
          const { correlationId: corr, occurredAt: occurred, ...same } = said;
          const parsed = JSON.parse(leaf) as { parts: Record<string, string> };
          const whole = {
            ...same,
            ...where,
            ...(corr && { corr }),
            ...(occurred && { occurred }),
            parts: parsed.parts,
            v: 1,
          };
          expect(leaf).toBe(canonicalJson(whole));
          expect(Object.keys(parsed.parts).toSorted()).toEqual(Object.keys(parts).toSorted());
          const digest = createHash("sha256").update("\0").update(leaf).digest("hex");
          expect(sealEntry(entry, where)).toEqual({ seq: where.seq, leaf, hash: digest });
          expect(parseLeaf(Buffer.from(leaf))).toEqual(JSON.parse(leaf));
        },
      ),
    );
  });

  const sealed = fc
    .record({ said: content, parts: fc.dictionary(word, word, { maxKeys: 3 }), where: place })
    .map(({ said, parts, where }) => joinLeaf(prepareEntry(said, parts), where));

  test("are read only as they were written: other bytes are no entry, or another one", () => {
    const property = fc.property(sealed, fc.nat(), fc.nat({ max: 255 }), (leaf, at, byte) => {
      const bytes = Buffer.from(leaf);
      bytes[at % bytes.length] = byte;
      const read = parseLeaf(bytes);
      if (read !== null) expect(canonicalJson(read)).toBe(bytes.toString("utf8"));
    });
    fc.assert(property, { numRuns: 2000 });
  });

  const rewritten: readonly [what: string, rewrite: (leaf: string) => string][] = [
    ["a space", (leaf) => leaf.replace(",", ", ")],
    ["a newline at the end", (leaf) => `${leaf}\n`],
    [
      "another order",
      (leaf) => leaf.replace(/^\{("action":"[^"]*"),(.*),"v":1\}$/s, '{$2,$1,"v":1}'),
    ],
    [
      "another order inside",
      (leaf) => leaf.replace(/"actor":\{("id":"[^"]*"),("type":"[a-z]*")\}/, '"actor":{$2,$1}'),
    ],
    ["a field twice", (leaf) => leaf.replace('"outcome":', '"outcome":"denied","outcome":')],
    ["an unknown field", (leaf) => leaf.replace('"outcome":', '"other":"","outcome":')],
    ["an escape for a plain letter", (leaf) => leaf.replace("codespar/", "\\u0063odespar/")],
    ["an escaped slash", (leaf) => leaf.replace("codespar/", "codespar\\/")],
    ["a number as text", (leaf) => leaf.replace(/"seq":(\d+)/, '"seq":"$1"')],
    ["a number in another form", (leaf) => leaf.replace(/"seq":(\d+)/, '"seq":$1.0')],
    ["an exponent", (leaf) => leaf.replace(/"seq":\d+/, '"seq":1e1')],
    ["a fraction", (leaf) => leaf.replace(/"seq":\d+/, '"seq":0.5')],
    ["null for a number", (leaf) => leaf.replace(/"seq":\d+/, '"seq":null')],
    ["null for text", (leaf) => leaf.replace('"outcome":"success"', '"outcome":null')],
    ["a list for text", (leaf) => leaf.replace('"outcome":"success"', '"outcome":["success"]')],
    ["a list for the log", (leaf) => leaf.replace(/"log":("[^"]*")/, '"log":[$1]')],
    ["a missing field", (leaf) => leaf.replace(/"prev":"[^"]*",/, "")],
    ["a missing actor", (leaf) => leaf.replace(/"actor":\{[^}]*\},/, "")],
    ["another version", (leaf) => leaf.replace('"v":1', '"v":2')],
    ["a lone surrogate", (leaf) => leaf.replace('"action":"a', '"action":"\\ud800')],
    ["a list around it", (leaf) => `[${leaf}]`],
    ["nothing", () => ""],
  ];
  test.each(rewritten)("are not read with %s", (_what, rewrite) => {
    const entry = prepareEntry(
      { id: "i", actor: { type: "system", id: "s" }, action: "a", outcome: "success" },
      { details: "1" },
    );
    const leaf = joinLeaf(entry, {
      log: "codespar/log/0",
      prev: genesisHash,
      seq: 10,
      ts: "2024-05-06T07:08:09.123000Z",
    });
    expect(parseLeaf(Buffer.from(leaf))).not.toBeNull();
    expect(rewrite(leaf)).not.toBe(leaf);
    expect(parseLeaf(Buffer.from(rewrite(leaf)))).toBeNull();
  });

  test("are not read when they aren't UTF-8", () => {
    const bytes = Buffer.concat([Buffer.from('{"action":"'), Buffer.of(0xff), Buffer.from('"}')]);
    expect(parseLeaf(bytes)).toBeNull();
  });

  test("are written the same whoever starts the trail", () => {
    const entry = prepareEntry(
      { id: "i", actor: { type: "system", id: "s" }, action: "a", outcome: "success" },
      {},
    );
    const leaf = joinLeaf(entry, {
      log: "codespar/log/0",
      prev: genesisHash,
      seq: 0,
      ts: "2024-05-06T07:08:09.123000Z",
    });
    expect(leaf).toBe(
      `{"action":"a","actor":{"id":"s","type":"system"},"id":"i","log":"codespar/log/0","outcome":"success","parts":{},"prev":"${genesisHash}","seq":0,"ts":"2024-05-06T07:08:09.123000Z","v":1}`,
    );
  });

  test("hold a sealing time that never goes back", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 4e12 }), { minLength: 1, maxLength: 20 }), (readings) => {
        let previous: string | null = null;
        for (const reading of readings) {
          const ts: string = sealingTime(reading, previous);
          expect(ts).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
          expect(ts >= (previous ?? "")).toBe(true);
          previous = ts;
        }
      }),
    );
  });
});

describe("a part's commitment", () => {
  test("is HMAC-SHA-256 of RFC 2104, whatever the body's and the key's length", () => {
    const body = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom(2708, 2709, 2710, 30_000).map((length) => "é".repeat(length)),
    );
    const salt = fc.uint8Array({ maxLength: 100 });
    const property = fc.property(body, salt, (text, key) => {
      const expected = createHmac("sha256", key).update(text).digest("hex");
      expect(commitment({ name: "details", salt: key, body: text })).toBe(expected);
    });
    fc.assert(property, { numRuns: 500 });
  });
});

import { deploymentOrgId } from "@codespar/core";
import fc from "fast-check";
import type { Description, Operation } from "../support/contract.ts";
import { bodySchemaOf, type Schema, sampleOf } from "../support/samples.ts";

/** The organisation that is attacked: its key is used, where it may. */
export const fuzzedOrgId = "fuzzed";

/** A request as it goes out: headers and body are bytes, the body in pieces. */
export interface Attack {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
  /** `slow`: the body comes in pieces. `cut`: the connection breaks in the middle of it. */
  readonly sending: "whole" | "slow" | "cut";
}

/** Texts that have broken something somewhere. */
const nasty = [
  "",
  " ",
  ".",
  "..",
  "../../etc/passwd",
  deploymentOrgId,
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "null",
  "undefined",
  "NaN",
  "-1",
  "0",
  "1e309",
  "9007199254740993",
  "99999999999999999999",
  "true",
  "[object Object]",
  "a\u0000b",
  "\u0001\u001f\u007f\u0085",
  "\u202e\u200b\ufeff",
  "e\u0301\u0301\u0301",
  "😀".repeat(40),
  "\uffff",
  "'; DROP TABLE agent_memory; --",
  "%",
  "%00",
  "%s%n%d",
  "{{7*7}}",
  "<script>alert(1)</script>",
  "=cmd|' /C calc'!A0",
  "x".repeat(129),
  "x".repeat(600),
  "x".repeat(5000),
  "2030-01-31T12:00:00Z",
  "2030-02-31T12:00:00Z",
  "+275760-09-13T00:00:00.001Z",
  "0199a7c2-1b2f-7d3c-8e4f-5a6b7c8d9e0f",
] as const;

const text = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...nasty) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 40 }) },
  { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 20 }) },
);

/** Percent-escapes that are none, or none of UTF-8: overlong, surrogates, cut off. */
const brokenEscapes = [
  "%",
  "%zz",
  "%ff",
  "%c0%80",
  "%ed%a0%80",
  "%f4%90%80%80",
  "%e2%82",
  "%u0041",
];

/** One segment of a path, or a value of a query. */
const escaped = fc.oneof(
  { weight: 6, arbitrary: text.map((value) => encodeURIComponent(value.toWellFormed())) },
  { weight: 1, arbitrary: fc.constantFrom(...brokenEscapes) },
);

const numbers = fc.constantFrom(
  "0",
  "-0",
  "-1",
  "1.5",
  "1e21",
  "1e400",
  "-1e400",
  "9007199254740993",
);

/** JSON text that `JSON.stringify` would never write. */
const strangeJson = fc.oneof(
  fc.constantFrom(
    '{"a":1,"a":2}',
    '{"value":1,"value":2}',
    '{"__proto__":{"admin":true},"value":1}',
    '{"constructor":{"prototype":{"x":1}}}',
    '{"value":"\\ud800"}',
    '{"value":"\\u0000","\\u0000":1}',
    '{"value":"\\udc00\\ud800"}',
    "[[[]]",
    '"text"',
    "null",
    "{",
    '{"value":',
    "{'value':1}",
    '{"value":NaN}',
    "\ufeff{}",
    " \t\r\n",
    "",
  ),
  numbers.map(
    (number) => `{"value":${number},"level":${number},"limit":${number},"ttlMs":${number}}`,
  ),
  fc
    .constantFrom(65, 1000, 50_000)
    .map((depth) => `{"value":${"[".repeat(depth)}${"]".repeat(depth)}}`),
  fc.constantFrom(65, 5000).map((depth) => `${'{"details":'.repeat(depth)}1${"}".repeat(depth)}`),
  fc.constantFrom(1000, 300_000).map((length) => `{"value":"${"x".repeat(length)}"}`),
  fc
    .constantFrom(1000, 20_000)
    .map((count) => `{${Array.from({ length: count }, (_, i) => `"k${i}":1`).join()}}`),
);

/** Half of the time the other thing, which is in order. */
function sometimes<Value>(arbitrary: fc.Arbitrary<Value>, otherwise: Value): fc.Arbitrary<Value> {
  return fc.oneof(arbitrary, fc.constant(otherwise));
}

function seldom<Value>(arbitrary: fc.Arbitrary<Value>): fc.Arbitrary<Value | null> {
  return fc.oneof({ weight: 1, arbitrary }, { weight: 7, arbitrary: fc.constant(null) });
}

/** What is put where something else belongs. */
const anything: fc.Arbitrary<unknown> = fc.oneof(
  text,
  fc.constantFrom(null, true, 0, -1, 1.5, 1e21, 2 ** 53, [], {}, [[]], [null], { a: 1 }),
  fc.constantFrom(["read"], ["read", "read"], { type: "user", id: "u" }, { "": "" }),
  fc.jsonValue({ maxDepth: 3 }),
);

/** A body that would be accepted, with some members changed, left out or added. */
function mutated(description: Description, schema: Schema): fc.Arbitrary<string> {
  const sample = sampleOf(description, schema);
  const names = memberNames(description, schema);
  const edit = fc.record({ name: fc.oneof(fc.constantFrom(...names), text), value: anything });
  const edits = sometimes(
    fc.array(fc.oneof(edit, fc.record({ name: fc.constantFrom(...names) })), { maxLength: 3 }),
    [],
  );
  return edits.map((list) => {
    const body = new Map(Object.entries(sample as object));
    for (const each of list) {
      if ("value" in each) body.set(each.name, each.value);
      else body.delete(each.name);
    }
    return JSON.stringify(Object.fromEntries(body));
  });
}

function memberNames(description: Description, schema: Schema): [string, ...string[]] {
  const parts = [schema, ...(schema.anyOf ?? []), ...(schema.oneOf ?? [])];
  const names = parts.flatMap((part) => Object.keys(part.properties ?? {}));
  const sample = sampleOf(description, schema);
  return ["id", ...new Set([...names, ...Object.keys(Object(sample) as object)])];
}

const contentTypes = fc.constantFrom(
  "application/json",
  "application/json; charset=utf-8",
  "application/json;charset=utf-16",
  "APPLICATION/JSON",
  "application/problem+json",
  "text/plain",
  "multipart/form-data; boundary=x",
  "application/x-www-form-urlencoded",
  ";",
  "",
);

const bytesOf = fc.constantFrom<(json: string) => Buffer>(
  (json) => Buffer.from(json, "utf16le"),
  (json) => Buffer.from(json, "latin1"),
  (json) => Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(json)]),
  (json) => Buffer.from(json).subarray(0, -1),
  (json) => Buffer.from([...Buffer.from(json), 0xed, 0xa0, 0x80]),
);

const headers = fc.dictionary(
  fc.constantFrom(
    ...["if-match", "if-none-match", "idempotency-key", "last-event-id", "x-request-id", "accept"],
    ...[
      "content-encoding",
      "x-http-method-override",
      "range",
      "x-org-id",
      "cookie",
      "te",
      "origin",
    ],
  ),
  fc.oneof(
    fc.constantFrom(
      '"a"',
      "*",
      'W/"a"',
      '"',
      ",",
      "gzip",
      "bytes=0-1",
      "DELETE",
      "-1",
      fuzzedOrgId,
      "text/csv",
    ),
    text.map((value) => value.toWellFormed().replace(/[^\x20-\x7e\xa0-\xff]/g, "")),
  ),
  { maxKeys: 2 },
);

/** Requests for one operation, most of them wrong in some way. */
export function attacks(
  description: Description,
  path: string,
  method: string,
  operation: Operation,
): fc.Arbitrary<Attack> {
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? "");
  const known = (operation.parameters ?? []).filter((each) => each.in === "query");
  const queryName = fc.oneof(
    fc.constantFrom("x", "__proto__", "limit", ...known.map(({ name }) => name)),
    escaped,
  );
  const required = known.filter((each) => each.required === true);
  const schema = bodySchemaOf(operation);
  const valid = schema === undefined ? fc.constant("{}") : mutated(description, schema);
  return fc
    .record({
      ids: fc.tuple(...names.map(() => sometimes(escaped, "known"))),
      complete: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.constant(false)),
      query: sometimes(fc.array(fc.tuple(queryName, escaped), { maxLength: 3 }), []),
      headers: sometimes(headers, {}),
      orgId: seldom(fc.constant(fuzzedOrgId)),
      json: fc.oneof({ weight: 4, arbitrary: valid }, { weight: 1, arbitrary: strangeJson }),
      bytes: seldom(bytesOf),
      contentType: seldom(contentTypes),
      sending: fc.oneof(
        { weight: 12, arbitrary: fc.constant("whole" as const) },
        { weight: 1, arbitrary: fc.constantFrom("slow" as const, "cut" as const) },
      ),
    })
    .map(
      ({
        ids,
        complete,
        query,
        orgId,
        json,
        bytes,
        contentType,
        sending,
        headers: given,
      }): Attack => {
        let next = 0;
        const filled = path.replace(/\{\w+\}/g, () => ids[next++] ?? "");
        // What has to be there is a confirmation of the id in the path, or a number.
        const inOrder = required.map(({ name }) => [name, name === "confirm" ? ids[0] : "0"]);
        const search = [...(complete ? inOrder : []), ...query]
          .map((pair) => pair.join("="))
          .join("&");
        const takesBody = schema !== undefined || bytes !== null;
        return {
          method: method.toUpperCase(),
          path: search === "" ? filled : `${filled}?${search}`,
          headers: {
            ...(orgId !== null && { "x-org-id": orgId }),
            ...given,
            ...(takesBody && { "content-type": contentType ?? "application/json" }),
          },
          body: takesBody ? (bytes ?? Buffer.from)(json) : null,
          sending,
        };
      },
    );
}

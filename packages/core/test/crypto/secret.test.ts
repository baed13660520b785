import assert from "node:assert";
import { Console } from "node:console";
import { once } from "node:events";
import { stringify } from "node:querystring";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { format, inspect } from "node:util";
import v8 from "node:v8";
import { MessageChannel } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { KeyRing, Secret } from "../../src/index.ts";

/** Not to be found anywhere but in the caller's hands. */
const value = `clear-${KeyRing.generate()}`;
const secret = new Secret(value);
const holder = { name: "sentry", credentials: { token: secret }, list: [secret] };

/** What a console writes. */
async function written(write: (to: Console) => void): Promise<string> {
  const stream = new PassThrough();
  write(new Console({ stdout: stream, stderr: stream, colorMode: false }));
  stream.end();
  return text(stream);
}

/** What whoever catches it may print. */
function failing(): Error {
  const cause = Object.assign(new Error("inner", { cause: secret }), { credentials: holder });
  const error = new AggregateError(
    [cause, new TypeError(`${secret}`, { cause: holder })],
    "outer",
    {
      cause,
    },
  );
  return Object.assign(error, { secret, holder });
}

function messageOf(work: () => void): string {
  try {
    work();
  } catch (error) {
    return `${inspect(error)}${String((error as Error).message)}`;
  }
  throw new Error("it didn't throw");
}

const shown: Record<string, () => string | Promise<string>> = {
  "string conversion": () => String(secret),
  "a template": () => `token: ${secret}`,
  concatenation: () => `${"token: "}${secret as unknown as string}`,
  "a joined list": () => [secret, secret].join(),
  "a number, or what becomes of it": () => String(Number(secret)),
  JSON: () => JSON.stringify(holder),
  "JSON with a replacer": () => JSON.stringify(holder, (_, each: unknown) => each, 2),
  inspect: () => inspect(holder, { depth: 20, showHidden: true, getters: true }),
  "inspect without custom inspection": () =>
    inspect(holder, { depth: 20, showHidden: true, customInspect: false }),
  "inspect through a proxy": () => inspect(new Proxy(secret, {}), { showProxy: true }),
  "inspect in a Map and a Set": () => inspect([new Map([["token", secret]]), new Set([secret])]),
  ...Object.fromEntries(
    ["%s", "%d", "%i", "%f", "%j", "%o", "%O", "%c%s", "no directive"].map((directive) => [
      `format ${directive}`,
      () => format(directive, secret, holder),
    ]),
  ),
  "console.log": () => written((to) => to.log("token", secret, holder)),
  "console.error": () => written((to) => to.error(failing())),
  "console.dir": () => written((to) => to.dir(holder, { depth: 20, showHidden: true })),
  "console.table": () => written((to) => to.table([holder, { credentials: secret }, secret])),
  "console.trace": () => written((to) => to.trace(secret)),
  "an error, its causes and properties": () => inspect(failing(), { depth: 20, showHidden: true }),
  "an error's text": () => `${failing().stack}${failing()}${JSON.stringify(failing())}`,
  "a failed assertion": () => messageOf(() => assert.deepStrictEqual(holder, { name: "other" })),
  "a failed equality": () => messageOf(() => assert.equal(secret, "guess")),
  "an expectation": () => messageOf(() => expect(holder).toEqual({ name: "other" })),
  structuredClone: () => inspect(structuredClone({ secret, holder }), { depth: 20 }),
  "v8.serialize": () => v8.serialize({ secret, holder }).toString("latin1"),
  "a message to another thread": async () => {
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(holder);
    const [received] = (await once(port2, "message")) as [unknown];
    port1.close();
    return inspect(received, { depth: 20 });
  },
  "all properties": () =>
    inspect([
      Reflect.ownKeys(secret),
      Object.entries(Object.getOwnPropertyDescriptors(secret)),
      { ...secret },
      Object.values(secret),
    ]),
  "form fields": () =>
    `${new URLSearchParams({ token: String(secret) })}${stringify({ secret } as never)}`,
  "a diagnostic report": () => JSON.stringify(process.report?.getReport()),
};

describe("a Secret isn't shown by", () => {
  it.each(Object.entries(shown))("%s", async (_name, show) => {
    const text = await show();
    expect(text).not.toContain(value);
    expect(text).not.toContain(value.slice(6, -2));
  });
});

it("a Secret shows itself when asked", () => {
  expect(secret.reveal()).toBe(value);
  expect(String(secret)).toBe("[secret]");
  expect(inspect(secret)).toBe("[secret]");
});

it("a key ring shows no key", () => {
  const key = KeyRing.generate();
  const ring = KeyRing.parse(`${key},${KeyRing.generate()}`);
  const texts = [
    inspect(ring, { depth: 20, showHidden: true }),
    JSON.stringify(ring),
    String(ring),
    v8.serialize({ ...ring }).toString("latin1"),
  ];
  const bytes = Buffer.from(key, "base64");
  for (const each of texts)
    for (const form of [key, bytes.toString("hex"), bytes.toString("latin1"), [...bytes].join()])
      expect(each).not.toContain(form);
});

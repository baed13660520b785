import { expect, test } from "vitest";
import { testSecret } from "../../../../tooling/secrets.ts";
import type { Storage, Transaction } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

/** Options as JavaScript passes them, unchecked. */
type Loose = never;
type Calls = readonly [takes: string, call: (options: Loose) => PromiseLike<unknown>][];

const write = "signal ifVersion ifAbsent";
const list = "signal limit cursor reverse";
const credentials = { token: testSecret() };

/** The calls that there are inside transactions too. */
const filter =
  "action outcome actorId actorType agentId project risk correlationId unresolved from to";

const callsOf = (s: Transaction, teamId: string): Calls => [
  ["signal", (o) => s.memory.get("a", "k", o)],
  ["signal", (o) => s.memory.getEntry("a", "k", o)],
  ["signal", (o) => s.memory.has("a", "k", o)],
  ["signal", (o) => s.memory.getMany("a", ["k"], o)],
  [`${write} ttlMs expiresAt record`, (o) => s.memory.set("a", "k", 1, o)],
  ["signal record", (o) => s.memory.setMany("a", [{ key: "k", value: 1 }], o)],
  ["signal ifVersion record", (o) => s.memory.delete("a", "k", o)],
  ["signal record", (o) => s.memory.deleteMany("a", ["k"], o)],
  ["signal", (o) => s.agentStates.get("a", o)],
  ["signal", (o) => s.agentStates.has("a", o)],
  [write, (o) => s.agentStates.set("a", {}, o)],
  ["signal ifVersion", (o) => s.agentStates.update("a", {}, o)],
  ["signal", (o) => s.agentStates.touch("a", o)],
  ["signal ifVersion", (o) => s.agentStates.delete("a", o)],
  ["signal", (o) => s.projects.create({ name: "P" }, o)],
  ["signal", (o) => s.projects.get("p", o)],
  ["signal ifVersion", (o) => s.projects.update("p", {}, o)],
  ["signal ifVersion", (o) => s.projects.rename("p", "Q", o)],
  ["signal ifVersion", (o) => s.projects.delete("p", o)],
  ["signal", (o) => s.projectConfigs.get("a", o)],
  ["signal", (o) => s.projectConfigs.link("a", { repository: "acme/app" }, o)],
  ["signal ifVersion", (o) => s.projectConfigs.update("a", {}, o)],
  ["signal ifVersion", (o) => s.projectConfigs.unlink("a", o)],
  ["signal source", (o) => s.subscribers.subscribe("r@example.com", o)],
  ["signal", (o) => s.subscribers.get("r@example.com", o)],
  ["signal", (o) => s.subscribers.confirm("r@example.com", o)],
  ["signal", (o) => s.subscribers.unsubscribe("r@example.com", o)],
  [write, (o) => s.slackInstallations.set({ teamId, tokens: credentials }, o)],
  ["signal", (o) => s.slackInstallations.get({ teamId }, o)],
  ["signal ifVersion", (o) => s.slackInstallations.delete({ teamId }, o)],
  [write, (o) => s.channelConfigs.set("sentry", { credentials }, o)],
  ["signal", (o) => s.channelConfigs.get("sentry", o)],
  ["signal ifVersion", (o) => s.channelConfigs.delete("sentry", o)],
];

const someId = "0b8f6c1e-58d0-7c0e-8b58-6a6d2f5d9a10";

/** Options beside those that a call needs. What is no object of options goes as it is. */
function beside(needed: object, options: Loose): Loose {
  const plain = options !== null && Object.getPrototypeOf(options) === Object.prototype;
  return (plain ? { ...needed, ...(options as object) } : options) as Loose;
}

/** What a watch gives first, which ends before it would have to wait. */
function firstOf(s: Storage, options: Loose): Promise<unknown> {
  const ending = new AbortController();
  const stream = s.audit.watch(beside({ signal: ending.signal }, options));
  const first = stream[Symbol.asyncIterator]().next();
  // Whatever is wrong with its options is known by then.
  setImmediate(() => ending.abort());
  return first;
}

const handleCallsOf = (s: Storage): Calls => [
  ...callsOf(s as unknown as Transaction, `T${s.orgId}`),
  [`${list} prefix`, (o) => s.memory.list("a", o)],
  [`${list} status`, (o) => s.agentStates.list(o)],
  ["signal", (o) => s.projects.getBySlug("p", o)],
  [list, (o) => s.projects.list(o)],
  [list, (o) => s.projectConfigs.list(o)],
  ["signal", (o) => s.audit.append({ action: "test.options" }, o)],
  ["signal", (o) => s.audit.intent({ action: "test.options" }, o)],
  ["signal", (o) => s.audit.outcome(someId, "success", {}, o)],
  ["signal", (o) => s.audit.get(0, o)],
  ["signal", (o) => s.audit.getById(someId, o)],
  ["signal", (o) => s.audit.redact(9, "asked for", o)],
  ["signal", (o) => s.audit.checkpoint(o)],
  [list, (o) => s.audit.checkpoints(o)],
  ["signal size", (o) => s.audit.prove(0, o)],
  ["signal", (o) => s.audit.consistency(0, 0, o)],
  ["signal", (o) => s.audit.keys(o)],
  ["signal", (o) => s.audit.rotateKey(o)],
  ["signal after", (o) => firstOf(s, o)],
  [`signal limit cursor order ${filter}`, (o) => s.audit.list(o)],
  [`signal ${filter} format`, (o) => s.audit.export(beside({ format: "csv" }, o))],
  ["signal trustedKeys checkpoint maxUnanchored depth onProgress", (o) => s.audit.verify(o)],
  [`${list} status source`, (o) => s.subscribers.list(o)],
  ["signal", (o) => s.subscribers.count(o)],
  ["signal", (o) => s.slackInstallations.getTokens({ teamId: `T${s.orgId}` }, o)],
  [list, (o) => s.slackInstallations.list(o)],
  ["signal", (o) => s.channelConfigs.getCredentials("sentry", o)],
  [list, (o) => s.channelConfigs.list(o)],
  ["signal", (o) => s.apiKeys.create({ name: "k", scopes: ["read"] }, o)],
  ["signal", (o) => s.apiKeys.get("k", o)],
  ["signal", (o) => s.apiKeys.revoke("k", o)],
  ["signal overlapMs expiresAt", (o) => s.apiKeys.rotate("k", o)],
  [list, (o) => s.apiKeys.list(o)],
  ["signal", (o) => s.transaction(async () => undefined, o)],
];

type WrongType = readonly [says: string, call: () => PromiseLike<unknown>];

/** What isn't of an option's or argument's type, and what the message says. */
const wrongTypes = (s: Storage): readonly WrongType[] => {
  const loose = (value: unknown) => value as Loose;
  const { audit, apiKeys } = s;
  const numbers = [-1, 0.5, Number.NaN, 2 ** 53, "1", null, {}];
  const texts = [1, null, {}, ["x"]];
  return [
    ...numbers.flatMap((n): WrongType[] => [
      ["seq must be", () => audit.get(loose(n))],
      ["seq must be", () => audit.prove(loose(n))],
      ["size must be", () => audit.prove(0, { size: loose(n) })],
      ["from must be", () => audit.consistency(loose(n))],
      ["to must be", () => audit.consistency(0, loose(n))],
    ]),
    // Beyond the most that a page holds another error says so.
    ...numbers
      .filter((n) => n !== 2 ** 53)
      .flatMap((n): WrongType[] => [
        ["limit must be", () => audit.list({ limit: loose(n) })],
        ["limit must be", () => audit.checkpoints({ limit: loose(n) })],
        ["limit must be", () => apiKeys.list({ limit: loose(n) })],
        ["overlapMs must be", () => apiKeys.rotate(someId, { overlapMs: loose(n) })],
      ]),
    ...numbers
      .filter((n) => n !== -1)
      .map((n): WrongType => ["after must be", () => firstOf(s, loose({ after: n }))]),
    ...texts.flatMap((text): WrongType[] => [
      ["reason", () => audit.redact(0, loose(text))],
      ["checkpoint must be", () => audit.verify({ checkpoint: loose(text) })],
      ["depth must be", () => audit.verify({ depth: loose(text) })],
      ["onProgress must be", () => audit.verify({ onProgress: loose(text) })],
      ["format must be", () => audit.export({ format: loose(text) })],
      ["order must be", () => audit.list({ order: loose(text) })],
      ["cursor", () => audit.list({ cursor: loose(text) })],
      ["signal must be", () => firstOf(s, loose({ signal: text }))],
      ["signal must be", () => audit.checkpoint({ signal: loose(text) })],
      ["id", () => audit.getById(loose(text))],
      ["filter.action", () => audit.list({ action: loose(text) })],
      ["filter.risk", () => audit.export({ format: "csv", risk: loose(text) })],
      ["entry.action", () => audit.intent({ action: loose(text) })],
      ["id", () => audit.outcome(loose(text), "success")],
      ["key.name", () => apiKeys.create({ name: loose(text), scopes: ["read"] })],
      ["key.scopes", () => apiKeys.create({ name: "k", scopes: loose(text) })],
      ["id", () => apiKeys.get(loose(text))],
      ["id", () => apiKeys.revoke(loose(text))],
    ]),
    ...["x", [1], {}, [null]].map(
      (keys): WrongType => [
        "trustedKeys must be",
        () => audit.verify({ trustedKeys: loose(keys) }),
      ],
    ),
  ];
};

const some = {
  ifVersion: "v",
  ifAbsent: true,
  ttlMs: 5000,
  record: true,
  prefix: "k",
  limit: 1,
  reverse: true,
  status: "idle",
  order: "asc",
  source: "x",
  action: "a.b",
  ifversion: "v",
};

async function expectRefusals(calls: Calls): Promise<number> {
  let refusals = 0;
  for (const [takes, call] of calls) {
    for (const [name, value] of Object.entries(some)) {
      if (takes.split(" ").includes(name)) continue;
      const error = await expectCode(call({ [name]: value } as Loose), "VALIDATION");
      expect(error.message).toBe(
        `options.${name} is not an option of this call, which takes ${takes.split(" ").join(", ")}.`,
      );
      refusals += 1;
    }
    // As good as none.
    const misspelt = { ifversion: undefined } as Loose;
    await Promise.resolve(call(misspelt)).catch((error: { readonly code?: string }) =>
      expect(error.code).not.toBe("VALIDATION"),
    );
  }
  return refusals;
}

async function expectFlagRefusals(calls: Calls): Promise<number> {
  let refusals = 0;
  for (const [takes, call] of calls) {
    for (const name of ["ifAbsent", "record", "reverse"]) {
      if (!takes.split(" ").includes(name)) continue;
      for (const value of [1, "yes", null, {}]) {
        const error = await expectCode(call({ [name]: value } as Loose), "VALIDATION");
        expect(error.message).toContain(`${name} must be a boolean`);
        refusals += 1;
      }
    }
  }
  return refusals;
}

describeEachBackend("options that a call doesn't have are refused, not ignored:", (backend) => {
  test("on a handle", async () => {
    const storage = backend.open();
    expect(await expectRefusals(handleCallsOf(storage))).toBeGreaterThan(500);
  });

  test("in a transaction", async () => {
    const storage = backend.open();
    await storage.transaction(async (tx) => {
      expect(await expectRefusals(callsOf(tx, `T${storage.orgId}`))).toBeGreaterThan(300);
    });
  });

  test("nor are flags that aren't boolean", async () => {
    const storage = backend.open();
    let refusals = await expectFlagRefusals(handleCallsOf(storage));
    await storage.transaction(async (tx) => {
      refusals += await expectFlagRefusals(callsOf(tx, `T${storage.orgId}`));
    });
    expect(refusals).toBe(4 * (16 + 9));
    const item = { key: "k", value: 1, ifAbsent: 1 } as Loose;
    await expectCode(storage.memory.setMany("a", [item]), "VALIDATION");
    for (const name of ["readOnly", "coalesce", "preparedStatements"]) {
      const wrong = { ...backend.options(), [name]: "yes" } as Loose;
      expect(() => backend.open("other", wrong)).toThrow(`${name} must be a boolean`);
    }
    expect(await storage.audit.list()).toMatchObject({ items: [] });
    expect(await storage.memory.has("a", "k")).toBe(false);
  });

  test("nor is what isn't an object of options", async () => {
    const storage = backend.open();
    for (const [, call] of handleCallsOf(storage))
      for (const options of [null, 1, "signal", [], true])
        await expectCode(call(options as Loose), "VALIDATION");
    expect(await storage.audit.list()).toMatchObject({ items: [] });
  });

  test("nor is what isn't of its type", async () => {
    const storage = backend.open();
    for (const [says, call] of wrongTypes(storage)) {
      const error = await expectCode(call(), "VALIDATION");
      expect(error.message).toContain(says);
    }
    expect(await storage.audit.list()).toMatchObject({ items: [] });
    expect(await storage.apiKeys.list()).toMatchObject({ items: [] });
  });

  test("in an item of setMany", async () => {
    const { memory } = backend.open();
    const items = [{ key: "k", value: 1, ttl: 5 }];
    const error = await expectCode(memory.setMany("a", items), "VALIDATION");
    expect(error.message).toContain("item.ttl is not an option");
    expect(await memory.has("a", "k")).toBe(false);
  });

  test("of createStorage", async () => {
    const wrong = { ...backend.options(), directry: "elsewhere" };
    expect(() => backend.open("other", wrong)).toThrow("options.directry is not an option");
  });
});

import { expect, test } from "vitest";
import { testSecret } from "../../../../tooling/secrets.ts";
import type { Storage } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectEach, expectThrown } from "../support/expect-code.ts";

/** In the order of their UTF-8 bytes. JavaScript's own order puts the emoji (a surrogate pair) before U+FF5E. */
const ordered = [
  "!",
  "%",
  "..",
  "/",
  "0",
  "10",
  "9",
  ":",
  "A",
  "Z",
  "_",
  "a",
  "a b",
  "ab",
  "z",
  "ß",
  "é",
  "あ",
  "～",
  "\uffee",
  "𝒳",
  "😀",
];

const refused: readonly [name: string, id: unknown][] = [
  ["an empty string", ""],
  ["NUL", "a\u0000b"],
  ["a line feed", "a\nb"],
  ["DEL", "a\u007f"],
  ["a C1 control character", "a\u0085"],
  ["a lone high surrogate", "a\ud800"],
  ["a lone low surrogate", "\udc00a"],
  ["undefined", undefined],
  ["null", null],
  ["a number", 5],
  ["an object", { toString: () => "agent" }],
  ["an array", ["agent"]],
];

// Callers of JavaScript pass anything; the types don't stop them.
const untyped = (value: unknown): string => value as string;

function callsWith(storage: Storage, id: string): readonly PromiseLike<unknown>[] {
  return [
    storage.memory.get(id, "key"),
    storage.memory.get("agent", id),
    storage.memory.getMany("agent", ["key", id]),
    storage.memory.set(id, "key", 1),
    storage.memory.set("agent", id, 1),
    storage.memory.setMany("agent", [{ key: id, value: 1 }]),
    storage.memory.delete("agent", id),
    storage.memory.deleteMany("agent", [id]),
    storage.memory.list(id),
    storage.agentStates.get(id),
    storage.agentStates.set(id, {}),
    storage.agentStates.update(id, {}),
    storage.agentStates.touch(id),
    storage.agentStates.delete(id),
    storage.projects.get(id),
    storage.projects.delete(id),
    storage.projectConfigs.get(id),
    storage.projectConfigs.link(id, { repository: "acme/app" }),
    storage.projectConfigs.unlink(id),
    storage.channelConfigs.get(id),
    storage.channelConfigs.set(id, { credentials: { token: testSecret() } }),
  ];
}

describeEachBackend("ids and keys", { everyLogin: true }, (backend) => {
  test.each(refused)("%s is refused everywhere", async (_name, id) => {
    const storage = backend.open();
    await expectEach(callsWith(storage, untyped(id)), "VALIDATION");
    expectThrown(() => storage.forOrg(untyped(id)), "VALIDATION");
    expect(await storage.audit.verify()).toMatchObject({ size: 0 });
  });

  test("they are ordered by their UTF-8 bytes", async () => {
    const { memory } = backend.open();
    const shuffled = ordered.toSorted((a, b) => a.length - b.length || (a < b ? 1 : -1));
    await memory.setMany(
      "agent",
      shuffled.map((key) => ({ key, value: key })),
    );
    const keys = (await memory.list("agent")).items.map(({ key }) => key);
    expect(keys).toEqual(ordered);
    expect(keys).toEqual(keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))));
    const reversed = (await memory.list("agent", { reverse: true })).items.map(({ key }) => key);
    expect(reversed).toEqual(ordered.toReversed());
  });

  test("agents and projects are ordered the same way", async () => {
    const { agentStates, projects, memory } = backend.open();
    for (const [index, id] of ordered.entries()) {
      if (index % 2 === 0) await agentStates.set(id, {});
      else await memory.set(id, "key", 1);
      await projects.create({ id, name: id, slug: `p-${index}` });
    }
    expect((await agentStates.list()).items.map(({ id }) => id)).toEqual(ordered);
    expect((await projects.list()).items.map(({ id }) => id)).toEqual(ordered);
    expect((await projects.list({ reverse: true })).items.map(({ id }) => id)).toEqual(
      ordered.toReversed(),
    );
  });

  test("they keep every character, unnormalised", async () => {
    const { memory } = backend.open();
    const keys = [
      "\u00e9",
      "e\u0301",
      "\u00c5",
      "\u212b",
      " lead",
      "trail ",
      "a\u200bb",
      "\ufeff",
      "\u0130",
      "\u017f",
      "\u212a",
    ];
    for (const [index, key] of keys.entries()) await memory.set("agent", key, index);
    for (const [index, key] of keys.entries()) expect(await memory.get("agent", key)).toBe(index);
    expect((await memory.list("agent")).items).toHaveLength(new Set(keys).size);
  });

  test("names of Object.prototype and of files are ids like any other", async () => {
    const storage = backend.open();
    const ids = [
      "__proto__",
      "constructor",
      "hasOwnProperty",
      ".",
      "..",
      "../../etc/passwd",
      "C:\\x",
      "CON",
      "~",
      "%2e",
    ];
    for (const id of ids) {
      expect(await storage.memory.get(id, id)).toBeNull();
      await storage.memory.set(id, id, id);
      await storage.agentStates.set(id, {});
    }
    for (const id of ids) {
      expect(await storage.memory.get(id, id)).toBe(id);
      expect((await storage.agentStates.get(id))?.name).toBe(id);
    }
  });
});

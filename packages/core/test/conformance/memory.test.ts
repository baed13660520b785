import { expect, test } from "vitest";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

describeEachBackend("memory", { everyLogin: true }, (backend) => {
  test("what was never stored is missing, whichever way it is asked for", async () => {
    const { memory } = backend.open();
    expect(await memory.get("agent", "key")).toBeNull();
    expect(await memory.getEntry("agent", "key")).toBeNull();
    expect(await memory.has("agent", "key")).toBe(false);
    expect(await memory.getMany("agent", ["key", "other"])).toEqual([null, null]);
    expect(await memory.delete("agent", "key")).toBe(false);
    expect(await memory.list("agent")).toEqual({ items: [], nextCursor: null });
  });

  test("a stored value comes back with its version and instants", async () => {
    const { memory } = backend.open();
    const stored = await memory.set("agent", "key", { a: [1, "two", null] });
    const now = backend.clock.iso();
    expect(stored).toEqual({
      key: "key",
      version: expect.any(String),
      created: true,
      createdAt: now,
      updatedAt: now,
      expiresAt: null,
    });
    const { created, ...meta } = stored;
    expect(created).toBe(true);
    expect(await memory.get("agent", "key")).toEqual({ a: [1, "two", null] });
    expect(await memory.getEntry("agent", "key")).toEqual({
      ...meta,
      value: { a: [1, "two", null] },
    });
    expect(await memory.has("agent", "key")).toBe(true);
  });

  test("set replaces the entry and keeps the instant of its creation", async () => {
    const { memory } = backend.open();
    const first = await memory.set("agent", "key", 1);
    backend.clock.advance(1500);
    const second = await memory.set("agent", "key", 2);
    expect(second.created).toBe(false);
    expect(second.version).not.toBe(first.version);
    expect(second.createdAt).toBe(first.createdAt);
    expect(second.updatedAt).toBe(backend.clock.iso());
    expect(await memory.get("agent", "key")).toBe(2);
  });

  test("the same value again is a new version all the same", async () => {
    const { memory } = backend.open();
    const first = await memory.set("agent", "key", "same");
    const second = await memory.set("agent", "key", "same");
    expect(second.version).not.toBe(first.version);
  });

  test("a stored null is told apart from a missing entry", async () => {
    const { memory } = backend.open();
    await memory.set("agent", "null", null);
    expect(await memory.get("agent", "null")).toBeNull();
    expect(await memory.has("agent", "null")).toBe(true);
    expect((await memory.getEntry("agent", "null"))?.value).toBeNull();
    expect(await memory.delete("agent", "null")).toBe(true);
    expect(await memory.getEntry("agent", "null")).toBeNull();
  });

  test("delete tells whether there was an entry, and versions never return", async () => {
    const { memory } = backend.open();
    const versions = new Set<string>();
    for (let round = 0; round < 3; round += 1) {
      const stored = await memory.set("agent", "key", round);
      expect(stored.created).toBe(true);
      versions.add(stored.version);
      expect(await memory.delete("agent", "key")).toBe(true);
      expect(await memory.delete("agent", "key")).toBe(false);
      expect(await memory.get("agent", "key")).toBeNull();
    }
    expect(versions.size).toBe(3);
  });

  test("an entry that is made anew starts with a new instant of creation", async () => {
    const { memory } = backend.open();
    await memory.set("agent", "key", 1);
    await memory.delete("agent", "key");
    backend.clock.advance(2000);
    expect((await memory.set("agent", "key", 2)).createdAt).toBe(backend.clock.iso());
  });

  test("agents whose ids resemble each other don't share anything", async () => {
    const { memory } = backend.open();
    const ids = ["a", "a:b", "a/b", "a-corp", "A", "a%", "a_", "ä", "a\u0308", "a ", "..", "a.b"];
    for (const id of ids) await memory.set(id, "key", id);
    for (const id of ids) {
      expect(await memory.get(id, "key")).toBe(id);
      expect((await memory.list(id)).items.map((entry) => entry.value)).toEqual([id]);
    }
    await memory.delete("a", "key");
    for (const id of ids.slice(1)) expect(await memory.get(id, "key")).toBe(id);
  });

  test("no choice of agent and key is the same record as another", async () => {
    const { memory } = backend.open();
    const pairs = [
      ["a", "b:c"],
      ["a:b", "c"],
      ["a/b", "c"],
      ["a", "b/c"],
      ["a", "b c"],
      ["a b", "c"],
      ["a?x=1", "b"],
      ["a", "?x=1b"],
    ] as const;
    for (const [agent, key] of pairs) await memory.set(agent, key, [agent, key]);
    for (const [agent, key] of pairs) expect(await memory.get(agent, key)).toEqual([agent, key]);
  });

  test("many handles of one process see each other's writes", async () => {
    const one = backend.open();
    const other = backend.open();
    await one.memory.set("agent", "key", "from one");
    expect(await other.memory.get("agent", "key")).toBe("from one");
    await other.memory.delete("agent", "key");
    expect(await one.memory.has("agent", "key")).toBe(false);
  });

  test("what is written survives closing every handle", async () => {
    const first = backend.open();
    const { version } = await first.memory.set("agent", "key", { kept: true });
    await first.close();
    const second = backend.open();
    expect(await second.memory.getEntry("agent", "key")).toMatchObject({
      value: { kept: true },
      version,
    });
  });
});

describeEachBackend("many memory entries at once", { everyLogin: true }, (backend) => {
  test("getMany answers in the order asked", async () => {
    const { memory } = backend.open();
    await memory.set("agent", "b", 2);
    await memory.set("agent", "a", 1);
    const entries = await memory.getMany("agent", ["b", "missing", "a"]);
    expect(entries.map((entry) => entry?.value ?? null)).toEqual([2, null, 1]);
    expect(entries[0]).toEqual(await memory.getEntry("agent", "b"));
    expect(await memory.getMany("agent", [])).toEqual([]);
  });

  test("getMany answers each of two questions for one key", async () => {
    const { memory } = backend.open();
    await memory.set("agent", "a", 1);
    const [first, second] = await memory.getMany("agent", ["a", "a"]);
    expect(first).toEqual(second);
    expect(first?.value).toBe(1);
  });

  test("setMany stores all, in the order given", async () => {
    const { memory } = backend.open();
    await memory.set("agent", "b", "old");
    const results = await memory.setMany("agent", [
      { key: "c", value: 3, ttlMs: 5000 },
      { key: "b", value: 2 },
      { key: "a", value: null },
    ]);
    expect(results.map(({ key, created }) => [key, created])).toEqual([
      ["c", true],
      ["b", false],
      ["a", true],
    ]);
    expect(results.map(({ expiresAt }) => expiresAt)).toEqual([
      backend.clock.iso(5000),
      null,
      null,
    ]);
    const entries = await memory.getMany("agent", ["c", "b", "a"]);
    expect(entries.map((entry) => entry?.version)).toEqual(results.map(({ version }) => version));
    expect(await memory.setMany("agent", [])).toEqual([]);
  });

  test("setMany stores nothing when one precondition doesn't hold", async () => {
    const { memory } = backend.open();
    const { version } = await memory.set("agent", "taken", 1);
    const error = await expectCode(
      memory.setMany("agent", [
        { key: "new", value: 1 },
        { key: "taken", value: 2, ifAbsent: true },
        { key: "newer", value: 3 },
      ]),
      "PRECONDITION_FAILED",
    );
    expect(error).toMatchObject({ currentVersion: version });
    expect((await memory.list("agent")).items).toEqual([await memory.getEntry("agent", "taken")]);
  });

  test("deleteMany tells for each key whether it existed", async () => {
    const { memory } = backend.open();
    await memory.setMany("agent", [
      { key: "a", value: 1 },
      { key: "b", value: 2 },
      { key: "c", value: 3 },
    ]);
    expect(await memory.deleteMany("agent", ["c", "missing", "a"])).toEqual([true, false, true]);
    expect((await memory.list("agent")).items.map(({ key }) => key)).toEqual(["b"]);
    expect(await memory.deleteMany("agent", [])).toEqual([]);
  });

  test("a key twice in one call is refused and nothing is written", async () => {
    const { memory } = backend.open();
    const twice = [
      { key: "a", value: 1 },
      { key: "a", value: 2 },
    ];
    await expectCode(memory.setMany("agent", twice), "VALIDATION");
    expect(await memory.has("agent", "a")).toBe(false);
    await memory.set("agent", "a", 1);
    await expectCode(memory.deleteMany("agent", ["a", "a"]), "VALIDATION");
    expect(await memory.has("agent", "a")).toBe(true);
  });
});

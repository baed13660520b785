import { expect, test } from "vitest";
import type { Listing, Storage } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode, expectEach } from "../support/expect-code.ts";

const keyOf = (n: number) => `key ${String(n).padStart(3, "0")}`;
const keysOf = (count: number) => Array.from({ length: count }, (_, n) => keyOf(n));

async function fill(storage: Storage, count: number): Promise<void> {
  await storage.memory.setMany(
    "agent",
    keysOf(count).map((key, value) => ({ key, value })),
  );
}

describeEachBackend("listings", { everyLogin: true }, (backend) => {
  test("pages follow each other without gap or overlap", async () => {
    const storage = backend.open();
    await fill(storage, 25);
    for (const reverse of [false, true]) {
      const keys: string[] = [];
      const sizes: number[] = [];
      let cursor: string | null = null;
      do {
        const page: Awaited<Listing<{ key: string }>> = await storage.memory.list("agent", {
          limit: 10,
          reverse,
          ...(cursor !== null && { cursor }),
        });
        sizes.push(page.items.length);
        keys.push(...page.items.map(({ key }) => key));
        cursor = page.nextCursor;
      } while (cursor !== null);
      expect(sizes).toEqual([10, 10, 5]);
      expect(keys).toEqual(reverse ? keysOf(25).toReversed() : keysOf(25));
    }
  });

  test("the last page says so, also when it is full", async () => {
    const storage = backend.open();
    await fill(storage, 20);
    const first = await storage.memory.list("agent", { limit: 10 });
    expect(first.nextCursor).toEqual(expect.any(String));
    const second = await storage.memory.list("agent", {
      limit: 10,
      cursor: first.nextCursor ?? "",
    });
    expect(second.items).toHaveLength(10);
    expect(second.nextCursor).toBeNull();
  });

  test("for await gives every item of every page", async () => {
    const storage = backend.open();
    await fill(storage, 25);
    const keys: string[] = [];
    for await (const { key } of storage.memory.list("agent", { limit: 4 })) keys.push(key);
    expect(keys).toEqual(keysOf(25));
    const rest: string[] = [];
    const { nextCursor } = await storage.memory.list("agent", { limit: 20 });
    for await (const { key } of storage.memory.list("agent", { cursor: nextCursor ?? "" }))
      rest.push(key);
    expect(rest).toEqual(keysOf(25).slice(20));
  });

  test("each await reads anew", async () => {
    const storage = backend.open();
    const listing = storage.memory.list("agent");
    expect((await listing).items).toHaveLength(0);
    await fill(storage, 3);
    expect((await listing).items).toHaveLength(3);
  });

  test("a prefix is taken literally", async () => {
    const { memory } = backend.open();
    const keys = [
      "a",
      "a%",
      "a%b",
      "a*",
      "a.b",
      "a/b",
      "a:b",
      "a?",
      "a[b]",
      "a\\",
      "a_",
      "a_b",
      "ab",
      "aé",
      "a😀",
      "a😁",
      "b",
      "A",
    ];
    await memory.setMany(
      "agent",
      keys.map((key) => ({ key, value: key })),
    );
    for (const prefix of [
      "",
      "a",
      "a%",
      "a_",
      "a*",
      "a\\",
      "a[",
      "a.",
      "a😀",
      "aé",
      "z",
      "A",
      "b",
    ]) {
      const expected = keys
        .filter((key) => key.startsWith(prefix))
        .toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      for (const reverse of [false, true]) {
        const { items } = await memory.list("agent", { prefix, reverse });
        expect(
          items.map(({ key }) => key),
          `prefix ${prefix}`,
        ).toEqual(reverse ? expected.toReversed() : expected);
      }
    }
  });

  test("prefixes at the end of the Unicode range find what begins with them", async () => {
    const { memory } = backend.open();
    const keys = [
      "\u{10ffff}",
      "\u{10ffff}a",
      "\u{10ffff}\u{10ffff}",
      "\uffff",
      "\uffffa",
      "\ud7ff",
      "\ud7ffa",
      "\ue000",
    ];
    await memory.setMany(
      "agent",
      keys.map((key) => ({ key, value: 1 })),
    );
    for (const [prefix, count] of [
      ["\u{10ffff}", 3],
      ["\uffff", 2],
      ["\ud7ff", 2],
      ["\u{10ffff}\u{10ffff}", 1],
    ] as const) {
      const found = [];
      for await (const { key } of memory.list("agent", { prefix, limit: 1 })) found.push(key);
      expect(found).toHaveLength(count);
      for (const key of found) expect(key.startsWith(prefix)).toBe(true);
    }
  });

  test("prefix and pages go together", async () => {
    const storage = backend.open();
    await fill(storage, 128);
    await storage.memory.setMany(
      "agent",
      keysOf(30).map((key) => ({ key: `x${key}`, value: 1 })),
    );
    for (const reverse of [false, true]) {
      const keys: string[] = [];
      const options = { prefix: "xkey", limit: 7, reverse };
      for await (const { key } of storage.memory.list("agent", options)) keys.push(key);
      const expected = keysOf(30).map((key) => `x${key}`);
      expect(keys).toEqual(reverse ? expected.toReversed() : expected);
    }
  });
});

describeEachBackend("cursors", { everyLogin: true }, (backend) => {
  test("stay right while records come and go", async () => {
    const storage = backend.open();
    await fill(storage, 100);
    const kept = keysOf(100).filter((_, n) => n % 3 !== 0);
    const seen: string[] = [];
    let step = 0;
    for await (const { key } of storage.memory.list("agent", { limit: 5 })) {
      seen.push(key);
      // Behind, at and ahead of the cursor: delete some, add some, rewrite some.
      const n = step * 3;
      if (n < 100) await storage.memory.delete("agent", keyOf(n));
      await storage.memory.set("agent", `key 000 new ${step}`, 1);
      await storage.memory.set("agent", `key 0${step} new`, 1);
      await storage.memory.set("agent", keyOf(1 + (step % 2)), "rewritten");
      step += 1;
      if (step > 400) break;
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.filter((key) => kept.includes(key))).toEqual(kept);
  });

  test("survive the record that they point at, and reopening", async () => {
    const storage = backend.open();
    await fill(storage, 10);
    const { items, nextCursor } = await storage.memory.list("agent", { limit: 4 });
    await storage.memory.delete("agent", items.at(-1)?.key ?? "");
    await storage.close();
    const again = backend.open();
    const next = await again.memory.list("agent", { limit: 4, cursor: nextCursor ?? "" });
    expect(next.items.map(({ key }) => key)).toEqual(keysOf(10).slice(4, 8));
  });

  test("are good for one listing of one organisation only", async () => {
    const storage = backend.open();
    await fill(storage, 10);
    await storage.memory.set("other", "a", 1);
    await storage.memory.set("other", "b", 1);
    for (const id of ["a", "b"]) {
      await storage.agentStates.set(id, {});
      await storage.projects.create({ id, name: id });
      await storage.subscribers.subscribe(`${id}@example.com`);
    }
    const cursor = (await storage.memory.list("agent", { limit: 3 })).nextCursor ?? "";
    const trail = (await storage.audit.list({ limit: 1 })).nextCursor ?? "";
    const elsewhere = [
      storage.memory.list("other", { cursor }),
      storage.memory.list("agent", { cursor, prefix: "key" }),
      storage.memory.list("agent", { cursor, reverse: true }),
      storage.agentStates.list({ cursor }),
      storage.projects.list({ cursor }),
      storage.subscribers.list({ cursor }),
      storage.audit.list({ cursor }),
      storage.audit.list({ cursor: trail, order: "asc" }),
      storage.audit.list({ cursor: trail, action: "agent.*" }),
      storage.forOrg(`${backend.orgId}2`).memory.list("agent", { cursor }),
      storage.forOrg(`${backend.orgId}2`).audit.list({ cursor: trail }),
    ];
    await expectEach(elsewhere, "VALIDATION");
    // The size of a page isn't part of what is listed.
    expect((await storage.memory.list("agent", { cursor, limit: 2 })).items).toHaveLength(2);
  });

  test("that nobody gave out are refused", async () => {
    const storage = backend.open();
    await fill(storage, 10);
    const cursor = (await storage.memory.list("agent", { limit: 3 })).nextCursor ?? "";
    const [print] = JSON.parse(Buffer.from(cursor, "base64url").toString()) as [string];
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const forged: unknown[] = [
      "",
      "x",
      " ",
      "null",
      "💥",
      cursor.slice(1),
      cursor.slice(0, 8),
      encode(null),
      encode([]),
      encode([print]),
      encode([print, 1]),
      encode([print, "a", "b"]),
      encode([print, "a\u0000b"]),
      encode([print, "\ud800"]),
      encode([print, ""]),
      encode([print, "x".repeat(100_000)]),
      encode(["", "a"]),
      encode({ 0: print, 1: "a" }),
      5,
      null,
      {},
      ["a"],
    ];
    for (const value of forged) {
      const call = storage.memory.list("agent", { cursor: value as string });
      await expectCode(call, "VALIDATION");
    }
  });

  test("of the trail that nobody gave out are refused", async () => {
    const storage = backend.open();
    for (let n = 0; n < 3; n += 1) await storage.audit.append({ action: "test.appended" });
    const cursor = (await storage.audit.list({ limit: 1 })).nextCursor ?? "";
    const [print] = JSON.parse(Buffer.from(cursor, "base64url").toString()) as [string];
    for (const after of ["", "a", "-1", "1.5", "1e400", "NaN", "9007199254740993", "0x10", " 1"]) {
      const forged = Buffer.from(JSON.stringify([print, after])).toString("base64url");
      await expectCode(storage.audit.list({ cursor: forged }), "VALIDATION");
    }
  });

  test("work for agents, which come from two tables", async () => {
    const storage = backend.open();
    const ids = keysOf(60);
    const isRegistered = (id: string) => ids.indexOf(id) % 3 !== 1;
    const hasMemory = (id: string) => ids.indexOf(id) % 3 !== 2;
    for (const id of ids.filter(isRegistered)) await storage.agentStates.set(id, {});
    for (const id of ids.filter(hasMemory)) await storage.memory.set(id, "key", 1);
    const expected = ids.map((id) => ({ id, registered: isRegistered(id) }));
    for (const [reverse, limit] of [
      [false, 1],
      [false, 60],
      [true, 7],
    ] as const) {
      const seen: object[] = [];
      for await (const { id, registered } of storage.agentStates.list({ reverse, limit })) {
        seen.push({ id, registered });
      }
      expect(seen).toEqual(reverse ? expected.toReversed() : expected);
    }
  });
});

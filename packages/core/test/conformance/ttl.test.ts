import { expect, test } from "vitest";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

const day = 24 * 60 * 60 * 1000;

describeEachBackend("time to live", { everyLogin: true }, (backend) => {
  test("an entry is there until its last millisecond and then gone for every verb", async () => {
    const { memory, agentStates } = backend.open();
    await memory.set("agent", "key", 1, { ttlMs: 5000 });
    backend.clock.advance(4999);
    expect(await memory.get("agent", "key")).toBe(1);
    expect((await agentStates.list()).items).toHaveLength(1);
    backend.clock.advance(1);
    expect(await memory.get("agent", "key")).toBeNull();
    expect(await memory.getEntry("agent", "key")).toBeNull();
    expect(await memory.has("agent", "key")).toBe(false);
    expect(await memory.getMany("agent", ["key"])).toEqual([null]);
    expect(await memory.list("agent")).toEqual({ items: [], nextCursor: null });
    expect(await agentStates.get("agent")).toBeNull();
    expect((await agentStates.list()).items).toEqual([]);
    expect(await memory.deleteMany("agent", ["key"])).toEqual([false]);
    expect(await memory.delete("agent", "key")).toBe(false);
  });

  test("expiresAt takes Dates and instants of any zone, and gives UTC", async () => {
    const { memory } = backend.open();
    const at = Math.floor(backend.clock.nowMs / 1000) * 1000 + day + 123;
    const utc = new Date(at).toISOString();
    const shifted = `${new Date(at + 5.5 * 60 * 60 * 1000).toISOString().slice(0, -1)}+05:30`;
    for (const expiresAt of [utc, shifted, new Date(at)]) {
      expect(await memory.set("agent", "key", 1, { expiresAt })).toMatchObject({ expiresAt: utc });
      expect(await memory.getEntry("agent", "key")).toMatchObject({ expiresAt: utc });
    }
  });

  test("instants that leave anything open are refused", async () => {
    const { memory } = backend.open();
    const wrong: unknown[] = [
      "tomorrow",
      "",
      "2099-01-01",
      "2099-01-01T00:00:00",
      "2099-02-30T00:00:00Z",
      "2099-13-01T00:00:00Z",
      "01/02/2099",
      "+012099-01-01T00:00:00Z",
      new Date(Number.NaN),
      backend.clock.nowMs + day,
      null,
      {},
      true,
    ];
    for (const expiresAt of wrong) {
      const options = { expiresAt } as { expiresAt: string };
      await expectCode(memory.set("agent", "key", 1, options), "VALIDATION");
    }
    const both = { ttlMs: 5000, expiresAt: backend.clock.iso(5000) };
    await expectCode(memory.set("agent", "key", 1, both), "VALIDATION");
    for (const ttlMs of ["5000", null, {}, 5000n]) {
      const options = { ttlMs } as { ttlMs: number };
      await expectCode(memory.set("agent", "key", 1, options), "VALIDATION");
    }
    expect(await memory.has("agent", "key")).toBe(false);
  });

  test("set without a time to live takes it away", async () => {
    const { memory } = backend.open();
    await memory.set("agent", "key", 1, { ttlMs: 1000 });
    expect(await memory.set("agent", "key", 2)).toMatchObject({ expiresAt: null });
    backend.clock.advance(day);
    expect(await memory.get("agent", "key")).toBe(2);
  });

  test("reading doesn't prolong anything", async () => {
    const { memory } = backend.open();
    await memory.set("agent", "key", 1, { ttlMs: 1000 });
    for (let n = 0; n < 9; n += 1) {
      backend.clock.advance(100);
      expect(await memory.get("agent", "key")).toBe(1);
    }
    backend.clock.advance(100);
    expect(await memory.get("agent", "key")).toBeNull();
  });

  test("an entry stored over an expired one is a new one", async () => {
    const { memory } = backend.open();
    const first = await memory.set("agent", "key", 1, { ttlMs: 1000 });
    backend.clock.advance(5000);
    const second = await memory.set("agent", "key", 2);
    expect(second).toMatchObject({ created: true, createdAt: backend.clock.iso() });
    expect(second.version).not.toBe(first.version);
    backend.clock.advance(1);
    expect(await memory.set("agent", "key", 3)).toMatchObject({
      created: false,
      createdAt: second.createdAt,
    });
  });

  test("pages are full although expired entries lie between", async () => {
    const { memory } = backend.open();
    const keys = Array.from({ length: 60 }, (_, n) => `key ${String(n).padStart(2, "0")}`);
    await memory.setMany(
      "agent",
      keys.map((key, n) => ({ key, value: n, ...(n % 3 === 0 ? {} : { ttlMs: 1000 }) })),
    );
    backend.clock.advance(1000);
    const { items, nextCursor } = await memory.list("agent", { limit: 15 });
    expect(items.map(({ value }) => value)).toEqual(Array.from({ length: 15 }, (_, n) => n * 3));
    const rest = await memory.list("agent", { limit: 15, cursor: nextCursor ?? "" });
    expect(rest.items).toHaveLength(5);
    expect(rest.nextCursor).toBeNull();
  });

  test("time to live survives reopening", async () => {
    const first = backend.open();
    await first.memory.set("agent", "short", 1, { ttlMs: 1000 });
    await first.memory.set("agent", "long", 2, { ttlMs: day });
    await first.close();
    backend.clock.advance(1000);
    const { memory } = backend.open();
    expect((await memory.list("agent")).items).toEqual([
      expect.objectContaining({ key: "long", expiresAt: backend.clock.iso(day - 1000) }),
    ]);
  });

  test("a transaction sees expired entries as absent, and notices one that comes back", async () => {
    const storage = backend.open();
    await storage.memory.set("agent", "key", "old", { ttlMs: 1000 });
    backend.clock.advance(1000);
    let runs = 0;
    await storage.transaction(async (tx) => {
      runs += 1;
      const seen = await tx.memory.get("agent", "key");
      if (runs === 1) {
        expect(seen).toBeNull();
        await storage.memory.set("agent", "key", "interfering");
      }
      await tx.memory.set("agent", "copy", seen);
    });
    expect(runs).toBe(2);
    expect(await storage.memory.get("agent", "copy")).toBe("interfering");
  });

  test("what has expired is reclaimed beside the work of others", async () => {
    const first = backend.open();
    const marker = `reclaim-${backend.orgId}`;
    for (let n = 0; n < 40; n += 1) {
      await first.memory.set("agent", `short ${n}`, { marker, n }, { ttlMs: 1000 });
    }
    await first.memory.set("agent", "long", `kept-${backend.orgId}`, { ttlMs: day });
    await first.close();
    backend.clock.advance(2000);
    const { memory } = backend.open();
    await memory.set("agent", "other", 1);
    // It happens by itself: after a commit, and on files with the snapshot of an idle moment.
    // Files are read one after the other while they may be written: only what is found at once counts.
    const found = async () => {
      const stored = await backend.target.everythingStored();
      return [marker, `kept-${backend.orgId}`].filter((text) => stored.includes(text));
    };
    await expect.poll(found, { interval: 200 }).toEqual([`kept-${backend.orgId}`]);
    expect(await memory.get("agent", "long")).toBe(`kept-${backend.orgId}`);
  });
});

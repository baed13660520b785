import { expect, test } from "vitest";
import { StorageError } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";

const range = (count: number) => Array.from({ length: count }, (_, index) => index);

describeEachBackend("concurrent callers", { everyLogin: true }, (backend) => {
  test("64 parallel increments by compare-and-set lose nothing", async () => {
    const storage = backend.open();
    await storage.memory.set("agent", "counter", 0);
    async function incremented(): Promise<boolean> {
      const entry = await storage.memory.getEntry<number>("agent", "counter");
      const { value = Number.NaN, version = "" } = entry ?? {};
      try {
        await storage.memory.set("agent", "counter", value + 1, { ifVersion: version });
        return true;
      } catch (error) {
        if (StorageError.is(error, "PRECONDITION_FAILED")) return false;
        throw error;
      }
    }
    async function increment(): Promise<number> {
      let attempts = 1;
      while (!(await incremented())) attempts += 1;
      return attempts;
    }
    const attempts = await Promise.all(range(64).map(increment));
    expect(await storage.memory.get("agent", "counter")).toBe(64);
    // Some had to try again, or nothing was concurrent here.
    expect(Math.max(...attempts)).toBeGreaterThan(1);
  });

  test("of 64 that create one entry exactly one does", async () => {
    const storage = backend.open();
    const outcomes = await Promise.allSettled(
      range(64).map((n) => storage.memory.set("agent", "key", n, { ifAbsent: true })),
    );
    const winners = outcomes.flatMap((outcome, n) => (outcome.status === "fulfilled" ? [n] : []));
    expect(winners).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === "rejected") {
        expect(StorageError.is(outcome.reason, "PRECONDITION_FAILED")).toBe(true);
      }
    }
    expect(await storage.memory.get("agent", "key")).toBe(winners[0]);
  });

  test("of 64 that delete one entry exactly one did", async () => {
    const storage = backend.open();
    await storage.memory.set("agent", "key", 1);
    const existed = await Promise.all(range(64).map(() => storage.memory.delete("agent", "key")));
    expect(existed.filter(Boolean)).toHaveLength(1);
  });

  test("writes to one key take effect in the order of the calls", async () => {
    const storage = backend.open();
    const calls = range(100).map((n) => storage.memory.set("agent", "key", n));
    const results = await Promise.all(calls);
    expect(await storage.memory.get("agent", "key")).toBe(99);
    expect(results.map(({ created }) => created)).toEqual(range(100).map((n) => n === 0));
    expect(new Set(results.map(({ version }) => version)).size).toBe(100);
  });

  test("sets and deletes of one key alternate as they were called", async () => {
    const storage = backend.open();
    const calls = range(40).map((n) =>
      n % 2 === 0
        ? storage.memory.set("agent", "key", n).then(({ created }) => created)
        : storage.memory.delete("agent", "key"),
    );
    expect(await Promise.all(calls)).toEqual(range(40).map(() => true));
    expect(await storage.memory.has("agent", "key")).toBe(false);
  });

  test("a read sees every write acknowledged before it, of many keys at once", async () => {
    const storage = backend.open();
    await Promise.all(
      range(200).map(async (n) => {
        const key = `key ${n % 50}`;
        const { version } = await storage.memory.set(`agent ${n}`, key, n);
        const entry = await storage.memory.getEntry(`agent ${n}`, key);
        expect(entry).toMatchObject({ value: n, version });
      }),
    );
  });

  test("one bad value fails alone among its neighbours", async () => {
    const storage = backend.open();
    const outcomes = await Promise.allSettled(
      range(32).map((n) =>
        storage.memory.set("agent", `key ${n}`, n, n === 7 ? { ifVersion: "no such version" } : {}),
      ),
    );
    const failed = outcomes.flatMap((outcome, n) => (outcome.status === "rejected" ? [n] : []));
    expect(failed).toEqual([7]);
    expect((await storage.memory.list("agent")).items).toHaveLength(31);
  });

  test("setMany in opposite orders doesn't deadlock and stays all or nothing", async () => {
    const storage = backend.open();
    const keys = range(20).map((n) => `key ${String(n).padStart(2, "0")}`);
    await Promise.all(
      range(16).map((caller) => {
        const order = caller % 2 === 0 ? keys : keys.toReversed();
        return storage.memory.setMany(
          "agent",
          order.map((key) => ({ key, value: caller })),
        );
      }),
    );
    const { items } = await storage.memory.list("agent");
    expect(items.map(({ key }) => key)).toEqual(keys);
    expect(new Set(items.map(({ value }) => value)).size).toBe(1);
  });

  test("getMany is as of one moment", async () => {
    const storage = backend.open();
    const keys = range(10).map(String);
    const write = (value: number) =>
      storage.memory.setMany(
        "agent",
        keys.map((key) => ({ key, value })),
      );
    await write(0);
    const writing = (async () => {
      for (let value = 1; value <= 30; value += 1) await write(value);
    })();
    for (let read = 0; read < 30; read += 1) {
      const entries = await storage.memory.getMany("agent", keys);
      expect(new Set(entries.map((entry) => entry?.value)).size).toBe(1);
    }
    await writing;
  });

  test("64 parallel appends make one trail without gap or fork", async () => {
    const storage = backend.open();
    const entries = await Promise.all(
      range(64).map((n) => storage.audit.append({ action: "test.appended", details: { n } })),
    );
    expect(entries.map(({ seq }) => seq).toSorted((a, b) => a - b)).toEqual(range(64));
    expect(new Set(entries.map(({ prev }) => prev)).size).toBe(64);
    expect(await storage.audit.verify()).toMatchObject({ verdict: "unanchored", size: 64 });
  });

  test("ten parallel read-modify-writes of an agent keep all ten", async () => {
    const storage = backend.open();
    await storage.memory.set("agent", "list", []);
    await Promise.all(
      range(10).map((n) =>
        storage
          .transaction(async (tx) => {
            const list = (await tx.memory.get<number[]>("agent", "list")) ?? [];
            await tx.memory.set("agent", "list", [...list, n]);
          })
          .catch(async (error: unknown) => {
            // Five attempts may not be enough among ten; what a caller then does is to run it again.
            if (!StorageError.is(error, "CONFLICT")) throw error;
            for (;;) {
              const entry = await storage.memory.getEntry<number[]>("agent", "list");
              const list = entry?.value ?? [];
              const outcome = await storage.memory
                .set("agent", "list", [...list, n], { ifVersion: entry?.version ?? "" })
                .then(
                  () => true,
                  () => false,
                );
              if (outcome) return;
            }
          }),
      ),
    );
    const list = (await storage.memory.get<number[]>("agent", "list")) ?? [];
    expect(list.toSorted((a, b) => a - b)).toEqual(range(10));
  });
});

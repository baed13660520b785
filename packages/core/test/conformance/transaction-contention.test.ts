import { expect, test } from "vitest";
import type { Storage, Transaction } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

const range = (count: number) => Array.from({ length: count }, (_, index) => index);

describeEachBackend("a transaction that met newer versions", { everyLogin: true }, (backend) => {
  test("runs again with what is stored now", async () => {
    const storage = backend.open();
    await storage.memory.set("agent", "counter", 1);
    const seen: unknown[] = [];
    await storage.transaction(async (tx) => {
      const value = (await tx.memory.get<number>("agent", "counter")) ?? 0;
      seen.push(value);
      if (seen.length === 1) await storage.memory.set("agent", "counter", 10);
      await tx.memory.set("agent", "counter", value + 1);
    });
    expect(seen).toEqual([1, 10]);
    expect(await storage.memory.get("agent", "counter")).toBe(11);
  });

  test("notices that a record it saw as absent is there", async () => {
    const storage = backend.open();
    let runs = 0;
    const { value } = await storage.transaction(async (tx) => {
      runs += 1;
      if (await tx.memory.has("agent", "key")) return "seen";
      if (runs === 1) await storage.memory.set("agent", "key", 1);
      await tx.memory.set("agent", "other", 1);
      return "absent";
    });
    expect([runs, value]).toEqual([2, "seen"]);
    expect(await storage.memory.has("agent", "other")).toBe(false);
  });

  test("notices that a record it only read is gone, or was stored again with the same value", async () => {
    const storage = backend.open();
    for (const interfere of [
      () => storage.memory.delete("agent", "key"),
      () => storage.memory.set("agent", "key", 1),
    ]) {
      await storage.memory.set("agent", "key", 1);
      let runs = 0;
      await storage.transaction(async (tx) => {
        runs += 1;
        await tx.memory.get("agent", "key");
        if (runs === 1) await interfere();
        await tx.memory.set("agent", "other", runs);
      });
      expect(runs).toBe(2);
    }
  });

  test("gives up after five attempts with CONFLICT and writes nothing", async () => {
    const storage = backend.open();
    await storage.memory.set("agent", "key", 0);
    let runs = 0;
    const call = storage.transaction(async (tx) => {
      runs += 1;
      await tx.memory.get("agent", "key");
      await storage.memory.set("agent", "key", runs);
      await tx.memory.set("agent", "other", 1);
      await tx.agentStates.set("agent", {});
    });
    const error = await expectCode(call, "CONFLICT");
    expect(error.retryable).toBe(true);
    expect(runs).toBe(5);
    expect(await storage.memory.has("agent", "other")).toBe(false);
    expect(await storage.audit.verify()).toMatchObject({ size: 0 });
  });

  test("doesn't mind changes of records that it didn't touch", async () => {
    const storage = backend.open();
    let runs = 0;
    await storage.transaction(async (tx) => {
      runs += 1;
      await tx.memory.set("agent", "mine", 1);
      await storage.memory.set("agent", "other", 1);
      await storage.forOrg(`${backend.orgId}-b`).memory.set("agent", "mine", 1);
    });
    expect(runs).toBe(1);
  });

  test("leaves no entry of an attempt that failed in the trail", async () => {
    const storage = backend.open();
    let runs = 0;
    const { audit } = await storage.transaction(async (tx) => {
      runs += 1;
      await tx.memory.get("agent", "key");
      if (runs < 3) await storage.memory.set("agent", "key", runs);
      await tx.audit.append({ action: "test.attempt", details: { runs } });
      await tx.agentStates.set("agent", { autonomyLevel: runs });
    });
    expect(audit.map(({ action }) => action)).toEqual(["test.attempt", "agent.registered"]);
    expect(audit[0]?.details).toEqual({ runs: 3 });
    expect(await storage.audit.verify()).toMatchObject({ size: 2 });
  });
});

describeEachBackend("16 parallel transactions", { everyLogin: true }, (backend) => {
  async function transfer(storage: Storage, from: string, to: string): Promise<void> {
    await storage.transaction(async (tx) => {
      const [a, b] = await tx.memory.getMany<number>("accounts", [from, to]);
      await tx.memory.set("accounts", from, (a?.value ?? 0) - 1);
      await tx.memory.set("accounts", to, (b?.value ?? 0) + 1);
      await tx.audit.append({ action: "test.transferred", target: { type: "account", id: to } });
    });
  }

  test("on different records all succeed, each with its entry", async () => {
    const storage = backend.open();
    await Promise.all(range(16).map((n) => transfer(storage, `from ${n}`, `to ${n}`)));
    for (const n of range(16)) {
      expect(await storage.memory.get("accounts", `from ${n}`)).toBe(-1);
      expect(await storage.memory.get("accounts", `to ${n}`)).toBe(1);
    }
    expect(await storage.audit.verify()).toMatchObject({ verdict: "unanchored", size: 16 });
  });

  test("on the same two records lose nothing, starve nobody and end", async () => {
    const storage = backend.open();
    await Promise.all(
      range(16).map((n) =>
        n % 2 === 0 ? transfer(storage, "a", "b") : transfer(storage, "b", "a"),
      ),
    );
    expect(await storage.memory.get("accounts", "a")).toBe(0);
    expect(await storage.memory.get("accounts", "b")).toBe(0);
    expect(await storage.audit.verify()).toMatchObject({ size: 16 });
  });

  test("in a ring of records that overlap keep the sum", async () => {
    const storage = backend.open();
    const keys = range(8).map((n) => `account ${n}`);
    await storage.memory.setMany(
      "accounts",
      keys.map((key) => ({ key, value: 100 })),
    );
    await Promise.all(
      range(16).map((n) => transfer(storage, keys[n % 8] ?? "", keys[(n * 3 + 1) % 8] ?? "")),
    );
    const entries = await storage.memory.getMany<number>("accounts", keys);
    expect(entries.reduce((sum, entry) => sum + (entry?.value ?? 0), 0)).toBe(800);
  });

  test("that run others inside which touch the same record don't wait for each other for ever", async () => {
    const storage = backend.open();
    const increment = (tx: Transaction) =>
      tx.memory
        .get<number>("agent", "inner")
        .then((n) => tx.memory.set("agent", "inner", (n ?? 0) + 1));
    let runs = 0;
    const outer = storage.transaction(async (tx) => {
      runs += 1;
      await tx.memory.get("agent", "inner");
      // The inner one changes what the outer one read, so the outer one runs again: holding its turn.
      if (runs <= 2) await Promise.all(range(4).map(() => storage.transaction(increment)));
      await tx.memory.set("agent", "outer", runs);
    });
    await outer;
    expect(await storage.memory.get("agent", "inner")).toBe(8);
    expect(await storage.memory.get("agent", "outer")).toBe(3);
  });

  test("that wait for something hold nothing that others need", async () => {
    const storage = backend.open();
    let arrived = 0;
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const transactions = range(16).map((n) =>
      storage.transaction(async (tx) => {
        await tx.memory.get("agent", `key ${n}`);
        await tx.memory.set("agent", `key ${n}`, n);
        arrived += 1;
        if (arrived === 16) open();
        await gate;
      }),
    );
    await gate;
    // All sixteen are in the middle of their work: whoever comes now isn't kept waiting.
    await storage.memory.set("agent", "outside", 1);
    await Promise.all(transactions);
    expect((await storage.memory.list("agent")).items).toHaveLength(17);
  });
});

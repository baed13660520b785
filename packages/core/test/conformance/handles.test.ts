import { inspect } from "node:util";
import { expect, test } from "vitest";
import { createStorage, type StorageOptions, systemActor } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode, expectThrown } from "../support/expect-code.ts";

describeEachBackend("a handle", (backend) => {
  test("knows its organisation, actor and backend", () => {
    const storage = backend.open();
    expect(storage.orgId).toBe(backend.orgId);
    expect(storage.actor).toEqual(systemActor);
    expect(storage.backend).toBe(backend.kind);
  });

  test("attributes what it does to its actor", async () => {
    const storage = backend.open();
    const ada = storage.as({ type: "user", id: "ada" });
    expect(ada.actor).toEqual({ type: "user", id: "ada" });
    expect(storage.actor).toEqual(systemActor);
    expect((await ada.audit.append({ action: "test.said" })).actor).toEqual(ada.actor);
    await ada.agentStates.set("agent", {});
    const other = ada.forOrg(`${backend.orgId}-b`);
    expect(other.actor).toEqual(ada.actor);
    expect((await other.audit.append({ action: "test.said" })).actor).toEqual(ada.actor);
    expect((await storage.audit.append({ action: "test.said" })).actor).toEqual(systemActor);
    const given = { type: "agent", id: "a" } as const;
    expect((await ada.audit.append({ action: "test.said", actor: given })).actor).toEqual(given);
    const actors = (await storage.audit.list({ order: "asc" })).items.map(({ actor }) => actor.id);
    expect(actors).toEqual(["ada", "ada", "library", "a"]);
    await storage.as({ type: "agent", id: "bot" }).transaction(async (tx) => {
      await tx.audit.append({ action: "test.said" });
      await tx.agentStates.delete("agent");
    });
    expect((await storage.audit.list({ actorType: "agent", actorId: "bot" })).items).toHaveLength(
      2,
    );
  });

  test("can't be made to name another actor afterwards", async () => {
    const actor = { type: "user" as const, id: "ada" };
    const ada = backend.open().as(actor);
    actor.id = "eve";
    expect((await ada.audit.append({ action: "test.said" })).actor.id).toBe("ada");
    expect(Object.isFrozen(ada.actor)).toBe(true);
  });

  test("refuses actors and organisations that aren't acceptable at once", () => {
    const storage = backend.open();
    const wrong: unknown[] = [
      null,
      undefined,
      "ada",
      {},
      { type: "user" },
      { type: "robot", id: "a" },
      { type: "user", id: "" },
      { type: "user", id: "a", name: "Ada" },
    ];
    for (const actor of wrong) expectThrown(() => storage.as(actor as never), "VALIDATION");
    for (const orgId of ["", "a\u0000", "\ud800", 5, null, {}]) {
      expectThrown(() => storage.forOrg(orgId as never), "VALIDATION");
      expectThrown(() => backend.open(orgId as never), "VALIDATION");
    }
  });

  test("says UNSUPPORTED to everything once it is closed, and so do its views", async () => {
    const storage = backend.open();
    const views = [storage, storage.as({ type: "user", id: "ada" }), storage.forOrg("other")];
    await storage.memory.set("agent", "key", 1);
    await storage.close();
    await storage.close();
    for (const view of views) {
      await expectCode(view.memory.get("agent", "key"), "UNSUPPORTED");
      await expectCode(view.memory.list("agent"), "UNSUPPORTED");
      await expectCode(view.audit.append({ action: "test.late" }), "UNSUPPORTED");
      await expectCode(
        view.transaction(async () => 1),
        "UNSUPPORTED",
      );
    }
    expectThrown(
      () => storage.forOrg("late").memory && storage.as({ type: "x" as "user", id: "y" }),
      "VALIDATION",
    );
  });

  test("stays usable while another one on the same target is closed", async () => {
    const one = backend.open();
    const other = backend.open();
    await one.memory.set("agent", "key", 1);
    await one.close();
    await one.close();
    expect(await other.memory.get("agent", "key")).toBe(1);
  });

  test("waits at close for work in flight", async () => {
    const storage = backend.open();
    const writes = Array.from({ length: 32 }, (_, n) => storage.memory.set("agent", `key ${n}`, n));
    await storage.close();
    expect(
      (await Promise.allSettled(writes)).filter(({ status }) => status === "fulfilled"),
    ).toHaveLength(32);
    const again = backend.open();
    expect((await again.memory.list("agent")).items).toHaveLength(32);
  });

  test("can be opened anew while the last one closes", async () => {
    for (let round = 0; round < 5; round += 1) {
      const storage = backend.open();
      await storage.memory.set("agent", "key", round);
      const closing = storage.close();
      const next = backend.open();
      expect(await next.memory.get("agent", "key")).toBe(round);
      await closing;
      await next.close();
    }
  });

  test("that was never used closes without touching anything", async () => {
    const storage = backend.open();
    await storage.close();
    await expectCode(storage.memory.get("agent", "key"), "UNSUPPORTED");
  });

  test("ends with await using", async () => {
    let escaped: ReturnType<typeof backend.open>;
    {
      await using storage = backend.open();
      await storage.memory.set("agent", "key", 1);
      escaped = storage;
    }
    await expectCode(escaped.memory.get("agent", "key"), "UNSUPPORTED");
  });

  test("refuses options that differ from those of an open handle, and takes them afterwards", async () => {
    const storage = backend.open();
    const conflicting: StorageOptions[] = [
      { maxValueBytes: 1024 },
      { clock: () => 0 },
      { encryptionKey: "a".repeat(64) },
    ];
    for (const options of conflicting) {
      expectThrown(() => backend.open(backend.orgId, options), "VALIDATION");
    }
    backend.open(backend.orgId);
    await storage.close();
    expectThrown(() => backend.open(backend.orgId, { maxValueBytes: 1024 }), "VALIDATION");
  });

  test("that couldn't be made leaves nothing open behind it", async () => {
    expectThrown(() => backend.open("\ud800"), "VALIDATION");
    const storage = backend.open();
    await storage.memory.set("agent", "key", 1);
    await storage.close();
    // Were a share of the target still held, other options would be refused.
    const other = backend.open(backend.orgId, { maxValueBytes: 1024 });
    expect(await other.memory.get("agent", "key")).toBe(1);
  });

  test("shows nothing secret when it is inspected", () => {
    const storage = backend.open(backend.orgId, { encryptionKey: "ab".repeat(32) });
    const shown = inspect(storage, { depth: 10, showHidden: true });
    expect(shown).not.toContain("ab".repeat(32));
    expect(shown).not.toMatch(/postgres:\/\/[^ ]*:[^ ]*@/);
  });

  test("refuses options of the wrong kind at once", () => {
    const wrong: object[] = [
      { clock: 5 },
      { maxValueBytes: "1024" },
      { encryptionKey: 5 },
      { coalesce: "no" },
      { preparedStatements: 1 },
      { maxConnections: 0 },
      { maxConnections: 1001 },
      { connectionTimeoutMs: -1 },
      { statementTimeoutMs: 1.5 },
      { directory: "" },
      { directory: "/tmp/a\u0000b" },
      { directory: "x", databaseUrl: "postgres://localhost/x" },
      { databaseUrl: "" },
      { databaseUrl: "mysql://localhost/x" },
      { databaseUrl: "not a url" },
      { databaseUrl: 5 },
      { pool: {} },
    ];
    for (const options of wrong) expectThrown(() => createStorage("org", options), "VALIDATION");
    for (const options of [5, "x", []]) {
      expectThrown(() => createStorage("org", options as StorageOptions), "VALIDATION");
    }
  });
});

describeEachBackend("health", { everyLogin: true }, (backend) => {
  test("says that all is well", async () => {
    const storage = backend.open();
    await storage.memory.set("agent", "key", 1);
    const health = await storage.health({ timeoutMs: 20_000 });
    expect(health).toMatchObject({
      ok: true,
      backend: backend.kind,
      latencyMs: expect.any(Number),
      migrations: { applied: expect.any(Number), pending: 0 },
      encryption: "ready",
      warnings: expect.any(Array),
    });
    expect(health.isolation).toBe(backend.target.isolation);
    expect(health).not.toHaveProperty("reason");
  });

  test("answers also before the first use, and refuses a time that isn't one", async () => {
    const storage = backend.open();
    expect(await storage.health({ timeoutMs: 20_000 })).toMatchObject({ ok: true });
    for (const timeoutMs of [0, -1, 1.5, Number.NaN, "800"]) {
      await expectCode(storage.health({ timeoutMs } as { timeoutMs: number }), "VALIDATION");
    }
  });
});

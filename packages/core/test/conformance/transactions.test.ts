import { expect, test } from "vitest";
import { testSecret } from "../../../../tooling/secrets.ts";
import type { Transaction } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

const range = (count: number) => Array.from({ length: count }, (_, index) => index);

describeEachBackend("a transaction", { everyLogin: true }, (backend) => {
  test("commits writes of every domain, and the trail's entries, in one step", async () => {
    const storage = backend.open();
    const teamId = `T${backend.orgId}`;
    const { value, audit } = await storage.transaction(async (tx) => {
      await tx.agentStates.set("agent", { status: "active" });
      await tx.projects.create({ id: "project", name: "Project" });
      await tx.projectConfigs.link("agent", { repository: "acme/app" });
      await tx.channelConfigs.set("sentry", { credentials: { token: testSecret() } });
      await tx.slackInstallations.set({ teamId, tokens: { botToken: testSecret("b") } });
      await tx.subscribers.subscribe("reader@example.com");
      await tx.memory.set("agent", "key", 1);
      const id = await tx.audit.append({ action: "test.committed" });
      return { id };
    });
    expect(audit.map(({ action }) => action)).toEqual([
      "agent.registered",
      "project.created",
      "repository.linked",
      "integration.configured",
      "slack.installed",
      "test.committed",
    ]);
    expect(audit.map(({ seq }) => seq)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(audit.at(-1)?.id).toBe(value.id);
    expect((await storage.audit.list({ order: "asc" })).items).toEqual(audit);
    expect(await storage.audit.verify()).toMatchObject({ verdict: "unanchored", size: 6 });
    expect(await storage.agentStates.get("agent")).toMatchObject({ status: "active" });
    expect(await storage.projects.getBySlug("project")).not.toBeNull();
    expect(await storage.projectConfigs.get("agent")).not.toBeNull();
    expect((await storage.channelConfigs.getCredentials("sentry"))?.["token"]?.reveal()).toBe(
      testSecret(),
    );
    expect((await storage.slackInstallations.getTokens({ teamId }))?.["botToken"]?.reveal()).toBe(
      testSecret("b"),
    );
    expect(await storage.subscribers.count()).toMatchObject({ total: 1 });
    expect(await storage.memory.get("agent", "key")).toBe(1);
  });

  test("shows nothing to others before its commit", async () => {
    const storage = backend.open();
    await storage.transaction(async (tx) => {
      await tx.memory.set("agent", "key", 1);
      await tx.audit.append({ action: "test.hidden" });
      expect(await storage.memory.get("agent", "key")).toBeNull();
      expect(await storage.audit.verify()).toMatchObject({ size: 0 });
    });
    expect(await storage.memory.get("agent", "key")).toBe(1);
  });

  test("sees its own writes", async () => {
    const storage = backend.open();
    await storage.memory.set("agent", "old", "before");
    const { value } = await storage.transaction(async (tx) => {
      expect(await tx.memory.get("agent", "old")).toBe("before");
      const { version } = await tx.memory.set("agent", "old", "after");
      expect(await tx.memory.getEntry("agent", "old")).toMatchObject({ value: "after", version });
      await tx.memory.set("agent", "new", { list: [1] });
      expect(await tx.memory.has("agent", "new")).toBe(true);
      expect(await tx.memory.delete("agent", "old")).toBe(true);
      expect(await tx.memory.get("agent", "old")).toBeNull();
      expect(await tx.memory.delete("agent", "old")).toBe(false);
      const [a, b] = await tx.memory.getMany("agent", ["new", "old"]);
      expect([a?.value, b]).toEqual([{ list: [1] }, null]);
      await tx.agentStates.set("agent", { name: "First" });
      await tx.agentStates.update("agent", { autonomyLevel: 2 });
      return tx.agentStates.get("agent");
    });
    expect(value).toMatchObject({ name: "First", autonomyLevel: 2 });
    expect(await storage.agentStates.get("agent")).toEqual(value);
    expect(await storage.memory.get("agent", "new")).toEqual({ list: [1] });
    expect(await storage.memory.has("agent", "old")).toBe(false);
  });

  test("makes anew what it deleted before", async () => {
    const storage = backend.open();
    await storage.memory.set("agent", "key", 1, { ttlMs: 60_000 });
    await storage.agentStates.set("agent", { name: "First", autonomyLevel: 3 });
    const later = backend.clock.iso(5000);
    backend.clock.advance(5000);
    const { value } = await storage.transaction(async (tx) => {
      await tx.memory.delete("agent", "key");
      await tx.memory.set("agent", "key", 2);
      await tx.memory.set("agent", "key", 3);
      await tx.agentStates.delete("agent");
      return tx.agentStates.set("agent", { name: "Second" });
    });
    expect(value).toMatchObject({ name: "Second", autonomyLevel: 1, createdAt: later });
    expect(await storage.agentStates.get("agent")).toEqual(value);
    const entry = await storage.memory.getEntry("agent", "key");
    expect(entry).toMatchObject({ value: 3, createdAt: later, expiresAt: null });
  });

  test("knows agents by the memory that it leaves them", async () => {
    const storage = backend.open();
    await storage.memory.set("stays", "key", 1);
    await storage.memory.set("goes", "key", 1);
    const { value } = await storage.transaction(async (tx) => {
      await tx.memory.set("new", "key", 1);
      await tx.memory.delete("goes", "key");
      await expectCode(tx.agentStates.update("goes", { autonomyLevel: 2 }), "NOT_FOUND");
      await tx.memory.set("passing", "key", 1);
      await tx.memory.delete("passing", "key");
      await expectCode(tx.agentStates.update("passing", { autonomyLevel: 2 }), "NOT_FOUND");
      const update = { autonomyLevel: 2 };
      return [
        await tx.agentStates.update("new", update),
        await tx.agentStates.update("stays", update),
      ];
    });
    expect(await storage.agentStates.get("new")).toEqual(value[0]);
    expect(await storage.agentStates.get("stays")).toEqual(value[1]);
    expect(await storage.agentStates.get("goes")).toBeNull();
  });

  test("gives out the versions that the entries have afterwards", async () => {
    const storage = backend.open();
    const { value } = await storage.transaction(async (tx) => {
      const one = await tx.memory.set("agent", "one", 1);
      const many = await tx.memory.setMany("agent", [
        { key: "two", value: 2 },
        { key: "three", value: 3, ttlMs: 5000 },
      ]);
      return [one, ...many].map(({ version }) => version);
    });
    const entries = await storage.memory.getMany("agent", ["one", "two", "three"]);
    expect(entries.map((entry) => entry?.version)).toEqual(value);
    expect(entries[2]?.expiresAt).toBe(backend.clock.iso(5000));
  });

  test("copies values when they are set and when they are read", async () => {
    const storage = backend.open();
    await storage.transaction(async (tx) => {
      const list = [1];
      await tx.memory.set("agent", "key", list);
      list.push(2);
      const read = await tx.memory.get<number[]>("agent", "key");
      read?.push(3);
    });
    expect(await storage.memory.get("agent", "key")).toEqual([1]);
  });

  test("that only reads, or does nothing, commits nothing", async () => {
    const storage = backend.open();
    await storage.memory.set("agent", "key", 1);
    const { value, audit } = await storage.transaction(async (tx) => tx.memory.get("agent", "key"));
    expect([value, audit]).toEqual([1, []]);
    expect(await storage.transaction(async () => undefined)).toEqual({
      value: undefined,
      audit: [],
    });
  });

  test("reads several records as of one moment", async () => {
    const storage = backend.open();
    await storage.memory.setMany("agent", [
      { key: "a", value: 0 },
      { key: "b", value: 0 },
    ]);
    const writing = (async () => {
      for (const n of range(40)) {
        await storage.memory.setMany("agent", [
          { key: "a", value: n },
          { key: "b", value: n },
        ]);
      }
    })();
    const seen: unknown[][] = [];
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const outcome = await storage
        .transaction(async (tx) => [
          await tx.memory.get("agent", "a"),
          await tx.memory.get("agent", "b"),
        ])
        .catch((error: { code: string }) => error.code);
      if (typeof outcome === "string") expect(outcome).toBe("CONFLICT");
      else seen.push(outcome.value);
    }
    await writing;
    for (const [a, b] of seen) expect(a).toBe(b);
  });

  test("passes on what its function throws and writes nothing", async () => {
    const storage = backend.open();
    const reason = new Error("changed my mind");
    const call = storage.transaction(async (tx) => {
      await tx.memory.set("agent", "key", 1);
      await tx.agentStates.set("agent", {});
      await tx.audit.append({ action: "test.thrown" });
      throw reason;
    });
    await expect(call).rejects.toBe(reason);
    expect(await storage.memory.has("agent", "key")).toBe(false);
    expect(await storage.audit.verify()).toMatchObject({ size: 0 });
  });

  test("may catch what a verb throws, and goes on", async () => {
    const storage = backend.open();
    await storage.projectConfigs.link("agent", { repository: "acme/app" });
    await storage.transaction(async (tx) => {
      await expectCode(
        tx.projectConfigs.link("agent", { repository: "acme/other" }),
        "ALREADY_EXISTS",
      );
      await expectCode(tx.memory.set("agent", "key", undefined), "VALIDATION");
      await tx.memory.set("agent", "key", "fine");
    });
    expect(await storage.memory.get("agent", "key")).toBe("fine");
    expect(await storage.projectConfigs.get("agent")).toMatchObject({ name: "app" });
  });

  test("holds preconditions against what it sees itself", async () => {
    const storage = backend.open();
    await storage.transaction(async (tx) => {
      const { version } = await tx.memory.set("agent", "key", 1, { ifAbsent: true });
      await expectCode(tx.memory.set("agent", "key", 2, { ifAbsent: true }), "PRECONDITION_FAILED");
      await tx.memory.set("agent", "key", 3, { ifVersion: version });
      await expectCode(
        tx.memory.delete("agent", "key", { ifVersion: version }),
        "PRECONDITION_FAILED",
      );
    });
    expect(await storage.memory.get("agent", "key")).toBe(3);
  });

  test("that fails at its commit writes nothing of it", async () => {
    const storage = backend.open();
    await storage.projects.create({ id: "taken", name: "Taken" });
    const call = storage.transaction(async (tx) => {
      await tx.memory.set("agent", "key", 1);
      await tx.audit.append({ action: "test.failed" });
      await tx.projects.create({ id: "new", name: "Taken" });
    });
    await expectCode(call, "ALREADY_EXISTS");
    expect(await storage.memory.has("agent", "key")).toBe(false);
    expect(await storage.projects.get("new")).toBeNull();
    expect(await storage.audit.verify()).toMatchObject({ size: 1 });
  });

  test("can't be used after its function has ended", async () => {
    const storage = backend.open();
    const leaked: Transaction[] = [];
    await storage.transaction(async (tx) => {
      leaked.push(tx);
    });
    for (const tx of leaked) {
      await expectCode(tx.memory.get("agent", "key"), "UNSUPPORTED");
      await expectCode(tx.memory.set("agent", "key", 1), "UNSUPPORTED");
      await expectCode(tx.agentStates.set("agent", {}), "UNSUPPORTED");
      await expectCode(tx.audit.append({ action: "test.late" }), "UNSUPPORTED");
    }
    expect(await storage.memory.has("agent", "key")).toBe(false);
  });

  test("has no listings", async () => {
    const storage = backend.open();
    await storage.transaction(async (tx) => {
      for (const domain of Object.values(tx)) expect(domain).not.toHaveProperty("list");
      expect(tx.projects).not.toHaveProperty("getBySlug");
      expect(tx.subscribers).not.toHaveProperty("count");
    });
  });

  test("takes a function and nothing else", async () => {
    const storage = backend.open();
    for (const work of [undefined, null, 5, {}, "work"]) {
      await expectCode(storage.transaction(work as never), "VALIDATION");
    }
  });
});

import { expect, test } from "vitest";
import { type AgentInput, agentStatuses } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

describeEachBackend("agents", { everyLogin: true }, (backend) => {
  test("registering one gives everything that wasn't said its default", async () => {
    const { agentStates } = backend.open();
    const now = backend.clock.iso();
    const agent = await agentStates.set("deployer", {});
    expect(agent).toEqual({
      id: "deployer",
      type: "agent",
      name: "deployer",
      status: "idle",
      autonomyLevel: 1,
      projectId: null,
      lastActivityAt: null,
      registered: true,
      version: expect.any(String),
      createdAt: now,
      updatedAt: now,
    });
    expect(await agentStates.get("deployer")).toEqual(agent);
    expect(await agentStates.has("deployer")).toBe(true);
  });

  test("set says everything anew, update changes what is named", async () => {
    const { agentStates } = backend.open();
    const full: AgentInput = {
      type: "reviewer",
      name: "Review",
      status: "active",
      autonomyLevel: 4,
      projectId: "web",
      lastActivityAt: "2024-05-06T07:08:09+02:00",
    };
    const created = await agentStates.set("agent", full);
    expect(created).toMatchObject({ ...full, lastActivityAt: "2024-05-06T05:08:09.000Z" });
    backend.clock.advance(1000);
    const updated = await agentStates.update("agent", { status: "suspended", projectId: null });
    expect(updated).toEqual({
      ...created,
      status: "suspended",
      projectId: null,
      version: updated.version,
      updatedAt: backend.clock.iso(),
    });
    expect(updated.version).not.toBe(created.version);
    expect(await agentStates.set("agent", {})).toMatchObject({
      name: "agent",
      type: "agent",
      status: "idle",
      autonomyLevel: 1,
      lastActivityAt: null,
      createdAt: created.createdAt,
    });
  });

  test("every status and every level from 0 to 5 is kept", async () => {
    const { agentStates } = backend.open();
    for (const [n, status] of agentStatuses.entries()) {
      await agentStates.set(`agent ${n}`, { status, autonomyLevel: n });
      expect(await agentStates.get(`agent ${n}`)).toMatchObject({ status, autonomyLevel: n });
    }
    expect(await agentStates.update("agent 0", { autonomyLevel: 5 })).toMatchObject({
      autonomyLevel: 5,
    });
  });

  test("what isn't acceptable is refused and changes nothing", async () => {
    const { agentStates, audit } = backend.open();
    const before = await agentStates.set("agent", {});
    const wrong: unknown[] = [
      { autonomyLevel: -1 },
      { autonomyLevel: 6 },
      { autonomyLevel: 1.5 },
      { autonomyLevel: "1" },
      { autonomyLevel: Number.NaN },
      { autonomyLevel: null },
      { status: "sleeping" },
      { status: null },
      { status: "Active" },
      { name: "" },
      { name: "a\u0000b" },
      { name: 5 },
      { type: "\ud800" },
      { projectId: "" },
      { lastActivityAt: "yesterday" },
      { lastActivityAt: 5 },
      { autonomy: 5 },
      null,
      [],
      "active",
      5,
    ];
    for (const input of wrong) {
      await expectCode(agentStates.set("agent", input as AgentInput), "VALIDATION");
      await expectCode(agentStates.update("agent", input as AgentInput), "VALIDATION");
      await expectCode(agentStates.set("new", input as AgentInput), "VALIDATION");
    }
    expect(await agentStates.get("agent")).toEqual(before);
    expect(await agentStates.has("new")).toBe(false);
    expect(await audit.verify()).toMatchObject({ size: 1 });
  });

  test("touch sets the last activity without an entry in the trail", async () => {
    const { agentStates, audit } = backend.open();
    const before = await agentStates.set("agent", { status: "active" });
    backend.clock.advance(60_000);
    const touched = await agentStates.touch("agent");
    expect(touched).toEqual({
      ...before,
      lastActivityAt: backend.clock.iso(),
      updatedAt: backend.clock.iso(),
      version: touched.version,
    });
    expect(await audit.verify()).toMatchObject({ size: 1 });
    await expectCode(agentStates.touch("nobody"), "NOT_FOUND");
  });

  test("an agent known only by its memory shows among the agents", async () => {
    const { agentStates, memory } = backend.open();
    await memory.set("known", "key", 1);
    const known = await agentStates.get("known");
    expect(known).toEqual({
      id: "known",
      type: "agent",
      name: "known",
      status: "idle",
      autonomyLevel: 1,
      projectId: null,
      lastActivityAt: null,
      registered: false,
      version: null,
      createdAt: null,
      updatedAt: null,
    });
    expect(await agentStates.has("known")).toBe(false);
    expect((await agentStates.list()).items).toEqual([known]);
    await expectCode(agentStates.touch("known"), "NOT_FOUND");
    expect(await agentStates.delete("known")).toBe(false);
    const updated = await agentStates.update("known", { autonomyLevel: 3 });
    expect(updated).toMatchObject({ registered: true, autonomyLevel: 3, name: "known" });
    await memory.delete("known", "key");
    expect((await agentStates.list()).items).toEqual([updated]);
  });

  test("changing an agent that nobody knows is NOT_FOUND", async () => {
    const { agentStates, audit } = backend.open();
    await expectCode(agentStates.update("nobody", { name: "x" }), "NOT_FOUND");
    expect(await agentStates.get("nobody")).toBeNull();
    expect(await audit.verify()).toMatchObject({ size: 0 });
  });

  test("removing the registration leaves memory and links", async () => {
    const storage = backend.open();
    await storage.agentStates.set("agent", { status: "active" });
    await storage.memory.set("agent", "key", 1);
    await storage.projectConfigs.link("agent", { repository: "acme/app" });
    expect(await storage.agentStates.delete("agent")).toBe(true);
    expect(await storage.agentStates.delete("agent")).toBe(false);
    expect(await storage.memory.get("agent", "key")).toBe(1);
    expect(await storage.projectConfigs.get("agent")).not.toBeNull();
    expect(await storage.agentStates.get("agent")).toMatchObject({
      registered: false,
      status: "idle",
    });
  });

  test("agents are listed by status", async () => {
    const { agentStates, memory } = backend.open();
    await agentStates.set("a", { status: "active" });
    await agentStates.set("b", { status: "suspended" });
    await agentStates.set("c", { status: "active" });
    await agentStates.set("d", {});
    await memory.set("e", "key", 1);
    const ids = async (status?: "active" | "idle" | "suspended" | "error") =>
      (await agentStates.list(status === undefined ? {} : { status })).items.map(({ id }) => id);
    expect(await ids()).toEqual(["a", "b", "c", "d", "e"]);
    expect(await ids("active")).toEqual(["a", "c"]);
    expect(await ids("suspended")).toEqual(["b"]);
    expect(await ids("idle")).toEqual(["d", "e"]);
    expect(await ids("error")).toEqual([]);
    await expectCode(agentStates.list({ status: "sleeping" as "idle" }), "VALIDATION");
  });
});

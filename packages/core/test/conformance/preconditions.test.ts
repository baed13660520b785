import { expect, test } from "vitest";
import { testSecret } from "../../../../tooling/secrets.ts";
import { PreconditionFailedError } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode, expectEach } from "../support/expect-code.ts";

describeEachBackend("preconditions of memory", { everyLogin: true }, (backend) => {
  test("ifAbsent lets exactly the first writer through", async () => {
    const { memory } = backend.open();
    const first = await memory.set("agent", "key", "first", { ifAbsent: true });
    const error = await expectCode(
      memory.set("agent", "key", "second", { ifAbsent: true }),
      "PRECONDITION_FAILED",
    );
    expect(error).toBeInstanceOf(PreconditionFailedError);
    expect(error).toMatchObject({ currentVersion: first.version, retryable: false });
    expect(await memory.get("agent", "key")).toBe("first");
  });

  test("ifVersion lets a writer through who saw the latest version", async () => {
    const { memory } = backend.open();
    const first = await memory.set("agent", "key", 1);
    const second = await memory.set("agent", "key", 2, { ifVersion: first.version });
    const error = await expectCode(
      memory.set("agent", "key", 3, { ifVersion: first.version }),
      "PRECONDITION_FAILED",
    );
    expect(error).toMatchObject({ currentVersion: second.version });
    expect(await memory.getEntry("agent", "key")).toMatchObject({
      value: 2,
      version: second.version,
    });
  });

  test("ifVersion of a missing entry fails and says that there is none", async () => {
    const { memory } = backend.open();
    const { version } = await memory.set("agent", "key", 1);
    await memory.delete("agent", "key");
    const calls = [
      memory.set("agent", "key", 2, { ifVersion: version }),
      memory.delete("agent", "key", { ifVersion: version }),
      memory.set("agent", "never", 2, { ifVersion: "no such version" }),
    ];
    for (const error of await expectEach(calls, "PRECONDITION_FAILED")) {
      expect(error).toMatchObject({ currentVersion: null });
    }
    expect((await memory.list("agent")).items).toEqual([]);
  });

  test("a version of another entry is no version of this one", async () => {
    const { memory } = backend.open();
    const other = await memory.set("agent", "other", 1);
    const { version } = await memory.set("agent", "key", 1);
    const error = await expectCode(
      memory.delete("agent", "key", { ifVersion: other.version }),
      "PRECONDITION_FAILED",
    );
    expect(error).toMatchObject({ currentVersion: version });
    expect(error.message).toBe(
      `memory entry "agent" "key": the precondition does not hold, its version is "${version}". Read it again, then decide.`,
    );
    expect(await memory.delete("agent", "key", { ifVersion: version })).toBe(true);
  });

  test("an expired entry counts as absent", async () => {
    const { memory } = backend.open();
    const { version } = await memory.set("agent", "key", "old", { ttlMs: 1000 });
    backend.clock.advance(1000);
    const gone = memory.set("agent", "key", "new", { ifVersion: version });
    expect(await expectCode(gone, "PRECONDITION_FAILED")).toMatchObject({ currentVersion: null });
    const anew = await memory.set("agent", "key", "new", { ifAbsent: true });
    expect(anew).toMatchObject({ created: true, createdAt: backend.clock.iso() });
    expect(anew.version).not.toBe(version);
  });

  test("an entry that hasn't expired yet is there", async () => {
    const { memory } = backend.open();
    await memory.set("agent", "key", "old", { ttlMs: 1000 });
    backend.clock.advance(999);
    await expectCode(memory.set("agent", "key", "new", { ifAbsent: true }), "PRECONDITION_FAILED");
  });

  test("both preconditions at once are refused", async () => {
    const { memory } = backend.open();
    const { version } = await memory.set("agent", "key", 1);
    const options = { ifVersion: version, ifAbsent: true };
    await expectCode(memory.set("agent", "key", 2, options), "VALIDATION");
    await expectCode(memory.setMany("agent", [{ key: "key", value: 2, ...options }]), "VALIDATION");
    expect(await memory.get("agent", "key")).toBe(1);
  });

  test("preconditions of the wrong type are refused, never taken as absent", async () => {
    const { memory } = backend.open();
    await memory.set("agent", "key", 1);
    const wrong: object[] = [
      { ifVersion: 1 },
      { ifVersion: null },
      { ifVersion: "" },
      { ifAbsent: "true" },
      { ifAbsent: 1 },
      { ifabsent: true },
      { ifversion: "x" },
    ];
    for (const options of wrong)
      await expectCode(memory.set("agent", "key", 2, options), "VALIDATION");
    expect(await memory.get("agent", "key")).toBe(1);
  });
});

describeEachBackend("versions exist on every mutable record:", { everyLogin: true }, (backend) => {
  test("agents", async () => {
    const { agentStates } = backend.open();
    const first = await agentStates.set("agent", {}, { ifAbsent: true });
    await expectCode(agentStates.set("agent", {}, { ifAbsent: true }), "PRECONDITION_FAILED");
    const second = await agentStates.update(
      "agent",
      { name: "x" },
      { ifVersion: String(first.version) },
    );
    const stale = { ifVersion: String(first.version) };
    const calls = [
      agentStates.set("agent", {}, stale),
      agentStates.update("agent", { name: "y" }, stale),
      agentStates.delete("agent", stale),
    ];
    for (const error of await expectEach(calls, "PRECONDITION_FAILED")) {
      expect(error).toMatchObject({ currentVersion: second.version });
    }
    expect(await agentStates.get("agent")).toEqual(second);
    expect(await agentStates.delete("agent", { ifVersion: String(second.version) })).toBe(true);
  });

  test("projects", async () => {
    const { projects } = backend.open();
    const first = await projects.create({ id: "p", name: "One" });
    const second = await projects.rename("p", "Two", { ifVersion: first.version });
    const stale = { ifVersion: first.version };
    const calls = [
      projects.rename("p", "Three", stale),
      projects.update("p", { agentId: "a" }, stale),
      projects.delete("p", stale),
    ];
    for (const error of await expectEach(calls, "PRECONDITION_FAILED")) {
      expect(error).toMatchObject({ currentVersion: second.version });
    }
    expect(await projects.get("p")).toEqual(second);
    expect(await projects.delete("p", { ifVersion: second.version })).toBe(true);
  });

  test("linked repositories", async () => {
    const { projectConfigs } = backend.open();
    const first = await projectConfigs.link("agent", { repository: "acme/app" });
    const second = await projectConfigs.update(
      "agent",
      { defaultBranch: "trunk" },
      { ifVersion: first.version },
    );
    const stale = { ifVersion: first.version };
    const calls = [
      projectConfigs.update("agent", { webhookId: "1" }, stale),
      projectConfigs.unlink("agent", stale),
    ];
    for (const error of await expectEach(calls, "PRECONDITION_FAILED")) {
      expect(error).toMatchObject({ currentVersion: second.version });
    }
    expect(await projectConfigs.get("agent")).toEqual(second);
    expect(await projectConfigs.unlink("agent", { ifVersion: second.version })).toBe(true);
  });

  test("Slack installations", async () => {
    const { slackInstallations } = backend.open();
    const teamId = `T${backend.orgId}`;
    const input = { teamId, tokens: { botToken: testSecret() } };
    const first = await slackInstallations.set(input, { ifAbsent: true });
    await expectCode(slackInstallations.set(input, { ifAbsent: true }), "PRECONDITION_FAILED");
    const second = await slackInstallations.set(input, { ifVersion: first.version });
    const stale = { ifVersion: first.version };
    await expectCode(slackInstallations.set(input, stale), "PRECONDITION_FAILED");
    await expectCode(slackInstallations.delete({ teamId }, stale), "PRECONDITION_FAILED");
    expect(await slackInstallations.get({ teamId })).toEqual(second);
    expect(await slackInstallations.delete({ teamId }, { ifVersion: second.version })).toBe(true);
  });

  test("integrations", async () => {
    const { channelConfigs } = backend.open();
    const input = { credentials: { token: testSecret() } };
    const first = await channelConfigs.set("sentry", input, { ifAbsent: true });
    await expectCode(
      channelConfigs.set("sentry", input, { ifAbsent: true }),
      "PRECONDITION_FAILED",
    );
    const second = await channelConfigs.set("sentry", input, { ifVersion: first.version });
    const stale = { ifVersion: first.version };
    await expectCode(channelConfigs.set("sentry", input, stale), "PRECONDITION_FAILED");
    await expectCode(channelConfigs.delete("sentry", stale), "PRECONDITION_FAILED");
    expect(await channelConfigs.get("sentry")).toEqual(second);
    expect(await channelConfigs.delete("sentry", { ifVersion: second.version })).toBe(true);
  });
});

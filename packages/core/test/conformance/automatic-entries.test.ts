import { expect, test } from "vitest";
import { testSecret } from "../../../../tooling/secrets.ts";
import type { Storage } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

const actor = { type: "user", id: "ada" } as const;

interface Recorded {
  readonly name: string;
  readonly before?: (storage: Storage) => Promise<unknown>;
  readonly change: (storage: Storage) => Promise<unknown>;
  readonly entry: Readonly<Record<string, unknown>>;
}

/** Every change that writes an entry by itself: what it does, and what the entry says. */
const changes: readonly Recorded[] = [
  {
    name: "registering an agent",
    change: ({ agentStates }) => agentStates.set("agent", { autonomyLevel: 2 }),
    entry: {
      action: "agent.registered",
      target: { type: "agent", id: "agent" },
      agent: { id: "agent" },
    },
  },
  {
    name: "changing an agent's autonomy",
    before: ({ agentStates }) => agentStates.set("agent", {}),
    change: ({ agentStates }) =>
      agentStates.update("agent", { autonomyLevel: 5, status: "active" }),
    entry: {
      action: "agent.autonomy_changed",
      details: {
        changes: { autonomyLevel: { from: 1, to: 5 }, status: { from: "idle", to: "active" } },
      },
    },
  },
  {
    name: "changing an agent's status",
    before: ({ agentStates }) => agentStates.set("agent", {}),
    change: ({ agentStates }) => agentStates.update("agent", { status: "suspended" }),
    entry: {
      action: "agent.status_changed",
      details: { changes: { status: { from: "idle", to: "suspended" } } },
    },
  },
  {
    name: "changing anything else of an agent",
    before: ({ agentStates }) => agentStates.set("agent", {}),
    change: ({ agentStates }) => agentStates.set("agent", { name: "Other", projectId: "shop" }),
    entry: { action: "agent.updated", project: "shop" },
  },
  {
    name: "removing an agent",
    before: ({ agentStates }) => agentStates.set("agent", {}),
    change: ({ agentStates }) => agentStates.delete("agent"),
    entry: { action: "agent.deleted", target: { type: "agent", id: "agent" } },
  },
  {
    name: "linking a repository",
    change: ({ projectConfigs }) => projectConfigs.link("agent", { repository: "acme/app" }),
    entry: {
      action: "repository.linked",
      target: { type: "repository", id: "github.com/acme/app" },
      agent: { id: "agent" },
    },
  },
  {
    name: "changing a link",
    before: ({ projectConfigs }) => projectConfigs.link("agent", { repository: "acme/app" }),
    change: ({ projectConfigs }) => projectConfigs.update("agent", { webhookConfigured: true }),
    entry: { action: "repository.updated" },
  },
  {
    name: "unlinking a repository",
    before: ({ projectConfigs }) => projectConfigs.link("agent", { repository: "acme/app" }),
    change: ({ projectConfigs }) => projectConfigs.unlink("agent"),
    entry: {
      action: "repository.unlinked",
      target: { type: "repository", id: "github.com/acme/app" },
    },
  },
  {
    name: "creating a project",
    change: ({ projects }) => projects.create({ id: "shop", name: "Shop" }),
    entry: { action: "project.created", target: { type: "project", id: "shop" }, project: "shop" },
  },
  {
    name: "renaming a project",
    before: ({ projects }) => projects.create({ id: "shop", name: "Shop" }),
    change: ({ projects }) => projects.rename("shop", "Store"),
    entry: {
      action: "project.updated",
      details: { changes: { name: { from: "Shop", to: "Store" } } },
    },
  },
  {
    name: "removing a project",
    before: ({ projects }) => projects.create({ id: "shop", name: "Shop" }),
    change: ({ projects }) => projects.delete("shop"),
    entry: { action: "project.deleted", project: "shop" },
  },
  {
    name: "installing in Slack",
    change: ({ slackInstallations, orgId }) =>
      slackInstallations.set({ teamId: `T${orgId}`, tokens: { b: testSecret("sealed away") } }),
    entry: { action: "slack.installed" },
  },
  {
    name: "installing in Slack again",
    before: ({ slackInstallations, orgId }) =>
      slackInstallations.set({ teamId: `T${orgId}`, tokens: { b: testSecret("sealed away") } }),
    change: ({ slackInstallations, orgId }) =>
      slackInstallations.set({ teamId: `T${orgId}`, tokens: { b: testSecret("sealed away") } }),
    entry: { action: "slack.updated" },
  },
  {
    name: "uninstalling from Slack",
    before: ({ slackInstallations, orgId }) =>
      slackInstallations.set({ teamId: `T${orgId}`, tokens: { b: testSecret("sealed away") } }),
    change: ({ slackInstallations, orgId }) => slackInstallations.delete({ teamId: `T${orgId}` }),
    entry: { action: "slack.uninstalled" },
  },
  {
    name: "storing credentials",
    change: ({ channelConfigs }) =>
      channelConfigs.set("sentry", { credentials: { token: testSecret("sealed away") } }),
    entry: { action: "integration.configured", target: { type: "integration", id: "sentry" } },
  },
  {
    name: "replacing credentials",
    before: ({ channelConfigs }) =>
      channelConfigs.set("sentry", { credentials: { token: testSecret("sealed away") } }),
    change: ({ channelConfigs }) =>
      channelConfigs.set("sentry", { credentials: { token: testSecret("sealed away") } }),
    entry: { action: "integration.updated" },
  },
  {
    name: "removing credentials",
    before: ({ channelConfigs }) =>
      channelConfigs.set("sentry", { credentials: { token: testSecret("sealed away") } }),
    change: ({ channelConfigs }) => channelConfigs.delete("sentry"),
    entry: { action: "integration.removed" },
  },
  {
    name: "a recorded memory write",
    change: ({ memory }) => memory.set("agent", "key", "private value", { record: true }),
    entry: {
      action: "memory.set",
      target: { type: "memory", id: "key" },
      agent: { id: "agent" },
      details: null,
    },
  },
  {
    name: "a recorded memory delete",
    before: ({ memory }) => memory.set("agent", "key", "private value"),
    change: ({ memory }) => memory.delete("agent", "key", { record: true }),
    entry: {
      action: "memory.deleted",
      target: { type: "memory", id: "key" },
      agent: { id: "agent" },
    },
  },
];

/** What isn't possible inside a transaction. */
const reads: readonly Recorded[] = [
  {
    name: "reading credentials",
    before: ({ channelConfigs }) =>
      channelConfigs.set("sentry", {
        credentials: { token: testSecret("sealed away"), dsn: testSecret("sealed away") },
      }),
    change: ({ channelConfigs }) => channelConfigs.getCredentials("sentry"),
    entry: {
      action: "secret.read",
      target: { type: "integration", id: "sentry" },
      details: { credentials: ["dsn", "token"] },
    },
  },
  {
    name: "reading Slack tokens",
    before: ({ slackInstallations, orgId }) =>
      slackInstallations.set({ teamId: `T${orgId}`, tokens: { b: testSecret("sealed away") } }),
    change: ({ slackInstallations, orgId }) =>
      slackInstallations.getTokens({ teamId: `T${orgId}` }),
    entry: { action: "secret.read", details: { tokens: ["b"] } },
  },
];

describeEachBackend("what matters is recorded by itself:", { everyLogin: true }, (backend) => {
  test.each([...changes, ...reads])("$name", async ({ before, change, entry }) => {
    const storage = backend.open();
    await before?.(storage);
    const { size } = await storage.audit.verify();
    await change(storage.as(actor));
    const { items } = await storage.audit.list({ limit: 10 });
    expect(items).toHaveLength(size + 1);
    expect(items[0]).toMatchObject({ actor, outcome: "success", seq: size, ...entry });
    expect(JSON.stringify(items)).not.toMatch(/sealed away|private value/);
    expect(await storage.audit.verify()).toMatchObject({ verdict: "unanchored", size: size + 1 });
  });

  test.each(changes)("$name, inside a transaction", async ({ before, change, entry }) => {
    const storage = backend.open();
    await before?.(storage);
    const { audit } = await storage
      .as(actor)
      .transaction(
        (tx) => change({ ...tx, orgId: storage.orgId } as unknown as Storage) as Promise<unknown>,
      );
    expect(audit).toHaveLength(1);
    expect(audit[0]).toMatchObject({ actor, ...entry });
    expect((await storage.audit.list({ limit: 1 })).items).toEqual(audit);
  });

  test("what changes nothing that matters writes no entry", async () => {
    const storage = backend.open();
    const { memory, agentStates, projects, projectConfigs, subscribers } = storage;
    await memory.set("agent", "key", 1);
    await memory.setMany("agent", [{ key: "a", value: 1 }]);
    await memory.delete("agent", "key");
    await memory.delete("agent", "missing", { record: true });
    await memory.deleteMany("agent", ["missing", "gone"], { record: true });
    await subscribers.subscribe("reader@example.com");
    await subscribers.confirm("reader@example.com");
    await subscribers.unsubscribe("reader@example.com");
    expect(await agentStates.delete("nobody")).toBe(false);
    expect(await projects.delete("none")).toBe(false);
    expect(await projectConfigs.unlink("nobody")).toBe(false);
    expect(await storage.audit.verify()).toMatchObject({ size: 0 });
  });

  test("access to secrets and keys that finds nothing writes one too", async () => {
    const storage = backend.open();
    const { slackInstallations, channelConfigs, apiKeys, audit } = storage.as(actor);
    const { seq } = await audit.append({ action: "deploy.started", details: 1 });
    await audit.redact(seq, "asked for");
    const { key } = await apiKeys.create({ name: "CI", scopes: ["read"] });
    await apiKeys.revoke(key.id);
    const before = (await audit.verify()).size;
    const team = { type: "slack_installation", id: "team:T0" };
    const sentry = { type: "integration", id: "sentry" };
    const gone = { why: "not_found" };
    const fruitless = async (
      what: () => Promise<unknown>,
      result: unknown,
      ...[action, target, details]: readonly [string, object, object]
    ) => {
      if (result === "NOT_FOUND") await expectCode(what(), result);
      else expect(await what()).toEqual(result);
      const [entry] = (await audit.list({ limit: 1 })).items;
      expect(entry).toMatchObject({ actor, action, outcome: "failure" });
      expect([entry?.target, entry?.details]).toEqual([target, details]);
    };
    const keyOf = (id: string) => ({ type: "api_key", id });
    const { getTokens } = slackInstallations;
    await fruitless(() => getTokens({ teamId: "T0" }), null, "secret.read", team, gone);
    const uninstall = () => slackInstallations.delete({ teamId: "T0" });
    await fruitless(uninstall, false, "slack.uninstalled", team, gone);
    const { getCredentials } = channelConfigs;
    await fruitless(() => getCredentials("sentry"), null, "secret.read", sentry, gone);
    const remove = () => channelConfigs.delete("sentry");
    await fruitless(remove, false, "integration.removed", sentry, gone);
    const ended = { why: "revoked" };
    const revoked = await apiKeys.get(key.id);
    const revoke = (id: string) => () => apiKeys.revoke(id);
    const rotate = (id: string) => () => apiKeys.rotate(id);
    await fruitless(revoke(key.id), revoked, "api_key.revoked", keyOf(key.id), ended);
    await fruitless(revoke("none"), "NOT_FOUND", "api_key.revoked", keyOf("none"), gone);
    await fruitless(rotate(key.id), "NOT_FOUND", "api_key.rotated", keyOf(key.id), ended);
    await fruitless(rotate("none"), "NOT_FOUND", "api_key.rotated", keyOf("none"), gone);
    const { key: brief } = await apiKeys.create({
      name: "brief",
      scopes: ["read"],
      expiresAt: backend.clock.iso(1000),
    });
    backend.clock.advance(1000);
    const expired = { why: "expired" };
    await fruitless(rotate(brief.id), "NOT_FOUND", "api_key.rotated", keyOf(brief.id), expired);
    const redact = (at: number) => () => audit.redact(at, "asked for");
    const failed = "audit.redaction_failed";
    const entryAt = (at: number) => ({ type: "audit_entry", id: String(at) });
    const [earlier] = (await audit.list({ action: "audit.redacted" })).items;
    await fruitless(redact(seq), earlier, failed, entryAt(seq), { why: "already_erased" });
    await fruitless(redact(9999), "NOT_FOUND", failed, entryAt(9999), gone);
    const bare = await audit.append({ action: "deploy.ended" });
    const none = { why: "no_details" };
    await fruitless(redact(bare.seq), "NOT_FOUND", failed, entryAt(bare.seq), none);
    // Twelve of them, the key and the entry that were made between, and no more.
    const report = await audit.verify();
    expect(report).toMatchObject({ size: before + 14, redacted: 1, firstFailure: null });
  });

  test("a change that fails leaves no entry", async () => {
    const storage = backend.open();
    await storage.projects.create({ id: "shop", name: "Shop" });
    await storage.projectConfigs.link("agent", { repository: "acme/app" });
    const { version } = await storage.memory.set("agent", "key", 1);
    const failing = [
      [() => storage.projects.create({ id: "shop", name: "Other" }), "ALREADY_EXISTS"],
      [() => storage.projects.create({ id: "other", name: "Shop" }), "ALREADY_EXISTS"],
      [() => storage.projects.rename("none", "x"), "NOT_FOUND"],
      [() => storage.projectConfigs.link("agent", { repository: "acme/b" }), "ALREADY_EXISTS"],
      [() => storage.agentStates.update("nobody", { name: "x" }), "NOT_FOUND"],
      [() => storage.agentStates.set("agent", {}, { ifVersion: "other" }), "PRECONDITION_FAILED"],
      [
        () => storage.memory.set("agent", "key", 2, { ifVersion: `${version}x`, record: true }),
        "PRECONDITION_FAILED",
      ],
      [
        () => storage.memory.set("agent", "key", 2, { ifAbsent: true, record: true }),
        "PRECONDITION_FAILED",
      ],
      [
        () => storage.memory.delete("agent", "key", { ifVersion: `${version}x`, record: true }),
        "PRECONDITION_FAILED",
      ],
    ] as const;
    for (const [call, code] of failing) await expectCode(call(), code);
    expect(await storage.audit.verify()).toMatchObject({ size: 2 });
    expect(await storage.memory.get("agent", "key")).toBe(1);
  });

  test("calls on many keys record each key that changed", async () => {
    const storage = backend.open();
    await storage.memory.setMany(
      "agent",
      ["a", "b", "c"].map((key) => ({ key, value: key })),
      { record: true },
    );
    await storage.memory.deleteMany("agent", ["c", "missing", "a"], { record: true });
    const { items } = await storage.audit.list({ order: "asc" });
    expect(items.map(({ action, target }) => `${action} ${target?.id}`)).toEqual([
      "memory.set a",
      "memory.set b",
      "memory.set c",
      "memory.deleted c",
      "memory.deleted a",
    ]);
    expect((await storage.memory.list("agent")).items.map(({ key }) => key)).toEqual(["b"]);
  });
});

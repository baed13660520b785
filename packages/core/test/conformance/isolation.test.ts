import { expect, test } from "vitest";
import { testSecret } from "../../../../tooling/secrets.ts";
import type { Storage } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

/** Organisations that a careless key, path, pattern or collation takes for one another. */
function lookAlikes(seed: string): readonly string[] {
  return [
    seed,
    `${seed}-corp`,
    `${seed}:a`,
    `${seed}/a`,
    `${seed}/../${seed}`,
    `../${seed}`,
    `${seed}%`,
    `${seed}_`,
    `_${seed.slice(1)}`,
    `%${seed.slice(1)}`,
    `${seed.slice(0, -1)}%`,
    `${seed} `,
    ` ${seed}`,
    `${seed}.`,
    seed.toUpperCase(),
    seed.replace("o", "о"), // Cyrillic
    seed.replace("o", "ο"), // Greek
    `${seed}\u0301`,
    `${seed}\u200b`,
    `~${seed}`,
    `${seed}'; DROP TABLE agent_memory; --`,
    seed.padEnd(128, "x"),
    seed.padEnd(127, "x"),
    `${seed.padEnd(124, "x")}😀`,
  ];
}

/** One record of every table, all under the same ids in each organisation. */
async function fill(storage: Storage, teamId: string): Promise<void> {
  const mark = storage.orgId;
  await storage.memory.set("agent", "key", mark);
  await storage.agentStates.set("agent", { name: mark });
  await storage.projects.create({ id: "project", name: mark, slug: "project" });
  await storage.projectConfigs.link("agent", {
    repository: "acme/app",
    webhookId: mark.slice(0, 20),
  });
  await storage.subscribers.subscribe("reader@example.com", { source: "landing" });
  await storage.slackInstallations.set({
    teamId,
    teamName: mark,
    tokens: { botToken: testSecret(mark) },
  });
  await storage.channelConfigs.set("sentry", {
    credentials: { token: testSecret(mark) },
    settings: { mark },
  });
  await storage.apiKeys.create({ name: mark, scopes: ["read"] });
}

describeEachBackend("organisations", { everyLogin: true }, (backend) => {
  test("see exactly their own records, whatever their ids look like", async () => {
    const base = backend.open();
    const orgs = lookAlikes(backend.orgId);
    expect(new Set(orgs).size).toBe(orgs.length);
    for (const [index, orgId] of orgs.entries())
      await fill(base.forOrg(orgId), `T${backend.orgId}${index}`);
    for (const [index, orgId] of orgs.entries()) {
      const storage = base.forOrg(orgId);
      expect(storage.orgId).toBe(orgId);
      expect(await storage.memory.get("agent", "key")).toBe(orgId);
      expect((await storage.memory.list("agent")).items).toHaveLength(1);
      expect((await storage.agentStates.list()).items.map(({ name }) => name)).toEqual([orgId]);
      expect((await storage.projects.list()).items.map(({ name }) => name)).toEqual([orgId]);
      expect(await storage.projects.getBySlug("project")).toMatchObject({ name: orgId });
      expect((await storage.projectConfigs.list()).items).toHaveLength(1);
      expect((await storage.subscribers.list()).items).toHaveLength(1);
      expect(await storage.subscribers.count()).toMatchObject({ total: 1 });
      expect(
        (await storage.slackInstallations.list()).items.map(({ teamName }) => teamName),
      ).toEqual([orgId]);
      expect(
        await storage.slackInstallations.get({
          teamId: `T${backend.orgId}${(index + 1) % orgs.length}`,
        }),
      ).toBeNull();
      const credentials = await storage.channelConfigs.getCredentials("sentry");
      expect(credentials?.["token"]?.reveal()).toBe(testSecret(orgId));
      expect((await storage.apiKeys.list()).items.map(({ name }) => name)).toEqual([orgId]);
      const trail = await storage.audit.list({ limit: 1000 });
      expect(trail.items.map(({ seq }) => seq).toSorted((a, b) => a - b)).toEqual(
        trail.items.map((_, seq) => seq),
      );
      expect(await storage.audit.verify()).toMatchObject({
        verdict: "unanchored",
        size: trail.items.length,
      });
    }
  });

  test("keep their records when another removes all of its own", async () => {
    const base = backend.open();
    const orgs = lookAlikes(backend.orgId).slice(0, 8);
    for (const [index, orgId] of orgs.entries())
      await fill(base.forOrg(orgId), `T${backend.orgId}${index}`);
    const first = base.forOrg(backend.orgId);
    await first.memory.delete("agent", "key");
    await first.agentStates.delete("agent");
    await first.projects.delete("project");
    await first.projectConfigs.unlink("agent");
    await first.subscribers.unsubscribe("reader@example.com");
    await first.slackInstallations.delete({ teamId: `T${backend.orgId}0` });
    await first.channelConfigs.delete("sentry");
    for (const orgId of orgs.slice(1)) {
      const storage = base.forOrg(orgId);
      expect(await storage.memory.get("agent", "key")).toBe(orgId);
      expect((await storage.agentStates.get("agent"))?.registered).toBe(true);
      expect(await storage.projects.get("project")).toMatchObject({ name: orgId });
      expect(await storage.projectConfigs.get("agent")).not.toBeNull();
      expect(await storage.subscribers.count()).toMatchObject({ total: 1, unsubscribed: 0 });
      expect((await storage.slackInstallations.list()).items).toHaveLength(1);
      expect(await storage.channelConfigs.get("sentry")).not.toBeNull();
    }
  });

  test("can't use each other's versions, cursors or audit ids", async () => {
    const one = backend.open();
    const other = one.forOrg(`${backend.orgId}-other`);
    for (const key of ["a", "b"]) {
      await one.memory.set("agent", key, 1);
      await other.memory.set("agent", key, 2);
    }
    const version = (await one.memory.getEntry("agent", "a"))?.version ?? "";
    await expectCode(
      other.memory.set("agent", "a", 3, { ifVersion: version }),
      "PRECONDITION_FAILED",
    );
    const { nextCursor } = await one.memory.list("agent", { limit: 1 });
    await expectCode(
      other.memory.list("agent", { limit: 1, cursor: nextCursor ?? "" }),
      "VALIDATION",
    );
    const entry = await one.audit.append({ action: "test.one" });
    expect(await other.audit.getById(entry.id)).toBeNull();
    expect(await other.audit.get(entry.seq)).toBeNull();
    const same = await other.audit.append({ id: entry.id, action: "test.other" });
    expect(same).toMatchObject({ seq: 0, action: "test.other" });
    expect(same.log).not.toBe(entry.log);
    expect(await one.audit.getById(entry.id)).toEqual(entry);
  });

  test("write at the same time through one pool without mixing", async () => {
    const base = backend.open();
    const orgs = lookAlikes(backend.orgId);
    await Promise.all(
      orgs.flatMap((orgId) =>
        Array.from({ length: 8 }, async (_, n) => {
          const storage = base.forOrg(orgId);
          await storage.memory.set("agent", `key ${n}`, [orgId, n]);
          expect(await storage.memory.get("agent", `key ${n}`)).toEqual([orgId, n]);
          await storage.audit.append({
            action: "test.mixed",
            actor: { type: "user", id: `u${n}` },
          });
        }),
      ),
    );
    for (const orgId of orgs) {
      const { items } = await base.forOrg(orgId).memory.list<[string, number]>("agent");
      expect(items.map(({ value }) => value[0])).toEqual(Array.from({ length: 8 }, () => orgId));
      expect(await base.forOrg(orgId).audit.verify()).toMatchObject({
        verdict: "unanchored",
        size: 8,
      });
    }
  });

  test("without a name, the organisation is called default", async () => {
    const named = backend.open("default");
    await named.memory.set("agent", backend.orgId, 1);
    const unnamed = backend.openUnnamed();
    expect(unnamed.orgId).toBe("default");
    expect(await unnamed.memory.get("agent", backend.orgId)).toBe(1);
  });
});

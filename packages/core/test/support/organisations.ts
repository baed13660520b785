import { testSecret } from "../../../../tooling/secrets.ts";
import type { Storage } from "../../src/index.ts";
import type { Backend } from "../../src/storage/backend.ts";
import { auditPages, recordPages } from "../../src/storage/pages.ts";
import { tableNames } from "../../src/storage/tables.ts";

/** Puts something into every table, values nobody expects included. */
export async function fillOrganisation(storage: Storage, orgId: string): Promise<void> {
  const { memory, audit } = storage;
  await memory.set("coder", "plain", { text: orgId }, { record: true });
  await memory.set("coder", "odd", ["\u0000", "\ud800", { ["__proto__"]: 1 }, null, 1e308, -5.5]);
  await memory.set("coder", "null", null, { ttlMs: 3_600_000 });
  await memory.set("émile 😀", "ключ/with/../dots", "x".repeat(100_000));
  for (let i = 0; i < 3; i += 1) {
    const items = Array.from({ length: 128 }, (_, n) => ({
      key: `many/${i}/${n}`,
      value: { i, n },
    }));
    await memory.setMany("bulk", items);
  }
  await memory.set("coder", "plain", { text: `${orgId} again` });
  await storage.agentStates.set("coder", { status: "active", autonomyLevel: 3, type: "project" });
  await storage.agentStates.update("émile 😀", { lastActivityAt: new Date() });
  await storage.projects.create({ id: "p1", name: "Project One", repository: "o/r" });
  await storage.projectConfigs.link("coder", { repository: "git@gitlab.com:a/b/c.git" });
  await storage.subscribers.subscribe("A.Reader@example.org", { source: "footer" });
  await storage.channelConfigs.set("sentry", {
    credentials: { token: testSecret(`sentry of ${orgId}`) },
    settings: { nested: ["\u0000"] },
  });
  await storage.slackInstallations.set({
    teamId: `T-${orgId}`,
    tokens: { botToken: testSecret(orgId) },
  });
  // One organisation has more than one page of them.
  for (let i = 0; i < (orgId === "acme" ? 110 : 5); i += 1) {
    await audit.append({
      action: "deploy.started",
      outcome: i % 2 ? "success" : "denied",
      actor: { type: "user", id: `u${i}` },
      agent: { id: "coder", run: "r1", model: "m" },
      occurredAt: "2020-01-01T00:00:00+05:30",
      ...(i % 3 === 0 && { details: { i, odd: "\u0000\ud800", email: "someone@example.org" } }),
    });
  }
  await storage.apiKeys.create({ name: "ci", scopes: ["read"] });
  await audit.checkpoint();
  await audit.rotateKey();
}

/** Everything that an organisation holds, as the port gives it, to the last byte. */
export async function contentOf(
  backend: Backend,
  orgId: string,
  now: number,
): Promise<Record<string, unknown[]>> {
  const content: Record<string, unknown[]> = { audit_log: [] };
  for (const table of tableNames) {
    content[table] = [];
    for await (const page of recordPages(backend, orgId, table, { now })) {
      content[table].push(...page.map((record) => ({ ...record })));
    }
  }
  for await (const page of auditPages(backend, orgId, { now })) {
    for (const { seq, leaf, hash, parts } of page) {
      const bytes = parts.map(({ name, salt, body }) => [
        name,
        Buffer.from(salt).toString("hex"),
        body,
      ]);
      content["audit_log"]?.push({
        seq,
        hash,
        leaf: Buffer.from(leaf).toString("utf8"),
        parts: bytes,
      });
    }
  }
  return content;
}

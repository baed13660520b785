import { testSecret } from "../../../../tooling/secrets.ts";
import type { Storage } from "../../src/index.ts";

/** Uses every verb of every domain once or more, so that every shape of statement is sent. Returns all that was read. */
export async function exercise(storage: Storage, mark: string): Promise<unknown[]> {
  const {
    memory,
    agentStates,
    projects,
    projectConfigs,
    subscribers,
    slackInstallations,
    channelConfigs,
    apiKeys,
    audit,
  } = storage;
  await memory.set("agent", "one", mark);
  await memory.set("agent", "fresh", mark, { ifAbsent: true });
  const { version } = await memory.set("agent", "short", mark, { ttlMs: 60_000 });
  await memory.set("agent", "short", mark, { ifVersion: version });
  await memory.setMany("agent", [
    { key: "many 1", value: mark },
    { key: "many 2", value: mark, ifAbsent: true },
  ]);
  await memory.set("agent", "gone", mark);
  await memory.delete("agent", "gone");
  await agentStates.set("agent", { name: mark, status: "active" });
  await agentStates.touch("agent");
  const project = await projects.create({ name: mark, slug: "project" });
  await projects.rename(project.id, mark);
  await projectConfigs.link("agent", { repository: `${mark}/app` });
  await subscribers.subscribe(`${mark}@example.com`, { source: mark });
  await slackInstallations.set({ teamId: `T${mark}`, tokens: { botToken: testSecret(mark) } });
  await channelConfigs.set("sentry", {
    credentials: { token: testSecret(mark) },
    settings: { name: mark },
  });
  await storage.transaction(async (tx) => {
    await tx.memory.get("agent", "absent");
    await tx.memory.get("agent", "one");
    await tx.agentStates.get("absent");
    await tx.memory.set("agent", "by transaction", mark);
    await tx.memory.delete("agent", "many 2");
    await tx.audit.append({
      action: "test.exercised",
      details: { mark },
      project: mark,
      agent: { id: mark },
    });
  });
  const { id } = await audit.append({
    action: "test.appended",
    target: { type: "mark", id: mark },
  });
  const { key } = await apiKeys.create({ name: mark, scopes: ["read"] });
  await apiKeys.rotate(key.id);
  const intent = await audit.intent({ action: "test.intended", project: mark });
  await audit.outcome(intent, "approved");
  await audit.intent({ action: "test.left", correlationId: mark });
  const personal = await audit.append({ action: "test.personal", details: { mark } });
  await audit.redact(personal.seq, mark);
  await audit.checkpoint();
  await audit.rotateKey();
  const past = new Date(Date.now() - 60_000);
  return [
    await memory.get("agent", "one"),
    await memory.getMany("agent", ["one", "fresh", "nothing"]),
    (await memory.list("agent")).items,
    (await memory.list("agent", { prefix: "many", reverse: true, limit: 1 })).items,
    await everything(memory.list("agent", { limit: 1 })),
    await everything(memory.list("agent", { limit: 1, reverse: true })),
    await agentStates.get("agent"),
    (await agentStates.list()).items,
    (await agentStates.list({ reverse: true, limit: 1 })).items,
    (await agentStates.list({ status: "active" })).items,
    await projects.get(project.id),
    await projects.getBySlug("project"),
    (await projects.list()).items,
    (await projectConfigs.list()).items,
    (await subscribers.list({ status: "pending" })).items,
    await subscribers.count(),
    (await slackInstallations.list()).items,
    await slackInstallations.get({ teamId: `T${mark}` }),
    (await channelConfigs.list()).items,
    Object.keys((await channelConfigs.getCredentials("sentry")) ?? {}),
    await audit.get(0),
    await audit.getById(id),
    await everything(audit.list({ limit: 2 })),
    await everything(audit.list({ limit: 2, order: "asc" })),
    (await audit.list({ action: "test.*", from: past, to: new Date(Date.now() + 60_000) })).items,
    (await audit.list({ actorType: "system", actorId: "library", outcome: "success" })).items,
    (await audit.list({ agentId: mark, project: mark })).items,
    (await audit.list({ unresolved: true })).items,
    (await audit.list({ action: "test.*", agentId: mark, risk: "high" })).items,
    (await audit.list({ correlationId: mark })).items,
    (await audit.checkpoints()).items,
    await audit.keys(),
    await audit.prove(1),
    await audit.consistency(1),
    await apiKeys.get(key.id),
    (await apiKeys.list()).items,
    await audit.verify(),
  ];
}

async function everything<Item>(listing: AsyncIterable<Item>): Promise<Item[]> {
  const items: Item[] = [];
  for await (const item of listing) items.push(item);
  return items;
}

import { createStorage, migrate, type StorageOptions } from "@codespar/core";
import { expect, test } from "vitest";
import { createTestDatabase } from "../../../tooling/postgres.ts";
import { removeScratch, scratchFolder } from "../../../tooling/secrets.ts";
import { publishedDeliveries } from "../src/payloads.ts";
import { replay } from "../src/replay.ts";

async function onFiles(work: (options: StorageOptions) => Promise<void>): Promise<void> {
  const directory = await scratchFolder("webhooks");
  await work({ directory }).finally(() => removeScratch(directory));
}

async function onPostgres(work: (options: StorageOptions) => Promise<void>): Promise<void> {
  const { url, drop } = await createTestDatabase();
  await migrate({ databaseUrl: url })
    .then(() => work({ databaseUrl: url }))
    .finally(drop);
}

test.for([
  ["files", onFiles],
  ["PostgreSQL", onPostgres],
] as const)("every payload that GitHub publishes comes back as it was, on %s", async ([, on]) => {
  expect.hasAssertions();
  const deliveries = publishedDeliveries();
  expect(deliveries.length).toBeGreaterThan(300);
  await on(async (options) => {
    await using storage = createStorage("github", options);
    const { differences, verification } = await replay(storage, deliveries);
    expect(differences).toEqual([]);
    expect(verification).toMatchObject({
      verdict: "unanchored",
      size: deliveries.length,
      firstFailure: null,
      checks: { content: deliveries.length, parts: deliveries.length },
    });
  });
});

test("a payload that differs is named", async () => {
  await onFiles(async (options) => {
    await using storage = createStorage("github", options);
    await storage.memory.set("github-webhooks", "push/7", { planted: true });
    const { differences } = await replay(storage, publishedDeliveries().slice(0, 3));
    expect(differences).toEqual(["memory push/7"]);
  });
});

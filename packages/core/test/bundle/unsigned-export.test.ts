import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { createTestDatabase } from "../../../../tooling/postgres.ts";
import { removeScratch, scratchFolder } from "../../../../tooling/secrets.ts";
import { createStorage } from "../../src/index.ts";
import { expectCode } from "../support/expect-code.ts";
import { migratedDatabase } from "../support/legs.ts";

test("PostgreSQL without an encryption key writes a table unsigned, which it says, and no bundle", async () => {
  const database = await createTestDatabase({ template: migratedDatabase });
  onTestFinished(() => database.drop());
  await using storage = createStorage("acme", { databaseUrl: database.url });
  await storage.audit.append({ action: "deploy.started" });
  const error = await expectCode(
    storage.audit.export({ format: "bundle" }),
    "ENCRYPTION_KEY_MISSING",
  );
  expect(error.message).toContain("CODESPAR_ENCRYPTION_KEY");
  expect((await storage.audit.list()).items).toHaveLength(1);
  for (const format of ["jsonl", "csv"] as const) {
    const exported = await storage.audit.export({ format });
    expect(exported.checkpoint).toBeNull();
    expect(exported.warnings).toEqual([
      expect.stringMatching(/No checkpoint .*CODESPAR_ENCRYPTION_KEY/),
    ]);
    expect(await text(exported.content)).toContain("audit.exported");
  }
});

test("files opened read-only are not exported, since the trail couldn't say so", async () => {
  const directory = await scratchFolder("export");
  onTestFinished(() => removeScratch(directory));
  {
    await using storage = createStorage("acme", { directory });
    await storage.audit.append({ action: "deploy.started" });
    await storage.audit.checkpoint();
  }
  await using reading = createStorage("acme", { directory, readOnly: true });
  await expectCode(reading.audit.export({ format: "bundle" }), "UNSUPPORTED");
  await expectCode(reading.audit.export({ format: "csv" }), "UNSUPPORTED");
});

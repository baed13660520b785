import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { removeScratch, scratchFolder } from "../../../../tooling/secrets.ts";
import { createStorage } from "../../src/index.ts";
import { expectCode } from "../support/expect-code.ts";

/** A trail of 300 entries in files; the first 256 are in a tile of the tree. */
async function trail(): Promise<{ directory: string; log: string }> {
  const directory = await scratchFolder("edited");
  onTestFinished(() => removeScratch(directory));
  await using storage = createStorage("acme", { directory });
  const entry = { action: "deploy.started", outcome: "denied" } as const;
  await Promise.all(Array.from({ length: 300 }, () => storage.audit.append(entry)));
  return { directory, log: join(directory, "orgs", "acme", "audit_log.jsonl") };
}

describe("an entry whose line was edited", () => {
  test.each([
    ["longer", "success"],
    ["shorter", "error"],
    ["as long", "failed"],
  ])("to be %s is named by verification, read-only", async (_what, outcome) => {
    const { directory, log } = await trail();
    const lines = (await readFile(log, "utf8")).split("\n");
    lines[187] = (lines[187] ?? "").replace("denied", outcome);
    await writeFile(log, lines.join("\n"));
    await using storage = createStorage("acme", { directory, readOnly: true });
    const { verdict, firstFailure } = await storage.audit.verify();
    expect(verdict).toBe("tampered");
    expect(firstFailure).toMatchObject({
      seq: 187,
      message: `entry 187: stored outcome "${outcome}", sealed outcome "denied"`,
    });
  });

  test("or is gone, is named too, and never taken for a trail to read", async () => {
    const { directory, log } = await trail();
    const lines = (await readFile(log, "utf8")).split("\n");
    await writeFile(log, lines.filter((_line, i) => i !== 187).join("\n"));
    const reading = createStorage("acme", { directory, readOnly: true });
    expect(await reading.audit.verify()).toMatchObject({
      verdict: "tampered",
      firstFailure: { seq: 187 },
    });
    await expectCode(reading.audit.list(), "CORRUPTION");
    await expectCode(reading.audit.get(3), "CORRUPTION");
    await reading.close();
    await rm(log);
    await using again = createStorage("acme", { directory, readOnly: true });
    expect(await again.audit.verify()).toMatchObject({
      verdict: "tampered",
      firstFailure: { seq: 0 },
    });
    await expectCode(again.audit.list(), "CORRUPTION");
  });

  test("is never written behind", async () => {
    const { directory, log } = await trail();
    const text = await readFile(log, "utf8");
    await writeFile(log, text.replace("denied", "success"));
    await using writing = createStorage("acme", { directory });
    await expectCode(writing.audit.append({ action: "deploy.started" }), "CORRUPTION");
  });
});

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { removeScratch, scratchFolder } from "../../../../tooling/secrets.ts";
import { createStorage, deploymentOf, type Storage } from "../../src/index.ts";
import { legs, type Target } from "../support/legs.ts";
import type { Task } from "./archive-process.ts";

const mebibyte = 1024 * 1024;
/** What a process may use for its objects and texts, in MiB: hardly more than it needs without any data. */
const heap = 96;
/** What an organisation holds, in MiB. Records on files are in memory altogether, so there it is the trail that is large. */
const sizes = { file: { records: 12, trail: 160 }, postgres: { records: 85, trail: 85 } };
const large = 62 * 1024;

/** Ends with large ones, after as many small ones as make pages grow. */
async function fill(storage: Storage, { records, trail }: { records: number; trail: number }) {
  for (let i = 0; i < 25; i += 1)
    await storage.memory.setMany(
      "a",
      Array.from({ length: 100 }, (_, n) => ({ key: `${1000 + 100 * i + n}`, value: i })),
    );
  for (let i = 0; i < records; i += 1)
    await storage.memory.set("b", String(1000 + i), "x".repeat(mebibyte - 2));
  const append = (details?: string) => storage.audit.append({ action: "test.appended", details });
  for (let i = 0; i < 30; i += 1) await Promise.all(Array.from({ length: 100 }, () => append()));
  const details = "x".repeat(large);
  for (let i = 0; i < (trail * mebibyte) / large / 32; i += 1)
    await Promise.all(Array.from({ length: 32 }, () => append(details)));
}

/** Runs a task with little memory. */
async function run(task: Task): Promise<void> {
  const script = new URL("./archive-process.ts", import.meta.url).pathname;
  const flags = [`--max-old-space-size=${heap}`, "--import", "tsx"];
  const child = spawn(process.execPath, [...flags, script], { stdio: ["pipe", "ignore", "pipe"] });
  child.stdin.end(JSON.stringify(task));
  const [said, status] = await Promise.all([
    text(child.stderr),
    new Promise((resolve) => child.once("close", (code, signal) => resolve(code ?? signal))),
  ]);
  expect(status, said.slice(-2000)).toBe(0);
}

/** What the lines of an archive are, but for those by which exports and imports tell of themselves. */
async function contentOf(file: string): Promise<string> {
  const sum = createHash("sha256");
  for await (const line of createInterface({ input: createReadStream(file) })) {
    if (/^\{"(?:format|end)":/.test(line)) continue;
    if (/"leaf":"\{\\"action\\":\\"organisation\./.test(line)) continue;
    sum.update(`${line}\n`);
  }
  return sum.digest("hex");
}

describe.each(legs.filter(({ alsoDifferential }) => alsoDifferential))("on $name", (leg) => {
  test("an organisation larger than the memory is exported and imported", async () => {
    const directory = await scratchFolder("archive-memory");
    let target: Target | undefined;
    try {
      target = await leg.open();
      const options = { ...target.options, maxValueBytes: mebibyte };
      const orgId = "acme";
      const storage = createStorage(orgId, options);
      await fill(storage, sizes[leg.kind]);
      await storage.close();
      const [first, second] = [`${directory}/first.jsonl`, `${directory}/second.jsonl`];
      await run({ what: "export", orgId, options, file: first });
      expect((await stat(first)).size).toBeGreaterThan(1.7 * heap * mebibyte);
      const administrator = createStorage(orgId, options);
      await deploymentOf(administrator).organisations.erase(orgId, { confirm: orgId });
      await administrator.close();
      await run({ what: "import", orgId, options, file: first });
      await run({ what: "export", orgId, options, file: second });
      expect(await contentOf(second)).toBe(await contentOf(first));
    } finally {
      await target?.close();
      await removeScratch(directory);
    }
  }, 300_000);
});

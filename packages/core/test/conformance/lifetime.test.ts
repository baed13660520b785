import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, test } from "vitest";
import { describeEachBackend } from "../support/backends.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const built = new URL("../../dist/index.js", import.meta.url).href;

/**
 * How long a finished script may linger. Not a measure of speed: connection pools and heartbeats that keep a process alive do so
 * for ten seconds and more.
 */
const lingerMs = 9000;

const scripts: readonly [name: string, body: string, printed: string][] = [
  [
    "writes once",
    `await storage.memory.set("agent", "key", 1); console.log("acknowledged");`,
    "acknowledged",
  ],
  ["only reads", `console.log(await storage.memory.get("agent", "missing"));`, "null"],
  ["never uses its handle", `console.log("nothing done");`, "nothing done"],
  [
    "writes without awaiting",
    `storage.memory.set("agent", "key", 1).then(() => console.log("acknowledged"));`,
    "acknowledged",
  ],
  [
    "writes much at once",
    `await Promise.all(Array.from({ length: 500 }, (_, n) => storage.memory.set("agent", "key " + n, n)));
     await storage.memory.set("agent", "key", 1);
     console.log("acknowledged");`,
    "acknowledged",
  ],
  [
    "runs a transaction and leaves a listing half read",
    `await storage.transaction(async (tx) => { await tx.memory.set("agent", "key", 1); await tx.audit.append({ action: "test.done" }); });
     for await (const entry of storage.memory.list("agent")) { console.log(entry.key); break; }`,
    "key",
  ],
  [
    "calls process.exit right after the acknowledgement",
    `await storage.memory.set("agent", "key", 1); process.stdout.write("acknowledged\\n", () => process.exit(0));`,
    "acknowledged",
  ],
];

describeEachBackend("a script that never calls close()", { otherProcesses: true }, (backend) => {
  beforeAll(async () => {
    await promisify(execFile)(process.execPath, [
      `${root}scripts/setup.mjs`,
      "packages/core",
      "--allow-type-errors",
    ]);
  });

  async function run(body: string): Promise<{ stdout: string; lingered: number }> {
    const { clock: _, encryptionKey, ...options } = backend.options();
    const script = `
      import { createStorage } from ${JSON.stringify(built)};
      const storage = createStorage(${JSON.stringify(backend.orgId)}, {
        ...${JSON.stringify(options)},
        encryptionKey: process.env.KEY || undefined,
      });
      ${body}
      globalThis.finished = Date.now();`;
    const child = promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
      timeout: 60_000,
      // Everybody sees a command line.
      env: { ...process.env, KEY: encryptionKey ?? "" },
    });
    let printedAt = Date.now();
    child.child.stdout?.on("data", () => {
      printedAt = Date.now();
    });
    const { stdout, stderr } = await child;
    expect(stderr).toBe("");
    return { stdout: stdout.trim(), lingered: Date.now() - printedAt };
  }

  test.each(scripts)(
    "and %s ends by itself, with its data durable and its lock released",
    async (_name, body, printed) => {
      const { stdout, lingered } = await run(body);
      expect(stdout).toBe(printed);
      expect(lingered).toBeLessThan(lingerMs);
      // Were the lock still held, opening would wait and then fail.
      const { memory } = backend.open();
      const wrote = body.includes(`"key", 1`);
      expect(await memory.get("agent", "key")).toBe(wrote ? 1 : null);
    },
  );

  test("and is killed right after the acknowledgement has its data", async () => {
    const body = `await storage.memory.set("agent", "key", 1); process.stdout.write("acknowledged\\n", () => process.kill(process.pid, "SIGKILL"));`;
    await expect(run(body)).rejects.toMatchObject({ signal: "SIGKILL", stdout: "acknowledged\n" });
    expect(await backend.open().memory.get("agent", "key")).toBe(1);
  });

  test("and fails with an exception ends too", async () => {
    const body = `await storage.memory.set("agent", "key", 1); console.log("acknowledged"); throw new Error("its own fault");`;
    await expect(run(body)).rejects.toMatchObject({ code: 1, stdout: "acknowledged\n" });
    expect(await backend.open().memory.get("agent", "key")).toBe(1);
  });
});

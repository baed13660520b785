import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { createStorage, StorageError } from "../../src/index.ts";

/*
 * One of several processes that append to the same trail: `append-process.ts URL ORG CALLERS`. Says `ready` once an entry is acknowledged and
 * `unknown` when the outcome of one isn't known; each is tried under its id until it is acknowledged. A line on its input ends it, and it
 * prints what was acknowledged: [id, seq, hash] each.
 */
const [databaseUrl = "", orgId = "", callers = ""] = process.argv.slice(2);
const storage = createStorage(orgId, { databaseUrl, maxConnections: 4 });
const acknowledged: [id: string, seq: number, hash: string][] = [];
let stopped = false;
process.stdin.once("data", () => {
  stopped = true;
});

async function append(): Promise<void> {
  const id = randomUUID();
  for (;;) {
    try {
      const { seq, hash } = await storage.audit.append({ id, action: "test.appended" });
      acknowledged.push([id, seq, hash]);
      if (acknowledged.length === 1) process.stdout.write("ready\n");
      return;
    } catch (error) {
      if (!StorageError.is(error, "UNAVAILABLE")) throw error;
      if (error.message.includes("outcome unknown")) process.stdout.write("unknown\n");
      await sleep(10);
    }
  }
}

await Promise.all(
  Array.from({ length: Number(callers) }, async () => {
    while (!stopped) await append();
  }),
);
await storage.close();
process.stdout.write(`${JSON.stringify(acknowledged)}\n`);
process.stdin.destroy();

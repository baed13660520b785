import { createStorage } from "@codespar/core";
import { drain } from "../harness/drain.ts";
import { agentId } from "../harness/memory-store.ts";
import { atLeast } from "../harness/report.ts";
import { Worker } from "../harness/worker.ts";
import type { ReaderWorker } from "../workers/reader.ts";
import type { Scenario } from "./scenario.ts";

const orgId = "bench-visibility";

/** What one process was told is written, another reads at once: no cache stands between the figures and the truth. */
export const visibility: Scenario = {
  name: "visibility",
  about: "10,000 writes through one handle, each read at once through another process",
  async run({ options, postgres, progress }) {
    const writes = options.quick ? 1000 : 10_000;
    const { url } = await postgres();
    await using storage = createStorage(orgId, { databaseUrl: url });
    await using reader = new Worker<ReaderWorker>(new URL("../workers/reader.js", import.meta.url));
    await reader.call("open", { url, orgId });
    progress(`${writes} writes`);
    let started = 0;
    let seen = 0;
    const writeAndRead = async (turn: number): Promise<void> => {
      const key = String(turn % 1000);
      await storage.memory.set(agentId, key, { turn });
      const value = await reader.call("read", { agentId, key });
      if (value !== null && typeof value === "object" && "turn" in value && value.turn === turn) {
        seen += 1;
      }
    };
    await drain(64, () => (started < writes ? writeAndRead(started++) : undefined));
    await reader.call("close", undefined);
    return [
      {
        scenario: "PostgreSQL",
        measure: "writes read at once by another process",
        callers: "64",
        ours: null,
        others: {},
        checks: [atLeast(writes, seen, `of ${writes}`, "assertion")],
      },
    ];
  },
};

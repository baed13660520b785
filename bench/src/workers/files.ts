import { createStorage, type Storage } from "@codespar/core";
import { type SnapshotStalls, watchSnapshot } from "../files/snapshot-watch.ts";
import { closedLoop } from "../harness/closed-loop.ts";
import { drain } from "../harness/drain.ts";
import { agentId, memoryOperation, oursOf, type Verb } from "../harness/memory-store.ts";
import { memoryValue } from "../harness/records.ts";
import { serve } from "../harness/worker.ts";

const orgId = "bench";
const bulkSize = 128;
let storage: Storage | undefined;

function opened(): Storage {
  if (storage === undefined) throw new Error("open first");
  return storage;
}

/** Sets as many keys as one call may, from `first` on. */
function setRun(first: number, count: number): Promise<unknown> {
  const items = Array.from({ length: count }, (_, index) => ({
    key: String(first + index),
    value: memoryValue(first + index),
  }));
  return opened().memory.setMany(agentId, items);
}

/** A process with a file store of its own. */
const handlers = {
  /** Opens the store and reads one record; tells how many milliseconds that took. */
  open: async ({ directory }: { directory: string }): Promise<number> => {
    const start = performance.now();
    storage = createStorage(orgId, { directory });
    await storage.memory.get(agentId, "0");
    return performance.now() - start;
  },
  fill: async ({ records }: { records: number }): Promise<void> => {
    let next = 0;
    await drain(8, () => {
      if (next >= records) return undefined;
      const first = next;
      next += bulkSize;
      return setRun(first, Math.min(bulkSize, records - first));
    });
  },
  run: async (load: {
    verb: Verb;
    keys: number;
    callers: number;
    durationMs: number;
  }): Promise<number> => {
    const workload = { organisations: [orgId], keys: load.keys };
    const operation = memoryOperation(oursOf(opened()), load.verb, workload);
    return (await closedLoop(load, operation)).perSecond;
  },
  /** Writes before and during a snapshot. */
  snapshot: ({
    directory,
    keys,
    limitMs,
  }: {
    directory: string;
    keys: number;
    limitMs: number;
  }): Promise<SnapshotStalls> => {
    const workload = { organisations: [orgId], keys };
    const write = memoryOperation(oursOf(opened()), "set", workload);
    const bulk = (turn: number) => setRun((turn * bulkSize) % (keys - bulkSize), bulkSize);
    return watchSnapshot({ directory, orgId, limitMs, write, bulk });
  },
  close: () => storage?.close(),
};

/** What {@link handlers} offer. */
export type FilesWorker = typeof handlers;

serve(handlers);

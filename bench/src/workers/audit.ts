import { setTimeout as sleep } from "node:timers/promises";
import { createStorage, type Storage } from "@codespar/core";
import { Cleanup } from "../harness/cleanup.ts";
import { closedLoop, type LoadResult, type Operation } from "../harness/closed-loop.ts";
import { drain } from "../harness/drain.ts";
import { auditInput } from "../harness/records.ts";
import { serve } from "../harness/worker.ts";
import { BareDriver } from "../postgres/bare.ts";
import { poolSize } from "../postgres/target.ts";

/** Who appends. */
export type Appender = "ours" | "bare";

/** A run of callers, with the time of each append in milliseconds. */
export interface AppendResult extends LoadResult {
  readonly latencies: readonly number[];
}

const cleanup = new Cleanup();
const appenders = new Map<Appender, Operation>();
let storage: Storage | undefined;
let others: readonly Storage[] = [];
let trickling: Promise<void> | undefined;
let hushed = false;

/** One of the processes that append to the same organisation's trail. */
const handlers = {
  open: ({ url, orgId }: { url: string; orgId: string }): void => {
    storage = cleanup.use(createStorage(orgId, { databaseUrl: url, maxConnections: poolSize }));
    const { audit } = storage;
    const bare = cleanup.use(new BareDriver(url, poolSize));
    appenders.set("ours", (turn) => audit.append(auditInput(turn)));
    appenders.set("bare", (turn) => bare.append(orgId, auditInput(turn)));
  },
  append: async (load: {
    appender: Appender;
    callers: number;
    durationMs: number;
  }): Promise<AppendResult> => {
    const operation = appenders.get(load.appender);
    if (operation === undefined) throw new Error("open first");
    const latencies: number[] = [];
    return { ...(await closedLoop({ ...load, latencies }, operation)), latencies };
  },
  /** A first entry for other organisations. */
  found: async ({ organisations }: { organisations: number }): Promise<void> => {
    if (storage === undefined) throw new Error("open first");
    const { forOrg } = storage;
    others = Array.from({ length: organisations }, (_, n) => forOrg(`bench-other-${n}`));
    let next = 0;
    await drain(16, () => others[next++]?.audit.append(auditInput(next)));
  },
  /** They append in turns, until hushed. */
  trickle: ({ perSecond }: { perSecond: number }): void => {
    hushed = false;
    trickling = appendInTurns(1000 / perSecond);
  },
  hush: async (): Promise<void> => {
    hushed = true;
    await trickling;
  },
  close: () => cleanup[Symbol.asyncDispose](),
};

async function appendInTurns(everyMs: number): Promise<void> {
  for (let turn = 0; !hushed; turn += 1) {
    await others[turn % others.length]?.audit.append(auditInput(turn));
    await sleep(everyMs);
  }
}

/** What {@link handlers} offer. */
export type AuditWorker = typeof handlers;

serve(handlers);

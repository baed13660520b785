import type { Storage } from "@codespar/core";
import type { Operation } from "./closed-loop.ts";
import { drain } from "./drain.ts";
import { memoryValue } from "./records.ts";

/** A contestant that keeps agents' memory: the least that all of them have. */
export interface MemoryStore extends AsyncDisposable {
  set(
    orgId: string,
    agentId: string,
    key: string,
    value: Readonly<Record<string, unknown>>,
  ): Promise<unknown>;
  get(orgId: string, agentId: string, key: string): Promise<unknown>;
}

/** A storage handle as a contestant. */
export function oursOf(storage: Storage): MemoryStore {
  const memories = new Map<string, Storage["memory"]>();
  const memoryOf = (orgId: string): Storage["memory"] => {
    const known = memories.get(orgId);
    if (known !== undefined) return known;
    const { memory } = storage.forOrg(orgId);
    memories.set(orgId, memory);
    return memory;
  };
  return {
    set: (orgId, agentId, key, value) => memoryOf(orgId).set(agentId, key, value),
    get: (orgId, agentId, key) => memoryOf(orgId).get(agentId, key),
    [Symbol.asyncDispose]: () => storage.close(),
  };
}

/** The verbs that are measured. */
export const verbs = ["set", "get"] as const;

/** One of them. */
export type Verb = (typeof verbs)[number];

/** Which records callers touch. */
export interface Workload {
  /** Organisations, one after the other by caller. */
  readonly organisations: readonly string[];
  /** Keys of each organisation, `0` and up; not a multiple of 7919. */
  readonly keys: number;
}

/** The agent whose memory is measured. */
export const agentId = "bench-agent";

/** What a caller does in its turn. */
export function memoryOperation(store: MemoryStore, verb: Verb, workload: Workload): Operation {
  const { organisations, keys } = workload;
  const orgOf = (caller: number): string => organisations[caller % organisations.length] ?? "bench";
  return verb === "set"
    ? (turn, caller) => store.set(orgOf(caller), agentId, keyOf(turn, keys), memoryValue(turn))
    : (turn, caller) => store.get(orgOf(caller), agentId, keyOf(turn, keys));
}

/** Strides over all keys, so that neighbours in time aren't neighbours in the index, and none comes twice at once. */
function keyOf(turn: number, keys: number): string {
  return String((turn * 7919) % keys);
}

/** Writes every record of the workload once, so that a read finds one and a write mostly replaces one. */
export async function fill(store: MemoryStore, { organisations, keys }: Workload): Promise<void> {
  const pending = organisations.flatMap((orgId) =>
    Array.from({ length: keys }, (_, key) => ({ orgId, key })),
  );
  await drain(64, () => {
    const next = pending.pop();
    return next && store.set(next.orgId, agentId, String(next.key), memoryValue(next.key));
  });
}

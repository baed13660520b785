import { isDeepStrictEqual } from "node:util";
import type { AuditVerification, Storage } from "@codespar/core";
import type { Delivery } from "./payloads.ts";

/** Whose memory the deliveries are. */
export const agentId = "github-webhooks";

/** What a replay left behind, read back. */
export interface Replay {
  readonly deliveries: number;
  /** Deliveries whose payload in memory, or among the audit details, isn't what was fed in. */
  readonly differences: readonly string[];
  readonly verification: AuditVerification;
}

/**
 * Remembers each delivery and records it, both in one transaction; then reads everything back, compares it, and verifies the trail. The
 * organisation should be empty.
 */
export async function replay(storage: Storage, deliveries: readonly Delivery[]): Promise<Replay> {
  for (const delivery of deliveries) await store(storage, delivery);
  const expected = new Map(deliveries.map((delivery) => [keyOf(delivery), delivery.payload]));
  const differences = [
    ...compare("memory", expected, await remembered(storage)),
    ...compare("audit", expected, await recorded(storage)),
  ];
  return { deliveries: deliveries.length, differences, verification: await storage.audit.verify() };
}

/** Remembers a delivery and records it, both or neither. What deletes something is not for an agent: it is recorded as denied. */
export async function store(storage: Storage, delivery: Delivery): Promise<void> {
  const key = keyOf(delivery);
  const { action } = Object(delivery.payload) as { action?: unknown };
  await storage.transaction(async (tx) => {
    await tx.memory.set(agentId, key, delivery.payload);
    await tx.audit.append({
      action: `github.${delivery.event}`,
      outcome: action === "deleted" ? "denied" : "success",
      agent: { id: agentId },
      target: { type: "delivery", id: key },
      details: delivery.payload,
    });
  });
}

/** The key under which a delivery is remembered. */
export function keyOf({ event, index }: Delivery): string {
  return `${event}/${index}`;
}

async function remembered(storage: Storage): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  for await (const { key, value } of storage.memory.list(agentId)) found.set(key, value);
  return found;
}

async function recorded(storage: Storage): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  for await (const { target, details } of storage.audit.list({ agentId, order: "asc" })) {
    if (target !== null) found.set(target.id, details);
  }
  return found;
}

function compare(
  where: string,
  expected: Map<string, unknown>,
  found: Map<string, unknown>,
): string[] {
  const keys = new Set([...expected.keys(), ...found.keys()]);
  return [...keys]
    .filter((key) => !isDeepStrictEqual(expected.get(key), found.get(key)))
    .map((key) => `${where} ${key}`);
}

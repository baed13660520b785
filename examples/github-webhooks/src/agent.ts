import { createStorage } from "@codespar/core";
import { publishedDeliveries } from "./payloads.ts";
import { agentId, keyOf, store } from "./replay.ts";

// Handles all deliveries, eight at a time, and prints the key of each as soon as it is stored. Started again, it goes on where it was.
await using storage = createStorage();
const waiting = publishedDeliveries().values();

async function work(): Promise<void> {
  for (const delivery of waiting) {
    const key = keyOf(delivery);
    if (await storage.memory.has(agentId, key)) continue;
    await store(storage, delivery);
    process.stdout.write(`${key}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, work));

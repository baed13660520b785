import { randomBytes } from "node:crypto";
import { createStorage } from "@codespar/core";
import { publishedDeliveries } from "./payloads.ts";
import { replay } from "./replay.ts";

// An organisation of its own each time: the replay compares everything that it finds there.
await using storage = createStorage(`github-webhooks-${randomBytes(4).toString("hex")}`);
const { deliveries, differences, verification } = await replay(storage, publishedDeliveries());
console.log(`organisation: ${storage.orgId} (${storage.backend})`);
console.log(`deliveries:   ${deliveries}, remembered and recorded`);
console.log(`differences:  ${differences.length === 0 ? "none" : differences.join(", ")}`);
console.log(
  `trail:        ${verification.verdict}, ${verification.size} entries, head ${verification.head}`,
);
if (differences.length > 0 || verification.firstFailure !== null) process.exitCode = 1;

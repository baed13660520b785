import type { SealingKey, SecretsStatus } from "@codespar/core";
import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { withExamples } from "../../help.ts";
import { columns, jsonText, note, print } from "../../output.ts";
import { withDeployment } from "../../store/open-store.ts";
import { isUnfinished } from "./unfinished.ts";

/** `codespar secrets status` */
export function addSecretsStatus(secrets: Command): void {
  const command = secrets
    .command("status")
    .description("tell how many records each key has sealed, in all organisations")
    .action(showStatus);
  withExamples(command, "codespar secrets status", "codespar secrets status --json");
}

async function showStatus(_flags: object, command: Command): Promise<void> {
  const context = contextOf(command);
  const status = await withDeployment(context, "read", ({ secrets }) => secrets.status());
  if (context.json) return print(jsonText(status));
  if (status.keys.length > 0) await print(table(status));
  note(conclusion(status));
}

function table({ keys, canaryKey }: SecretsStatus): string {
  const rows = keys.map((key) => [
    key.id,
    String(key.records),
    key.id === canaryKey ? "yes" : "",
    stateOf(key),
  ]);
  return columns([["KEY", "RECORDS", "CANARY", "STATE"], ...rows]).join("\n");
}

function stateOf({ active, available }: SealingKey): string {
  if (active) return "active";
  return available ? "earlier" : "missing";
}

function conclusion(status: SecretsStatus): string {
  const { activeKey, keys, remaining } = status;
  const missing = keys.filter(({ available }) => !available);
  if (missing.length > 0)
    return "What a missing key has sealed doesn't open: set it after the active one, CODESPAR_ENCRYPTION_KEY=ACTIVE,MISSING";
  if (activeKey === null) return "There is no key: no secret was stored yet.";
  if (isUnfinished(status))
    return remaining > 0
      ? `${remaining} records are left on earlier keys. To seal them anew: codespar secrets rotate`
      : "0 records are left on earlier keys, but a rotation hasn't ended. To end it: codespar secrets rotate";
  return "0 records are left on earlier keys.";
}

import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { withExamples } from "../../help.ts";
import { jsonText, print } from "../../output.ts";
import { abortOnSignals } from "../../signals.ts";
import { withStore } from "../../store/open-store.ts";

/** `codespar keys revoke ID` */
export function addKeysRevoke(keys: Command): void {
  const command = keys
    .command("revoke")
    .description("end an API key for good, everywhere within a second")
    .argument("<id>", "as keys list shows it")
    .action(revokeKey);
  withExamples(command, "codespar keys revoke 0199a7c2-1b2f-7d3c-8e4f-5a6b7c8d9e0f");
}

async function revokeKey(id: string, _flags: object, command: Command): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  await withStore(context, "write", (store) => store.apiKeys.revoke(id, { signal }));
  await print(context.json ? jsonText({ id, revoked: true }) : "revoked");
}

import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { withExamples } from "../../help.ts";
import { abortOnSignals } from "../../signals.ts";
import { withStore } from "../../store/open-store.ts";
import { parseDuration } from "../../values.ts";
import { type ExpiryFlags, expiryOf, withExpiry } from "./expiry.ts";
import { printIssued } from "./issued.ts";

/** `codespar keys rotate ID` */
export function addKeysRotate(keys: Command): void {
  const command = keys
    .command("rotate")
    .description("put a new key in the place of one, with its name and scopes, and print its token")
    .argument("<id>", "as keys list shows it")
    .option(
      "--overlap <duration>",
      "how long the earlier token still works, 30d at most",
      parseDuration,
    )
    .action(rotateKey);
  withExpiry(command, "when the earlier key ends by default");
  withExamples(
    command,
    "codespar keys rotate 0199a7c2-1b2f-7d3c-8e4f-5a6b7c8d9e0f --overlap 1h",
    "codespar keys rotate 0199a7c2-1b2f-7d3c-8e4f-5a6b7c8d9e0f --expires-in 90d",
  );
}

interface RotateFlags extends ExpiryFlags {
  readonly overlap?: number;
}

async function rotateKey(id: string, flags: RotateFlags, command: Command): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  const { overlap } = flags;
  const options = {
    signal,
    ...expiryOf(flags),
    ...(overlap !== undefined && { overlapMs: overlap }),
  };
  const issued = await withStore(context, "write", (store) => store.apiKeys.rotate(id, options));
  await printIssued(issued, context.json);
}

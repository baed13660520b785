import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { withExamples } from "../../help.ts";
import { newFile } from "../../new-file.ts";
import { jsonText, print, write } from "../../output.ts";
import { abortOnSignals } from "../../signals.ts";
import { withStore } from "../../store/open-store.ts";

/** `codespar audit checkpoint` */
export function addAuditCheckpoint(audit: Command): void {
  const command = audit
    .command("checkpoint")
    .description(
      "sign what the trail holds now, and print the signed note. Kept somewhere else, it shows whether the trail was cut or rewritten: audit verify --checkpoint FILE",
    )
    .option("--output <file>", "write it to a new file instead")
    .action(signCheckpoint);
  withExamples(
    command,
    "codespar audit checkpoint",
    'codespar audit checkpoint --output "/mnt/elsewhere/$(date +%F).checkpoint"',
  );
}

async function signCheckpoint(flags: { output?: string }, command: Command): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  const file = flags.output === undefined ? undefined : await newFile(flags.output);
  const checkpoint = await withStore(context, "write", (store) =>
    store.audit.checkpoint({ signal }),
  ).catch(async (error: unknown) => {
    await file?.discard();
    throw error;
  });
  await file?.write(checkpoint.note);
  if (context.json) return print(jsonText(checkpoint));
  if (file === undefined) return write(checkpoint.note);
  await print(`signed ${checkpoint.size} entries: ${flags.output}`);
}

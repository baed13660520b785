import type { Command } from "commander";
import { confirm } from "../../confirm.ts";
import { contextOf } from "../../context.ts";
import { withExamples } from "../../help.ts";
import { jsonText, print } from "../../output.ts";
import { abortOnSignals } from "../../signals.ts";
import { withStore } from "../../store/open-store.ts";
import { parseCount } from "../../values.ts";

/** `codespar audit redact SEQ` */
export function addAuditRedact(audit: Command): void {
  const command = audit
    .command("redact")
    .description(
      "erase an entry's details for good, and seal an entry that says so. The trail stays provable",
    )
    .argument("<seq>", "the entry's number", parseCount)
    .requiredOption("--reason <text>", "why; becomes the details of the new entry")
    .option("--yes", "don't ask")
    .action(redactEntry);
  withExamples(
    command,
    "codespar audit redact 42 --reason 'erasure request of 2030-01-31'",
    "codespar audit redact 42 --reason 'erasure request of 2030-01-31' --yes --org acme",
  );
}

async function redactEntry(
  seq: number,
  flags: { readonly reason: string; readonly yes?: true },
  command: Command,
): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  if (!flags.yes) await confirm(`Erase the details of entry ${seq}?`, signal);
  const entry = await withStore(context, "write", (store) =>
    store.audit.redact(seq, flags.reason, { signal }),
  );
  await print(
    context.json
      ? jsonText(entry)
      : `the details of entry ${seq} are erased; entry ${entry.seq} says so`,
  );
}

import { Buffer } from "node:buffer";
import type { Command } from "commander";
import { contextOf } from "../../context.ts";
import { usage } from "../../failure.ts";
import { withExamples } from "../../help.ts";
import { newFile, writeBytes } from "../../new-file.ts";
import { jsonText, print } from "../../output.ts";
import { abortOnSignals } from "../../signals.ts";
import { withDeployment } from "../../store/open-store.ts";

/** `codespar orgs export ID` */
export function addOrgsExport(orgs: Command): void {
  const command = orgs
    .command("export")
    .description(
      "write everything that an organisation holds into one archive. Secrets stay sealed. The export is an entry of its trail",
    )
    .argument("<id>", "as orgs list shows it")
    .option("--output <file>", "a new file; - for standard output", "-")
    .action(exportOrganisation);
  withExamples(
    command,
    "codespar orgs export acme --output acme.jsonl",
    "codespar orgs export acme | gzip > acme.jsonl.gz",
  );
}

async function exportOrganisation(
  orgId: string,
  { output }: { readonly output: string },
  command: Command,
): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  if (output === "-" && context.json)
    throw usage("--json says what was exported: name where it goes with --output.");
  // Made sure of before the trail says that there was an export.
  const file = output === "-" ? null : await newFile(output);
  await withDeployment(context, "write", async ({ organisations }) => {
    const archive = bytesOf(await organisations.export(orgId, { signal }));
    await (file === null ? writeBytes(archive) : file.write(archive));
  }).catch(async (error: unknown) => {
    await file?.discard().catch(() => undefined);
    throw error;
  });
  if (context.json) return print(jsonText({ orgId, output }));
  if (output !== "-") await print(`exported to ${output}`);
}

async function* bytesOf(pieces: AsyncIterable<string | Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) yield typeof piece === "string" ? Buffer.from(piece) : piece;
}

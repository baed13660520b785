import { existsSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { AuditExportFormat } from "@codespar/core";
import { type Command, Option } from "commander";
import { contextOf } from "../../context.ts";
import { exitCodes } from "../../exit-codes.ts";
import { CommandFailure, usage } from "../../failure.ts";
import { withExamples } from "../../help.ts";
import { newFile, taken, unwritable, writeBytes } from "../../new-file.ts";
import { jsonText, note, print } from "../../output.ts";
import { abortOnSignals } from "../../signals.ts";
import { withStore } from "../../store/open-store.ts";
import type { ExportedTrail } from "../../store/store.ts";
import { addFilterOptions, type FilterFlags, filterOf } from "./filter.ts";

interface ExportFlags extends FilterFlags {
  readonly format: AuditExportFormat;
  readonly output?: string;
}

/** Where an export goes. It is made sure of before the trail says that there was an export. */
interface Sink {
  take(trail: ExportedTrail): Promise<void>;
  discard(): Promise<void>;
}

const formats: Readonly<Record<AuditExportFormat, true>> = { bundle: true, jsonl: true, csv: true };

/** `codespar audit export` */
export function addAuditExport(audit: Command): void {
  const command = audit
    .command("export")
    .description(
      "write the trail out, bound to one signed checkpoint. A bundle can be verified by anybody, without CodeSpar: see its README.md. The export is itself an entry",
    )
    .addOption(
      new Option("--format <format>", "bundle (the whole trail), jsonl or csv")
        .choices(Object.keys(formats))
        .default("bundle"),
    )
    .option(
      "--output <path>",
      "a new folder or FILE.tar for a bundle, otherwise a new file, with the checkpoint beside it in FILE.checkpoint; - for standard output",
    );
  addFilterOptions(command).action(exportAudit);
  withExamples(
    command,
    "codespar audit export --output audit-2030",
    "codespar audit export --output audit-2030.tar --org acme",
    "codespar audit export --format csv --outcome denied --output denied.csv",
    "codespar audit export --format jsonl --from 2030-01-01T00:00:00Z | jq .action",
  );
}

async function exportAudit(flags: ExportFlags, command: Command): Promise<void> {
  const context = contextOf(command);
  const signal = abortOnSignals();
  const { format, output = "-" } = flags;
  if (output === "-" && context.json)
    throw usage("--json says what was exported: name where it goes with --output.");
  if (flags.output === undefined && format === "bundle")
    throw usage("Where does the bundle go? Name a folder, or a file that ends in .tar: --output.");
  const sink = await sinkFor(format, output);
  const { checkpoint, warnings } = await withStore(context, "write", async (store) => {
    const trail = await store.audit.export({ ...filterOf(flags), format, signal });
    await sink.take(trail);
    return trail;
  }).catch(async (error: unknown) => {
    await sink.discard();
    throw error;
  });
  for (const warning of warnings) note(`codespar: ${warning}`);
  if (context.json) return print(jsonText({ format, output, checkpoint, warnings }));
  const bound =
    checkpoint === null ? "" : `, bound to the checkpoint over ${checkpoint.size} entries`;
  if (output !== "-") return print(`exported to ${output}${bound}`);
  const root = checkpoint === null ? "" : ` with the root ${checkpoint.note.split("\n")[2]}`;
  note(`exported${bound}${root}`);
}

async function sinkFor(format: AuditExportFormat, output: string): Promise<Sink> {
  if (output === "-")
    return { take: ({ content }) => writeBytes(content), discard: async () => undefined };
  if (format === "bundle" && !output.endsWith(".tar")) return folderSink(output);
  const file = await newFile(output);
  if (format === "bundle") return { ...file, take: ({ content }) => file.write(content) };
  const beside = await newFile(`${output}.checkpoint`).catch(async (error: unknown) => {
    await file.discard();
    throw error;
  });
  return {
    async take({ content, checkpoint }) {
      await file.write(content);
      await (checkpoint === null ? beside.discard() : beside.write(checkpoint.note));
    },
    async discard() {
      await file.discard();
      await beside.discard();
    },
  };
}

async function folderSink(folder: string): Promise<Sink> {
  if (existsSync(folder) && !isEmptyFolder(folder)) throw taken(folder);
  // Makes the folder, or tells why it can't be.
  await unpack(nothing(), folder);
  return {
    async take({ content }) {
      const problem = await unpack(content, folder);
      if (problem !== null)
        throw new CommandFailure(exitCodes.unavailable, `The export broke off: ${problem}`);
    },
    discard: () => rm(folder, { recursive: true, force: true }),
  };
}

/** What the storage throws stays as it is; what the disk throws ends as it does for a file. */
async function unpack(content: AsyncIterable<Uint8Array>, folder: string): Promise<string | null> {
  const { StorageError, unpackBundle } = await import("@codespar/core");
  const read: { error?: unknown } = {};
  async function* reading() {
    try {
      yield* content;
    } catch (error) {
      read.error = error;
      throw error;
    }
  }
  return unpackBundle(reading(), folder).catch((error: unknown) => {
    if ("error" in read || !StorageError.is(error, "UNAVAILABLE")) throw error;
    throw unwritable(folder, error.cause);
  });
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

function isEmptyFolder(path: string): boolean {
  try {
    return readdirSync(path).length === 0;
  } catch {
    return false;
  }
}

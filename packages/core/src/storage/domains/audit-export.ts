import { tarOf } from "../../audit/bundle/tar.ts";
import { bundleFiles } from "../../audit/bundle/write.ts";
import { csvHeader, csvRecords, jsonLines } from "../../audit/table.ts";
import type { AuditEntry } from "../../domain/audit.ts";
import {
  type AuditExport,
  type AuditExportFormat,
  auditExportFormats,
} from "../../domain/audit-export.ts";
import type { AuditCheckpoint } from "../../domain/audit-proofs.ts";
import { limits } from "../../domain/limits.ts";
import { auditFilterSchema } from "../../domain/schemas.ts";
import { invalid, StorageError } from "../../errors/storage-error.ts";
import type { Audit } from "../audit-contract.ts";
import type { AuditQuery, AuditRow } from "../backend.ts";
import { optionNames } from "../option-names.ts";
import type { AuditExportOptions, CallOptions } from "../options.ts";
import { auditPages } from "../pages.ts";
import { parse } from "../validation.ts";
import { showRow } from "./audit-reading.ts";
import { beginCall, type HandleContext } from "./context.ts";

const kinds: Readonly<Record<AuditExportFormat, { mediaType: string; suffix: string }>> = {
  bundle: { mediaType: "application/x-tar", suffix: "tar" },
  jsonl: { mediaType: "application/jsonl; charset=utf-8", suffix: "jsonl" },
  csv: { mediaType: "text/csv; charset=utf-8; header=present", suffix: "csv" },
};

/** What an export calls of the trail that it is part of. */
type Trail = Pick<Audit, "append" | "checkpoint" | "checkpoints" | "keys">;

/** {@link Audit.export} */
export async function exportTrail(
  context: HandleContext,
  trail: Trail,
  options: AuditExportOptions,
): Promise<AuditExport> {
  beginCall(context, options, optionNames.auditExport);
  const { format, signal, ...rest } = Object(options) as AuditExportOptions;
  if (!auditExportFormats.includes(format))
    throw invalid(`format must be one of ${auditExportFormats.join(", ")}.`);
  const filter = parse(auditFilterSchema, rest, "filter");
  const narrowed = Object.values(filter).some((value) => value !== undefined);
  if (format === "bundle" && narrowed)
    throw invalid("A bundle is the whole trail: leave the filter out, or export jsonl or csv.");
  // What can't be signed can't be a bundle: known before the trail says that one was made.
  if (format === "bundle") await context.backend.keyRing();
  const call: CallOptions = signal === undefined ? {} : { signal };
  const entry = await trail.append(
    {
      action: "audit.exported",
      target: { type: "audit", id: format },
      details: { format, ...(narrowed && { filter }) },
    },
    call,
  );
  const checkpoint = await checkpointFor(trail, format, call);
  const { mediaType, suffix } = kinds[format];
  const size = checkpoint?.size ?? entry.seq + 1;
  return {
    format,
    mediaType,
    fileName: `audit-${context.orgId.replaceAll(/[^\w.-]/g, "_")}-${size}.${suffix}`,
    checkpoint: checkpoint ?? null,
    warnings: checkpoint === undefined ? [unbound] : [],
    content:
      checkpoint !== undefined && format === "bundle"
        ? bundle(context, trail, { checkpoint, exportedAt: entry.sealedAt }, call)
        : table(format, pages(context, { first: 0, size, filter }, call)),
  };
}

const unbound =
  "No checkpoint was signed, so nothing proves what this export holds: the server has no CODESPAR_ENCRYPTION_KEY, under which it keeps its signing key, or another one than before. Set it and export again.";

/** The checkpoint over the entry that says what is exported; `undefined` where nothing can be signed and nothing has to be. */
async function checkpointFor(
  trail: Trail,
  format: AuditExportFormat,
  call: CallOptions,
): Promise<AuditCheckpoint | undefined> {
  try {
    return await trail.checkpoint(call);
  } catch (error) {
    const keyless =
      StorageError.is(error, "ENCRYPTION_KEY_MISSING") || StorageError.is(error, "KEY_MISMATCH");
    if (format === "bundle" || !keyless) throw error;
    return undefined;
  }
}

function bundle(
  context: HandleContext,
  trail: Trail,
  bound: { readonly checkpoint: AuditCheckpoint; readonly exportedAt: string },
  call: CallOptions,
): AsyncIterable<Uint8Array> {
  const files = bundleFiles({
    organisation: context.orgId,
    ...bound,
    entries: (first, end) => pages(context, { first, size: end }, call),
    checkpointNow: () => trail.checkpoint(call),
    checkpoints: () => trail.checkpoints({ ...call, reverse: false, limit: limits.pageMax }),
    keys: () => trail.keys(call),
  });
  return tarOf(files, new Date(bound.exportedAt));
}

/** The entries from `first` on that a filter admits, below `size`, oldest first and page by page. */
async function* pages(
  context: HandleContext,
  { first, size, filter }: { first: number; size: number; filter?: AuditQuery["filter"] },
  call: CallOptions,
): AsyncGenerator<readonly AuditRow[]> {
  const range = { after: first - 1, filter: filter ?? {} };
  const begun = beginCall(context, call);
  for await (const rows of auditPages(context.backend, context.orgId, begun, range)) {
    beginCall(context, call);
    const below = rows.filter(({ seq }) => seq < size);
    if (below.length > 0) yield below;
    if (below.length < rows.length || below.at(-1)?.seq === size - 1) return;
  }
  // The filter may admit none of the last ones; or there are none any more.
  const head = await context.backend.auditHead(context.orgId, beginCall(context, call));
  if (head.size < size)
    throw new StorageError(
      "NOT_FOUND",
      `The trail ends before entry ${head.size}, and ${size} were to be exported: its organisation was erased meanwhile, or its end was cut off. What was written isn't whole.`,
    );
}

async function* table(
  format: AuditExportFormat,
  entries: AsyncIterable<readonly AuditRow[]>,
): AsyncGenerator<Uint8Array> {
  const text: (entries: readonly AuditEntry[]) => string =
    format === "csv" ? csvRecords : jsonLines;
  if (format === "csv") yield Buffer.from(csvHeader());
  for await (const rows of entries) yield Buffer.from(text(rows.map(showRow)));
}

import type { AuditCheckpoint } from "./audit-proofs.ts";

/**
 * How a trail can be written out.
 *
 * - `bundle`: a tar of all that a stranger needs to verify the trail without this software: always the whole trail.
 * - `jsonl`: JSON Lines, an {@link AuditEntry} a line.
 * - `csv`: RFC 4180, for spreadsheets, which take no cell for a formula.
 */
export const auditExportFormats = ["bundle", "jsonl", "csv"] as const;

/** A way to write out a trail. */
export type AuditExportFormat = (typeof auditExportFormats)[number];

/** A trail being written out. */
export interface AuditExport {
  readonly format: AuditExportFormat;
  /** The bytes' media type, for example `application/x-tar`. */
  readonly mediaType: string;
  /** A name for a file of it. */
  readonly fileName: string;
  /**
   * The signed checkpoint that the export is bound to: it holds the entries below its size that the filter admits. A bundle goes on beyond it,
   * up to a later checkpoint of its own, where details are erased while it is written. `null` where nothing can be signed; then a warning says
   * why.
   */
  readonly checkpoint: AuditCheckpoint | null;
  /** What limits what the export can prove, in sentences. */
  readonly warnings: readonly string[];
  /**
   * The bytes, to be read once: they are made as they are read, in constant memory. Ending the iteration early ends the export.
   *
   * @throws StorageError what reading the trail throws
   */
  readonly content: AsyncIterable<Uint8Array>;
}

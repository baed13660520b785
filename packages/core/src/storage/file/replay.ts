import type { TableName } from "../tables.ts";
import type { ErasedPart } from "./audit-parts.ts";
import type { AuditTrail } from "./audit-trail.ts";
import { ByteReader } from "./byte-reader.ts";
import { corruption } from "./failures.ts";
import type { FileSystem, OpenFile } from "./file-system.ts";
import type { JournalEnd } from "./journal.ts";
import { readSegment, type SegmentEnd } from "./journal-reader.ts";
import { sortKey } from "./key-order.ts";
import { segmentFile } from "./layout.ts";
import { decodeOperations, type Operation } from "./operations.ts";
import type { Table } from "./table.ts";

/** What the journal's operations change. */
export interface ReplayTarget {
  readonly tables: Readonly<Record<TableName, Table>>;
  readonly trail: AuditTrail;
}

export interface ReplayOptions {
  readonly fs: FileSystem;
  readonly folder: string;
  /** Whether the journal is to be written on. */
  readonly writable: boolean;
}

export interface Replayed {
  readonly end: JournalEnd;
  /** The last segment, open for writing; `null` when there is none or it is empty, or nothing is to be written. */
  readonly file: OpenFile | null;
  readonly bytes: number;
  /** Parts of audit entries that were erased: the journal, too, may still hold what they were. */
  readonly erased: readonly ErasedPart[];
  readonly warnings: readonly string[];
}

/**
 * Replays segments in order. An incomplete frame at the very end was never acknowledged and is dropped.
 *
 * @throws StorageError `CORRUPTION`; Node's errors for what can't be read
 */
export async function replayJournal(
  options: ReplayOptions,
  segments: readonly number[],
  start: JournalEnd,
  target: ReplayTarget,
): Promise<Replayed> {
  const intern = interner();
  const last = await lastWritten(options, segments);
  let end = start;
  let bytes = 0;
  const erased: ErasedPart[] = [];
  for (const segment of segments) {
    const isLast = segment === last;
    const replayed = await replaySegment(options, { segment, isLast }, end, (body) => {
      decodeOperations(body, intern, (operation) => {
        apply(operation, target);
        if (operation.kind === "erase") erased.push(operation.part);
      });
    });
    end = replayed.end;
    bytes += end.position;
    if (isLast) return { ...replayed, bytes, erased };
  }
  return { end, file: null, bytes, erased, warnings: [] };
}

/** The last segment that holds anything: a cut that didn't succeed may have left an empty one, while the one before went on. */
async function lastWritten(
  { fs, folder }: ReplayOptions,
  segments: readonly number[],
): Promise<number | undefined> {
  for (const segment of [...segments].reverse()) {
    if ((await fs.stat(`${folder}/${segmentFile(segment)}`)).size > 0) return segment;
  }
  return segments[0];
}

async function replaySegment(
  options: ReplayOptions,
  { segment, isLast }: { readonly segment: number; readonly isLast: boolean },
  from: JournalEnd,
  onBody: (body: Buffer) => void,
): Promise<Omit<Replayed, "bytes" | "erased">> {
  const path = `${options.folder}/${segmentFile(segment)}`;
  const writable = options.writable && isLast;
  const file = await options.fs.open(path, writable ? "edit" : "read");
  let keep = false;
  try {
    const reader = new ByteReader(file, await file.size());
    const read = await readSegment(path, reader, from, (body, header, position) => {
      try {
        onBody(body);
      } catch (error) {
        throw corruption(path, position, `frame ${header.frame} can't be read`, error);
      }
    });
    const torn = reader.end - read.position;
    if (torn > 0 && !isLast) throw corruption(path, read.position, "a frame is damaged");
    if (writable) await settleEnd(file, reader, read);
    const end = { segment, position: read.position, frame: read.frame, prev: read.prev };
    const warnings = torn > 0 && writable ? [tornWarning(path, read.position, torn)] : [];
    // An empty one is made again, since its entry in the folder may not be durable.
    keep = writable && end.position > 0;
    return { end, file: keep ? file : null, warnings };
  } finally {
    if (!keep) await file.close();
  }
}

/**
 * Cuts a torn frame off, and writes the last whole one again: its sync may have failed, in which case the operating system shows
 * it without meaning to keep it, and nothing may be built on it.
 */
async function settleEnd(file: OpenFile, reader: ByteReader, read: SegmentEnd): Promise<void> {
  if (reader.end > read.position) await file.truncate(read.position);
  if (read.lastFrameAt !== null) {
    const bytes = await file.read(read.lastFrameAt, read.position - read.lastFrameAt);
    await file.write(bytes, read.lastFrameAt);
  }
  if (reader.end > 0) await file.sync();
}

function tornWarning(path: string, position: number, bytes: number): string {
  return `${path} ended in an incomplete write of ${bytes} bytes at byte ${position}, which had never been acknowledged. It was dropped; nothing is to be done.`;
}

function apply(operation: Operation, { tables, trail }: ReplayTarget): void {
  switch (operation.kind) {
    case "put":
      tables[operation.table].put(sortKey(operation.record.key), operation.record);
      return;
    case "delete":
      tables[operation.table].delete(sortKey(operation.key));
      return;
    case "audit":
      if (!trail.replay(operation.entry)) {
        throw new SyntaxError(`an audit entry is missing before ${operation.entry.seq}`);
      }
      return;
    case "erase":
      trail.replayErasure(operation.part);
      return;
  }
}

/** Keeps one copy of texts that come again and again, such as agent ids. */
export function interner(): (text: string) => string {
  const seen = new Map<string, string>();
  return (text) => {
    const known = seen.get(text);
    if (known !== undefined) return known;
    if (seen.size < 100_000) seen.set(text, text);
    return text;
  };
}

import type { StorageError } from "../../errors/storage-error.ts";
import { type TableName, tableNames } from "../tables.ts";
import { AuditFiles } from "./audit-files.ts";
import type { ErasedPart } from "./audit-parts.ts";
import { AuditTrail, emptyTrail } from "./audit-trail.ts";
import { corruption, errnoOf, isMissing, runAll } from "./failures.ts";
import type { FileSystem, OpenFile } from "./file-system.ts";
import { firstPrev } from "./frame.ts";
import { Journal, type JournalEnd } from "./journal.ts";
import { isUnfinished, names, segmentFile, segmentNumber } from "./layout.ts";
import { type Manifest, readManifest } from "./manifest.ts";
import { interner, replayJournal } from "./replay.ts";
import { Table } from "./table.ts";
import { readTable } from "./table-file.ts";
import type { Usage } from "./usage.ts";

/** An organisation's state as its files tell it. */
export interface Recovered {
  /** Whether its folder is known to be durable, which a snapshot shows. An earlier process may have ended right after it had made one. */
  readonly isDurable: boolean;
  readonly tables: Readonly<Record<TableName, Table>>;
  readonly trail: AuditTrail;
  readonly journal: Journal;
  readonly manifest: Manifest | null;
  /** Bytes of journal that a snapshot would make superfluous. */
  readonly journalBytes: number;
  /** Parts of audit entries that the journal erases. */
  readonly erased: readonly ErasedPart[];
  /** Sizes of the tables' files. */
  readonly tableBytes: Readonly<Partial<Record<TableName, number>>>;
  /** What was dropped, in words. */
  readonly warnings: readonly string[];
}

export interface RecoveryOptions {
  readonly fs: FileSystem;
  readonly folder: string;
  readonly usage: Usage;
  /** Whether what a crash left over may be tidied up. */
  readonly writable: boolean;
}

/**
 * Opens an organisation: its snapshot, then the journal behind it. Nothing is taken to be empty that can't be read.
 *
 * @throws StorageError `CORRUPTION`, `UNSUPPORTED`; Node's errors for what can't be read
 */
export async function recover(options: RecoveryOptions): Promise<Recovered> {
  if (options.writable) return recoverOnce(options);
  // Without the lock, the writing process may replace files while they are read here.
  const { fs, folder } = options;
  for (let attempt = 1; ; attempt++) {
    const before = await contentOf(fs, `${folder}/${names.manifest}`);
    try {
      return await recoverOnce(options);
    } catch (error) {
      const after = await contentOf(fs, `${folder}/${names.manifest}`);
      if (after === before || attempt === readAttempts) throw error;
    }
  }
}

const readAttempts = 5;

async function contentOf(fs: FileSystem, path: string): Promise<string | null> {
  try {
    return (await fs.read(path)).toString("utf8");
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

async function recoverOnce(options: RecoveryOptions): Promise<Recovered> {
  const { fs, folder, usage, writable } = options;
  const entries = await listFolder(fs, folder);
  const manifest = await readManifest(fs, folder);
  const segments = segmentsToReplay(folder, entries ?? [], manifest);
  const tables = Object.fromEntries(
    tableNames.map((name) => [name, new Table(name, usage)]),
  ) as Record<TableName, Table>;
  const trail = await openTrail(options, manifest);
  let file: OpenFile | null = null;
  try {
    const tableBytes = await loadTables(fs, folder, manifest, tables);
    const state = { tables, trail };
    const replayed = await replayJournal(options, segments, startOf(manifest), state);
    file = replayed.file;
    const { end, bytes: journalBytes, erased, warnings } = replayed;
    if (manifest !== null && end.frame < manifest.frames)
      throw journalEndsEarly(folder, end, manifest);
    for (const table of Object.values(tables)) table.settleAll();
    if (writable) await tidyUp(options, entries ?? [], manifest);
    const journal = new Journal(fs, folder, end, file);
    return {
      isDurable: manifest !== null,
      tables,
      trail,
      journal,
      manifest,
      journalBytes,
      erased,
      tableBytes,
      warnings,
    };
  } catch (error) {
    for (const table of Object.values(tables)) table.unload();
    await runAll([() => file?.close(), () => trail.close()]).catch(() => undefined);
    throw error;
  }
}

function journalEndsEarly(folder: string, end: JournalEnd, manifest: Manifest): StorageError {
  return corruption(
    `${folder}/${segmentFile(end.segment)}`,
    end.position,
    `the journal ends before frame ${manifest.frames}, which the snapshot knows of`,
  );
}

async function listFolder(fs: FileSystem, folder: string): Promise<string[] | null> {
  try {
    return await fs.list(folder);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** Where the journal begins that the snapshot doesn't hold. */
function startOf(manifest: Manifest | null): JournalEnd {
  const { segment, frame, prev } = manifest ?? { segment: 1, frame: 1, prev: firstPrev };
  return { segment, position: 0, frame, prev };
}

/** The segments from the snapshot's on, without a gap. */
function segmentsToReplay(
  folder: string,
  entries: readonly string[],
  manifest: Manifest | null,
): number[] {
  const first = manifest?.segment ?? 1;
  const segments = entries
    .map(segmentNumber)
    .filter((segment): segment is number => segment !== null && segment >= first)
    .sort((a, b) => a - b);
  segments.forEach((segment, i) => {
    if (segment !== first + i) {
      throw corruption(`${folder}/${segmentFile(first + i)}`, 0, "the journal segment is missing");
    }
  });
  if (segments.length === 0 && manifest !== null) {
    throw corruption(`${folder}/${segmentFile(first)}`, 0, "the journal segment is missing");
  }
  const stray = entries.find((name) => !isUnfinished(name));
  if (segments.length === 0 && stray !== undefined) {
    throw corruption(
      `${folder}/${stray}`,
      0,
      "it is there, but the journal it belongs to is missing",
    );
  }
  return segments;
}

async function openTrail(options: RecoveryOptions, manifest: Manifest | null): Promise<AuditTrail> {
  const { fs, folder, writable } = options;
  const audit = manifest?.audit ?? { ...emptyTrail, bytes: 0, partBytes: 0 };
  const files = new AuditFiles(
    fs,
    folder,
    { entries: audit.size, bytes: audit.bytes, partBytes: audit.partBytes },
    writable,
  );
  await files.recover();
  const { size, head, ts, log } = audit;
  return new AuditTrail(files, { size, head, ts, log });
}

async function loadTables(
  fs: FileSystem,
  folder: string,
  manifest: Manifest | null,
  tables: Readonly<Record<TableName, Table>>,
): Promise<Partial<Record<TableName, number>>> {
  const intern = interner();
  const bytes: Partial<Record<TableName, number>> = {};
  for (const name of tableNames) {
    const oldest = manifest?.tables[name];
    if (oldest === undefined) continue;
    try {
      bytes[name] = await readTable(fs, folder, tables[name], oldest, intern);
    } catch (error) {
      if (isMissing(error))
        throw corruption(`${folder}/${name}.json`, 0, "the table's file is missing", error);
      throw error;
    }
  }
  return bytes;
}

/** Removes what snapshots left behind when the process ended in the middle of them. */
async function tidyUp(
  options: RecoveryOptions,
  entries: readonly string[],
  manifest: Manifest | null,
): Promise<void> {
  const { fs, folder } = options;
  const first = manifest?.segment ?? 1;
  const left = entries.filter((entry) => {
    const segment = segmentNumber(entry);
    return isUnfinished(entry) || (segment !== null && segment < first);
  });
  if (left.length === 0) return;
  // The process may have ended before it made the snapshot durable that replaces them.
  await fs.syncFolder(folder);
  for (const entry of left) await removeIfThere(fs, `${folder}/${entry}`);
}

export async function removeIfThere(fs: FileSystem, path: string): Promise<void> {
  try {
    await fs.remove(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
}

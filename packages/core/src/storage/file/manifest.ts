import { createHash } from "node:crypto";
import { StorageError } from "../../errors/storage-error.ts";
import { type TableName, tables } from "../tables.ts";
import type { TrailMark } from "./audit-trail.ts";
import { corruption, isMissing } from "./failures.ts";
import type { FileSystem } from "./file-system.ts";
import { names, unfinished } from "./layout.ts";

/** What an organisation's snapshot consists of, and where its journal goes on. */
export interface Manifest {
  readonly organisation: string;
  /** The first segment to replay, its first frame, and the sum that this one follows. */
  readonly segment: number;
  readonly frame: number;
  readonly prev: string;
  /** The number of frames that had been written when the snapshot was finished: it may hold what they did. */
  readonly frames: number;
  readonly audit: TrailMark;
  /** The tables that have a file, and the oldest segment it may be of. */
  readonly tables: Readonly<Partial<Record<TableName, number>>>;
}

const format = "codespar.snapshot/1";
const sumField = ',"sum":"';

export function encodeManifest(manifest: Manifest): string {
  const content = JSON.stringify({ format, ...manifest }).slice(0, -1);
  return `${content}${sumField}${sumOf(content)}"}\n`;
}

/** Writes the manifest durably: what it names must be durable already. */
export async function writeManifest(
  fs: FileSystem,
  folder: string,
  manifest: Manifest,
): Promise<void> {
  await writeDurably(fs, folder, names.manifest, encodeManifest(manifest));
}

/**
 * An organisation's manifest, or `null` before its first snapshot.
 *
 * @throws StorageError `CORRUPTION`, or `UNSUPPORTED` when a newer version wrote it
 */
export async function readManifest(fs: FileSystem, folder: string): Promise<Manifest | null> {
  const path = `${folder}/${names.manifest}`;
  let content: string;
  try {
    content = (await fs.read(path)).toString("utf8");
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
  return decodeManifest(path, content);
}

function decodeManifest(path: string, content: string): Manifest {
  const sumAt = content.lastIndexOf(sumField);
  const covered = content.slice(0, Math.max(0, sumAt));
  if (content !== `${covered}${sumField}${sumOf(covered)}"}\n`) {
    throw corruption(path, 0, "its checksum doesn't match its content");
  }
  const manifest = JSON.parse(content) as Manifest & { readonly format: string };
  const unknown = Object.keys(manifest.tables).filter((table) => !Object.hasOwn(tables, table));
  if (manifest.format !== format || unknown.length > 0) {
    throw new StorageError(
      "UNSUPPORTED",
      `${path} was written by another version of CodeSpar (${manifest.format}). Use that version or a later one.`,
    );
  }
  return manifest;
}

/** Replaces a small file so that after a crash it is the old or the new one. */
export async function writeDurably(
  fs: FileSystem,
  folder: string,
  name: string,
  content: string,
): Promise<void> {
  const temporary = `${folder}/${unfinished(name)}`;
  const file = await fs.open(temporary, "edit");
  try {
    try {
      await file.truncate(0);
      await file.write(Buffer.from(content), 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await fs.rename(temporary, `${folder}/${name}`);
  } catch (error) {
    await fs.remove(temporary).catch(() => undefined);
    throw error;
  }
  await fs.syncFolder(folder);
}

function sumOf(content: string): string {
  return createHash("sha256").update(content).digest("hex");
}

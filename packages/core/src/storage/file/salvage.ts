import { resolve } from "node:path";
import { StorageError } from "../../errors/storage-error.ts";
import { liesIn } from "../real-path.ts";
import { type TableName, tableNames } from "../tables.ts";
import { errnoOf, isMissing, unavailable } from "./failures.ts";
import { FileBackend } from "./file-backend.ts";
import { type FileSystem, nodeFileSystem } from "./file-system.ts";
import { sortKey } from "./key-order.ts";
import {
  isRetiredKey,
  isUnfinished,
  names,
  organisationOf,
  organisationPath,
  tableFile,
} from "./layout.ts";
import { lockHolder } from "./lock.ts";
import { readManifest, writeDurably } from "./manifest.ts";
import { salvageJournal } from "./salvage-journal.ts";
import { salvageTable } from "./salvage-table.ts";
import { type JournaledTrail, salvageTrail } from "./salvage-trail.ts";
import { Table } from "./table.ts";
import { readTable } from "./table-file.ts";
import { Usage } from "./usage.ts";

/** What `salvage` is told. */
export interface SalvageOptions {
  /** The damaged storage folder. Nothing in it is changed. */
  readonly from: string;
  /** A folder that doesn't exist or is empty. */
  readonly to: string;
  /** Called after each organisation. */
  readonly onProgress?: ((progress: SalvageProgress) => void) | undefined;
}

/** How far salvaging has come. */
export interface SalvageProgress {
  readonly orgId: string;
  /** Organisations done, and how many there are. */
  readonly done: number;
  readonly total: number;
}

/** What became of one organisation. */
export interface SalvagedOrganisation {
  readonly orgId: string;
  /** Records copied. */
  readonly records: number;
  /** How many of these come from a file whose checksum doesn't match: well-formed, but not proven to be what was written. */
  readonly unproven: number;
  /** Audit entries copied, each proven by its chain. */
  readonly auditEntries: number;
  /** What could not be copied, and why, in words: empty when all is intact. */
  readonly lost: readonly string[];
}

/** What salvaging copied, and what it could not. */
export interface SalvageReport {
  readonly organisations: readonly SalvagedOrganisation[];
  /** What in the storage folder belongs to no organisation that can be told. */
  readonly lost: readonly string[];
}

/**
 * Copies what is intact of a damaged storage folder into a new one, and tells what isn't.
 *
 * @throws StorageError `VALIDATION` when `to` isn't empty or lies inside `from`, `STORAGE_LOCKED` while a process holds `from`, `UNAVAILABLE`
 */
export async function salvage(options: SalvageOptions): Promise<SalvageReport> {
  const fs = nodeFileSystem;
  const from = resolve(options.from);
  const to = resolve(options.to);
  try {
    await check(fs, from, to);
    const folders = await fs.listFolders(`${from}/${names.organisations}`);
    const lost = folders
      .filter((folder) => organisationOf(folder) === null && !isUnfinished(folder))
      .map((folder) => `${from}/${names.organisations}/${folder}: no organisation's folder`);
    const target = new FileBackend({ directory: to, readOnly: false, clock: Date.now });
    const organisations: SalvagedOrganisation[] = [];
    const orgIds = folders.map(organisationOf).filter((orgId) => orgId !== null);
    try {
      for (const orgId of orgIds.sort()) {
        organisations.push(await salvageOrganisation(fs, from, target, orgId));
        options.onProgress?.({ orgId, done: organisations.length, total: orgIds.length });
      }
    } finally {
      await target.close();
    }
    await copyKeys(fs, from, to);
    return { organisations, lost };
  } catch (error) {
    throw unavailable(`The files in ${from} can't be salvaged`, error);
  }
}

async function check(fs: FileSystem, from: string, to: string): Promise<void> {
  const holder = await lockHolder(from, fs);
  if (holder !== null) {
    throw new StorageError(
      "STORAGE_LOCKED",
      `Process ${holder.pid} holds the files in ${from}. Stop it first.`,
    );
  }
  if (liesIn(to, from)) {
    throw new StorageError(
      "VALIDATION",
      `${to} is inside of ${from}, in which nothing may be changed. Name a folder outside of it.`,
    );
  }
  const there = await fs.list(to).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  if (there.length > 0) {
    throw new StorageError(
      "VALIDATION",
      `${to} is not empty. Name a folder that doesn't exist yet.`,
    );
  }
}

async function salvageOrganisation(
  fs: FileSystem,
  from: string,
  target: FileBackend,
  orgId: string,
): Promise<SalvagedOrganisation> {
  const folder = organisationPath(from, orgId);
  const entries = await fs.list(folder);
  const usage = new Usage({ records: Number.MAX_SAFE_INTEGER, bytes: Number.MAX_SAFE_INTEGER });
  const tables = Object.fromEntries(
    tableNames.map((name) => [name, new Table(name, usage)]),
  ) as Record<TableName, Table>;
  const lost: string[] = [];
  const manifest = await readManifest(fs, folder).catch((error: unknown) => {
    if (!StorageError.is(error, "CORRUPTION")) throw error;
    lost.push(`${folder}/${names.manifest} is damaged`);
    return null;
  });
  let unproven = 0;
  for (const name of tableNames) {
    if (!entries.includes(tableFile(name))) {
      if (manifest?.tables[name] !== undefined)
        lost.push(`${folder}/${tableFile(name)} is missing`);
      continue;
    }
    try {
      await readTable(fs, folder, tables[name], 0, (text) => text);
    } catch (error) {
      if (!StorageError.is(error, "CORRUPTION")) throw error;
      const salvaged = await salvageTable(fs, folder, tables[name]);
      unproven += salvaged.unproven;
      lost.push(...salvaged.lost);
    }
  }
  const trail: JournaledTrail = { entries: new Map(), erased: [] };
  const passedOver = await salvageJournal(fs, folder, entries, (operation) => {
    if (operation.kind === "audit") trail.entries.set(operation.entry.seq, operation.entry);
    else if (operation.kind === "erase") trail.erased.push(operation.part);
    else if (operation.kind === "delete") tables[operation.table].delete(sortKey(operation.key));
    else tables[operation.table].put(sortKey(operation.record.key), operation.record);
  });
  lost.push(...passedOver);
  const { rows, lost: lostEntries } = await salvageTrail(
    fs,
    folder,
    manifest?.audit.head ?? null,
    trail,
  );
  lost.push(...lostEntries);
  const context = { now: Date.now() };
  let records = 0;
  for (const name of tableNames) {
    const kept = [...tables[name].records()];
    await target.importRecords(orgId, name, kept, context);
    records += kept.length;
  }
  await target.importAudit(orgId, rows, context);
  return { orgId, records, unproven, auditEntries: rows.length, lost };
}

/** Without the key, the secrets that were copied could not be opened; nor, without those that rotations replaced, those of backups. */
async function copyKeys(fs: FileSystem, from: string, to: string): Promise<void> {
  let there: readonly string[];
  try {
    there = await fs.list(`${from}/${names.keys}`);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return;
    throw error;
  }
  const kept = there.filter(
    (name) => name === names.key || name === names.canary || isRetiredKey(name),
  );
  if (kept.length === 0) return;
  await fs.makeFolder(`${to}/${names.keys}`);
  for (const name of kept) {
    const content = await fs.read(`${from}/${names.keys}/${name}`);
    await writeDurably(fs, `${to}/${names.keys}`, name, content.toString("utf8"));
  }
}

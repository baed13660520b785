import { createHash, randomBytes } from "node:crypto";
import { link, open, readFile, rename, unlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { AuditCheckpoint } from "../../domain/audit-proofs.ts";
import { makeFolder } from "../make-folder.ts";
import type { Anchor } from "./anchor.ts";

/**
 * Keeps each checkpoint as a file of its own, `<trail>/<size>.checkpoint`, written durably and never overwritten. Mount a folder on
 * another machine, or one that an administrator of the database can't change.
 */
export function folderAnchor(directory: string): Anchor {
  const folder = resolve(directory);
  return {
    id: `folder:${digestOf(folder)}`,
    label: `the folder ${folder}`,
    keep: ({ origin, size, note }) =>
      keepIn(folder, join(trailName(origin), `${String(size).padStart(16, "0")}.checkpoint`), note),
  };
}

/** Twelve digits that stand for a place, which may be too long or too secret for a record. */
export function digestOf(place: string): string {
  return createHash("sha256").update(place).digest("hex").slice(0, 12);
}

/** The last part of an origin, which is random; whatever else it is, it names one folder. */
function trailName(origin: AuditCheckpoint["origin"]): string {
  const last = origin.slice(origin.lastIndexOf("/") + 1);
  return /^[0-9a-f]{32}$/.test(last) ? last : digestOf(origin);
}

async function keepIn(folder: string, name: string, note: string): Promise<void> {
  const path = join(folder, name);
  if (await isKept(path, note)) return;
  await makeFolder(dirname(path), 0o777, (made) => syncFolder(dirname(made)));
  const temporary = `${path}.${randomBytes(6).toString("hex")}.tmp`;
  try {
    await writeDurably(temporary, note);
    await put(temporary, path, note);
  } finally {
    await unlink(temporary).catch(() => undefined);
  }
  await syncFolder(dirname(path));
}

/** Unlike a rename, a link never takes the place of what is there. */
async function put(temporary: string, path: string, note: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    if (await isKept(path, note)) return;
    // Some file systems have no links. Nothing is there, and whoever writes at the same moment writes the same.
    if (!hasCode(error, "EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP")) throw error;
    await rename(temporary, path);
  }
}

/** Whether the file is there with this content. @throws Error when it has another one */
async function isKept(path: string, note: string): Promise<boolean> {
  const found = await readFile(path, "utf8").catch((error: unknown) => {
    if (hasCode(error, "ENOENT")) return null;
    throw error;
  });
  if (found === null || found === note) return found !== null;
  throw new Error(
    `${path} holds another checkpoint of the same size: the trail was replaced, or this folder belongs to another one. Compare the two`,
  );
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, "wx", 0o644);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}

import { dirname } from "node:path";
import { isMissing } from "./failures.ts";
import type { FileSystem } from "./file-system.ts";
import { isUnfinished, organisationOf, unfinished } from "./layout.ts";

/**
 * Removes an organisation's folder, which nobody uses any more. In one step it is no organisation's folder any more: a crash never leaves a
 * part of its files to be opened. What a crash leaves of it {@link finishRemovals} removes.
 */
export async function removeOrganisation(fs: FileSystem, folder: string): Promise<void> {
  const leaving = unfinished(folder);
  // An earlier removal may not have come to its end.
  await removeRenamed(fs, leaving);
  try {
    await fs.rename(folder, leaving);
  } catch (error) {
    if (isMissing(error)) return;
    throw error;
  }
  await removeRenamed(fs, leaving);
}

/** Removes what removals left that ended in the middle. Only for who holds the lock. */
export async function finishRemovals(fs: FileSystem, parent: string): Promise<void> {
  for (const name of await foldersIn(fs, parent)) {
    if (!isUnfinished(name) || organisationOf(name.slice(0, -unfinished("").length)) === null)
      continue;
    await removeRenamed(fs, `${parent}/${name}`);
  }
}

async function foldersIn(fs: FileSystem, parent: string): Promise<string[]> {
  try {
    return await fs.listFolders(parent);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Before the new name is durable nothing is removed: after a crash the rest of it would be found under the old one. */
async function removeRenamed(fs: FileSystem, folder: string): Promise<void> {
  const parent = dirname(folder);
  try {
    await fs.stat(folder);
    await fs.syncFolder(parent);
    await fs.removeFolder(folder);
    await fs.syncFolder(parent);
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

import { dirname } from "node:path";
import { errnoOf } from "./failures.ts";
import type { FileSystem } from "./file-system.ts";

/** Makes a folder durable that may just have been made, with its parents. */
export async function syncParents(fs: FileSystem, folder: string): Promise<void> {
  const parent = dirname(folder);
  if (parent === folder) return;
  await fs.syncFolder(parent).catch((error: unknown) => {
    // A folder that can't be read, or isn't on a disk, was there before.
    if (!unsyncable.has(errnoOf(error) ?? "")) throw error;
  });
  await syncParents(fs, parent);
}

const unsyncable: ReadonlySet<string> = new Set(["EACCES", "EPERM", "EINVAL", "ENOTSUP"]);

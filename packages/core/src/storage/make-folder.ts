import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes a folder where there is none, and those above it. Node's own `recursive` never returns where a folder is there and yet takes none, as `/proc`
 * does, and of a read-only one says that there is none.
 *
 * @param made - called for each that was made, from the top
 */
export async function makeFolder(
  folder: string,
  mode: number,
  made: (folder: string) => Promise<void> = async () => undefined,
): Promise<void> {
  try {
    await mkdir(folder, { mode }).catch(async (error: unknown) => {
      const parent = dirname(folder);
      if (codeOf(error) !== "ENOENT" || parent === folder) throw error;
      await makeFolder(parent, mode, made);
      await mkdir(folder, { mode });
    });
  } catch (error) {
    if (codeOf(error) === "EEXIST") return;
    throw error;
  }
  await made(folder);
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}

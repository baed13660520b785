import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assertNoSecretInFolder } from "./search.ts";

/** Makes an empty folder of a test's own below the run's. The test removes it with {@link removeScratch}. */
export async function scratchFolder(topic: string): Promise<string> {
  return await mkdtemp(join(process.env["CODESPAR_TEST_FOLDER"] ?? tmpdir(), `${topic}-`));
}

/** Removes a test's folder after a look at all that is in it. @throws SecretFound */
export async function removeScratch(folder: string): Promise<void> {
  try {
    await assertNoSecretInFolder(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

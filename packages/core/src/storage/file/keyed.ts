import { ByteReader, eachBlock, eachLine } from "./byte-reader.ts";
import { isMissing } from "./failures.ts";
import type { FileSystem } from "./file-system.ts";
import { segmentNumber, tableFile } from "./layout.ts";
import { putLine } from "./operations.ts";

/**
 * Whether an organisation has API keys, told from its files without opening it: from the table's file, which exists where the table holds
 * something, or a line of its journal. It may have had them; that counts as well.
 */
export async function holdsApiKeys(fs: FileSystem, folder: string): Promise<boolean> {
  let files: string[];
  try {
    files = await fs.list(folder);
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
  if (files.includes(tableFile("api_keys"))) return true;
  for (const name of files) {
    if (segmentNumber(name) !== null && (await hasKeyLine(fs, `${folder}/${name}`))) return true;
  }
  return false;
}

const keyLine = Buffer.from(putLine("api_keys"));

async function hasKeyLine(fs: FileSystem, path: string): Promise<boolean> {
  const file = await fs.open(path, "read");
  let found = false;
  try {
    await eachBlock(new ByteReader(file, await file.size()), 0, (block) => {
      // Few blocks hold the text anywhere.
      if (found || !block.includes(keyLine)) return;
      eachLine(block, (start) => {
        found ||= block.subarray(start, start + keyLine.length).equals(keyLine);
      });
    });
  } finally {
    await file.close();
  }
  return found;
}

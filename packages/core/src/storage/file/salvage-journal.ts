import { ByteReader } from "./byte-reader.ts";
import type { FileSystem } from "./file-system.ts";
import { findFrame, frameAt } from "./journal-reader.ts";
import { segmentFile, segmentNumber } from "./layout.ts";
import { decodeOperations, type Operation } from "./operations.ts";

/**
 * Applies every intact frame of a damaged journal, in order.
 *
 * @returns what was passed over, in words
 */
export async function salvageJournal(
  fs: FileSystem,
  folder: string,
  entries: readonly string[],
  onOperation: (operation: Operation) => void,
): Promise<string[]> {
  const lost: string[] = [];
  const segments = entries.map(segmentNumber).filter((segment) => segment !== null);
  let expected: number | null = null;
  for (const segment of segments.sort((a, b) => a - b)) {
    const path = `${folder}/${segmentFile(segment)}`;
    const file = await fs.open(path, "read");
    try {
      const reader = new ByteReader(file, await file.size());
      let position = 0;
      while (position < reader.end) {
        const found = await frameAt(reader, position);
        if (found === null) {
          const next = (await findFrame(reader, position + 1)) ?? reader.end;
          lost.push(`${path}: bytes ${position} to ${next} are damaged`);
          position = next;
          continue;
        }
        const { frame } = found.header;
        if (expected !== null && frame !== expected) {
          lost.push(`${path}: frames ${expected} to ${frame - 1} are missing`);
        }
        expected = frame + 1;
        decodeOperations(found.body, (text) => text, onOperation);
        position = found.end;
      }
    } finally {
      await file.close();
    }
  }
  return lost;
}

import { genesisHash, type Leaf, leafHash } from "../../audit/leaf.ts";
import type { AuditPart, AuditRow } from "../backend.ts";
import { type ErasedPart, partOf } from "./audit-parts.ts";
import type { SealedEntry } from "./audit-trail.ts";
import { ByteReader, eachBlock, eachLine } from "./byte-reader.ts";
import { isMissing } from "./failures.ts";
import type { FileSystem } from "./file-system.ts";
import { names } from "./layout.ts";
import { parseObject } from "./line.ts";

/** A trail read back as far as its chain holds. */
export interface SalvagedTrail {
  readonly rows: readonly AuditRow[];
  /** What was passed over, in words. */
  readonly lost: readonly string[];
}

/** What a journal says of a trail. */
export interface JournaledTrail {
  readonly entries: Map<number, SealedEntry>;
  readonly erased: ErasedPart[];
}

/**
 * Reads a trail's entries from its file, and those that only the journal has. An entry is taken when the next one's `prev`, the
 * snapshot's head or a journal frame proves it; behind the first that isn't, nothing can be proven.
 */
export async function salvageTrail(
  fs: FileSystem,
  folder: string,
  head: string | null,
  { entries: journal, erased }: JournaledTrail,
): Promise<SalvagedTrail> {
  const lost: string[] = [];
  const lines = await readLines(fs, `${folder}/${names.auditLog}`, lost);
  const parts = await readParts(fs, `${folder}/${names.auditParts}`, erased, lost);
  const gone = new Set(erased.map(({ seq, name }) => `${seq} ${name}`));
  const rows: AuditRow[] = [];
  let prev = genesisHash;
  const size = [...journal.keys()].reduce((most, seq) => Math.max(most, seq + 1), lines.length);
  for (let seq = 0; seq < size; seq++) {
    const entry = journal.get(seq);
    const leaf = entry === undefined ? lines[seq] : Buffer.from(entry.leaf);
    const hash = leaf === undefined ? "" : leafHash(leaf);
    const content = leaf === undefined ? null : parseLeaf(leaf);
    const next = journal.get(seq + 1)?.leaf ?? lines[seq + 1]?.toString("utf8") ?? "";
    const isProven = entry !== undefined || hash === head || next.includes(`"prev":"${hash}"`);
    if (leaf === undefined || content?.seq !== seq || content.prev !== prev || !isProven) {
      lost.push(
        `${folder}/${names.auditLog}: entry ${seq} is damaged or missing; of ${size} entries those from ${seq} on can't be proven`,
      );
      break;
    }
    const kept = (entry?.parts ?? parts.get(seq) ?? []).filter(
      ({ name }) => !gone.has(`${seq} ${name}`),
    );
    rows.push({ seq, leaf, hash, parts: kept, projection: null });
    prev = hash;
  }
  return { rows, lost };
}

async function readLines(fs: FileSystem, path: string, lost: string[]): Promise<Buffer[]> {
  const lines: Buffer[] = [];
  await eachLineOf(fs, path, lost, (line) => lines.push(Buffer.from(line)));
  return lines;
}

async function readParts(
  fs: FileSystem,
  path: string,
  erased: readonly ErasedPart[],
  lost: string[],
): Promise<Map<number, AuditPart[]>> {
  const parts = new Map<number, AuditPart[]>();
  await eachLineOf(fs, path, lost, (line, position) => {
    const text = line.toString("utf8");
    if (text.trim() === "") return;
    try {
      const members = parseObject(text);
      const seq = Number(members["seq"]);
      parts.set(seq, [...(parts.get(seq) ?? []), partOf(members)]);
    } catch {
      // A crash may have left half of a line that was being overwritten.
      if (erased.some(({ at }) => at === position)) return;
      lost.push(`${path}: the part at byte ${position} is damaged`);
    }
  });
  return parts;
}

async function eachLineOf(
  fs: FileSystem,
  path: string,
  lost: string[],
  onLine: (line: Buffer, position: number) => void,
): Promise<void> {
  const file = await fs.open(path, "read").catch((error: unknown) => {
    if (isMissing(error)) return null;
    throw error;
  });
  if (file === null) return;
  try {
    const size = await file.size();
    const end = await eachBlock(new ByteReader(file, size), 0, (block, position) => {
      eachLine(block, (start, stop) => onLine(block.subarray(start, stop), position + start));
    });
    if (end < size) lost.push(`${path}: its last ${size - end} bytes are no whole line`);
  } finally {
    await file.close();
  }
}

function parseLeaf(leaf: Buffer): Leaf | null {
  try {
    return JSON.parse(leaf.toString("utf8")) as Leaf;
  } catch {
    return null;
  }
}

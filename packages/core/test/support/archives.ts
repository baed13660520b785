import { createHash } from "node:crypto";
import { genesisHash, leafHash } from "../../src/audit/leaf.ts";

/** A line of an archive, parsed. */
export type ArchiveLine = Record<string, unknown>;

/** An archive's lines, parsed: the first, those of the content, and the last. */
export function parsedLines(archive: string): ArchiveLine[] {
  return archive
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as ArchiveLine);
}

/** An archive with a last line that vouches for whatever the others are: what a forger would hand in. */
export function sealedArchive(lines: readonly string[], closing: ArchiveLine): string {
  const before = lines.map((line) => `${line}\n`).join("");
  const counts: Record<string, number> = {};
  let trail = { log: null as unknown, size: 0, head: genesisHash as unknown };
  for (const line of lines.slice(1)) {
    const { table, hash, leaf } = membersOf(line);
    if (typeof table !== "string") continue;
    counts[table] = (counts[table] ?? 0) + 1;
    if (table !== "audit_log") continue;
    const log = typeof leaf === "string" ? membersOf(leaf)["log"] : null;
    trail = { log: trail.log ?? log ?? null, size: trail.size + 1, head: hash };
  }
  const sha256 = createHash("sha256").update(before).digest("hex");
  return `${before}${JSON.stringify({ ...closing, counts, trail, sha256 })}\n`;
}

/** Entries that follow each other again, whatever was done to them. */
export function relinked(lines: readonly string[]): string[] {
  let [seq, prev] = [0, genesisHash];
  return lines.map((line) => {
    const members = membersOf(line);
    if (members["table"] !== "audit_log" || typeof members["leaf"] !== "string") return line;
    const leaf = JSON.stringify({ ...membersOf(members["leaf"]), prev, seq });
    const hash = leafHash(leaf);
    const entry = JSON.stringify({ ...members, seq, hash, leaf });
    [seq, prev] = [seq + 1, hash];
    return entry;
  });
}

function membersOf(text: string): ArchiveLine {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as ArchiveLine) : {};
  } catch {
    return {};
  }
}

import { once } from "node:events";
import { exitCodes } from "./exit-codes.ts";

/*
 * Raw C1 controls and bidirectional overrides in stored text could drive or deceive the terminal that shows it. JSON
 * can escape them without changing the value.
 */
const unsafeInTerminals = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** JSON text that is safe to show in a terminal and still equal to `value`. */
export function jsonText(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, undefined, indent) ?? "null";
  return text.replace(
    unsafeInTerminals,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Stored text as part of a line of a table: what a terminal might act on is escaped. */
export function shown(text: string): string {
  return jsonText(text).slice(1, -1);
}

/** Text on standard output; waits while the reader is slower than we are. */
export async function write(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, "drain");
}

/** A line on standard output. */
export async function print(line: string): Promise<void> {
  await write(`${line}\n`);
}

/** A line on standard error: what a person should know and a program should not have to parse. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Lines with their columns aligned; the last one takes what it needs. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  return rows.map((row) =>
    row
      .map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
}

/**
 * Ends quietly when the reader of our output goes away, as `codespar memory list … | head` does, and with a line that says why when it can't be
 * written, as to a full disk.
 */
export function endWithReader(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(exitCodes.brokenPipe);
    // Whoever wrote may wait for it for ever, and can't say so.
    note(`codespar: Standard output can't be written (${error.message}). Check free space.`);
    process.exit(exitCodes.failure);
  });
  // Nobody is left to tell.
  process.stderr.on("error", () => undefined);
}

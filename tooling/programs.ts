import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * Finds a program of Debian's that tests use where it is installed.
 *
 * @param names - what it may be called
 * @param folders - where it may be besides the PATH
 */
export function findProgram(
  names: readonly string[],
  folders: readonly string[] = [],
): string | undefined {
  return [...(process.env["PATH"] ?? "").split(delimiter), ...folders]
    .flatMap((folder) => names.map((name) => join(folder, name)))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

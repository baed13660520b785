import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/**
 * Path of the command line for tests that run it, or the server, as a process of its own. Such processes run the
 * built packages, as users do; this builds what is out of date first (call it in `beforeAll`).
 */
export async function builtCli(): Promise<string> {
  const setUp = fileURLToPath(new URL("../scripts/setup.mjs", import.meta.url));
  await promisify(execFile)(process.execPath, [setUp, "packages/cli", "--allow-type-errors"]);
  return fileURLToPath(new URL("../packages/cli/bin/codespar.js", import.meta.url));
}

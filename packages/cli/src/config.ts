import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { config } from "dotenv";
import { checkUrl } from "./values.ts";

/**
 * Makes the environment what the user means: works in the folder the command was typed in, and reads the `.env` of that
 * folder's repository. Variables that are set already win.
 */
export function loadEnvironment(): void {
  const packageJson = process.env["npm_package_json"];
  process.chdir(typedFolder(process.cwd(), packageJson, process.env["INIT_CWD"]));
  const file = findEnvFile(process.cwd()) ?? (packageJson && findEnvFile(dirname(packageJson)));
  if (file) config({ path: file, quiet: true });
}

/**
 * The server to work on instead of a storage of one's own: that of `--server`, else that of `CODESPAR_SERVER`. Its key comes from the environment
 * only, since others on the machine see what is typed.
 *
 * @returns `null` when none is named
 * @throws CommandFailure for what is no address
 */
export function remoteServer(
  named: string | undefined,
): { readonly url: string; readonly apiKey: string | undefined } | null {
  const { CODESPAR_SERVER, CODESPAR_API_KEY } = process.env;
  const url = named ?? CODESPAR_SERVER;
  if (url === undefined) return null;
  const what = named === undefined ? "CODESPAR_SERVER" : "--server";
  return { url: checkUrl(what, url), apiKey: CODESPAR_API_KEY };
}

/**
 * npm runs scripts in the package's folder and leaves the folder the user typed in to `INIT_CWD`. A process further down that
 * went elsewhere inherits the variable, but has chosen its folder itself.
 */
export function typedFolder(
  cwd: string,
  packageJson: string | undefined,
  initCwd: string | undefined,
): string {
  const movedByNpm = packageJson !== undefined && dirname(packageJson) === cwd;
  return movedByNpm && initCwd !== undefined && existsSync(initCwd) ? initCwd : cwd;
}

/** The nearest `.env` from `folder` up to the root of its repository; outside of one, only the folder's own. */
export function findEnvFile(folder: string): string | undefined {
  const ancestors = [folder];
  for (let at = folder; dirname(at) !== at; at = dirname(at)) ancestors.push(dirname(at));
  const root = ancestors.findIndex((at) => existsSync(join(at, ".git")));
  return ancestors
    .slice(0, Math.max(root, 0) + 1)
    .map((at) => join(at, ".env"))
    .find((file) => existsSync(file));
}

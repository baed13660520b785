import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** A copy of the checkout at `root`: what git knows and what it would add. @returns its folder */
export function copyCheckout(root) {
  const copy = mkdtempSync(join(tmpdir(), "codespar-sabotage-"));
  const listed = spawnSync(
    "git",
    ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    { cwd: root, encoding: "utf8" },
  );
  if (listed.status !== 0) throw new Error(`git ls-files failed: ${listed.stderr}`);
  for (const path of listed.stdout.split("\0").filter(Boolean)) {
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    cpSync(join(root, path), join(copy, path), { force: true });
  }
  const packages = readdirSync(join(root, "packages")).map((name) => join("packages", name));
  for (const folder of ["", "bench", "tooling", ...packages])
    linkModules(join(root, folder, "node_modules"), join(copy, folder, "node_modules"));
  return copy;
}

/** Dependencies are linked, but for the workspaces, which must be the copy's own. */
function linkModules(from, to) {
  const names = readFolder(from);
  if (names.length > 0) mkdirSync(to, { recursive: true });
  for (const name of names) {
    if (name === ".vite" || name === ".cache" || name === ".vitest") continue;
    const isWorkspaces = name === "@codespar" || name === "codespar";
    // npm's own links to the workspaces are relative: copied as they are, they lead into the copy.
    if (isWorkspaces)
      cpSync(join(from, name), join(to, name), { recursive: true, verbatimSymlinks: true });
    else symlinkSync(join(from, name), join(to, name));
  }
}

function readFolder(folder) {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (error.code === "ENOENT") return [];
    throw error;
  }
}

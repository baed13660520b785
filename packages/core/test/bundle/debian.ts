import { execFile, spawnSync } from "node:child_process";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { removeScratch, scratchFolder } from "../../../../tooling/secrets.ts";

/** All that a stranger may use: coreutils, diffutils, grep and sed, which every Debian has, and two packages. */
const tools =
  "sh base64 basenc cat cmp comm cut diff grep head jq ls mktemp mv od openssl sed seq sha256sum sort tail tr wc".split(
    " ",
  );

/** The tools that aren't there. */
export const missingTools = tools.filter(
  (tool) => spawnSync("sh", ["-c", `command -v ${tool}`]).status !== 0,
);

/** Why the tests that need them are skipped; empty when they aren't. */
export const toolsMissing =
  missingTools.length === 0 ? "" : ` (not installed: ${missingTools.join(", ")})`;

/**
 * A shell that finds nothing but {@link tools}. To be called in a suite.
 *
 * @returns runs commands in a folder, and gives all that they printed
 */
export function debianShell(): (folder: string, commands: string) => Promise<string> {
  let bin: string;
  beforeAll(async () => {
    bin = await scratchFolder("tools");
    for (const tool of tools) {
      const found = spawnSync("sh", ["-c", `command -v ${tool}`], { encoding: "utf8" });
      await symlink(found.stdout.trim(), join(bin, tool));
    }
  });
  afterAll(() => removeScratch(bin));
  return (cwd, commands) =>
    new Promise((resolve) => {
      const env = { PATH: bin, TMPDIR: cwd };
      execFile(join(bin, "sh"), ["-c", `{ ${commands}\n} 2>&1`], { cwd, env }, (_error, stdout) =>
        resolve(stdout),
      );
    });
}

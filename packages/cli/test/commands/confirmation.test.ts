import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { createStorage } from "@codespar/core";
import { builtCli } from "@codespar/tooling/built-cli";
import { describe, expect, it } from "vitest";
import { type Cli, cliInNewFolder } from "../support/run-cli.ts";

// util-linux's `script` gives a command a terminal.
const hasScript = spawnSync("script", ["--version"]).status === 0;
const reason = hasScript ? "" : " (not installed: script, of util-linux)";

/** Types at a terminal once the command asks there. */
async function typed(cli: Cli, command: string, keys: string) {
  const quoted = `'${process.execPath}' '${await builtCli()}' ${command}`;
  const child = spawn("script", ["--quiet", "--return", "--command", quoted, "/dev/null"], {
    cwd: cli.folder,
    env: { PATH: process.env["PATH"], HOME: cli.folder, TERM: "dumb" },
  });
  let shown = "";
  child.stdout.on("data", (data: Buffer) => {
    if (!shown.includes("(yes/no)") && `${shown}${data}`.includes("(yes/no)"))
      child.stdin.write(keys);
    shown += String(data);
  });
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { code, shown };
}

describe.skipIf(!hasScript)(`what can't be undone, at a terminal${reason}`, () => {
  it("is done only when the answer is yes", async () => {
    await using cli = await cliInNewFolder();
    const directory = join(cli.folder, ".codespar");
    {
      await using storage = createStorage("default", { directory });
      await storage.audit.append({ action: "deploy.started", details: { by: "Ada" } });
    }
    const redact = "audit redact 0 --reason asked";
    const refused = await typed(cli, redact, "no\n");
    expect(refused.shown).toContain("Erase the details of entry 0? This can't be undone.");
    expect(refused).toMatchObject({ code: 5, shown: expect.stringContaining("Nothing was done.") });
    const interrupted = await typed(cli, redact, "\u0003");
    expect(interrupted).toMatchObject({ code: 130 });
    {
      await using storage = createStorage("default", { directory });
      expect((await storage.audit.get(0))?.details).toEqual({ by: "Ada" });
    }
    const done = await typed(cli, redact, "yes\n");
    expect(done).toMatchObject({ code: 0, shown: expect.stringContaining("entry 1 says so") });
    await using storage = createStorage("default", { directory });
    expect((await storage.audit.get(0))?.details).toBeNull();
  });
});

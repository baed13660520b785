import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createStorage } from "@codespar/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Cli, cliInNewFolder, runHere } from "../support/run-cli.ts";

let cli: Cli;
let env: Record<string, string | undefined>;

beforeEach(async () => {
  cli = await cliInNewFolder();
  const directory = join(cli.folder, ".codespar");
  env = { DATABASE_URL: undefined, CODESPAR_STORAGE_DIR: directory };
  await using storage = createStorage("acme", { directory });
  await storage.memory.set("coder", "k", 1);
  for (let i = 0; i < 5; i += 1) await storage.audit.append({ action: "deploy.started" });
});

afterEach(() => cli[Symbol.asyncDispose]());

describe("salvage", () => {
  it("copies files that are intact as a whole", async () => {
    const to = join(cli.folder, "salvaged");
    expect(await runHere(["salvage", "--to", to], env)).toEqual({
      code: 0,
      stderr: "",
      stdout:
        "ORGANISATION  RECORDS  UNPROVEN  AUDIT ENTRIES  LOST\n" +
        "acme          1        0         5              0\n",
    });
    const moved = { ...env, CODESPAR_STORAGE_DIR: to };
    expect((await runHere(["memory", "get", "coder", "k", "--org", "acme"], moved)).stdout).toBe(
      "1\n",
    );
    expect((await runHere(["salvage", "--to", to], env)).code).toBe(2);
  });

  it("says what it couldn't copy, with a status of its own", async () => {
    const log = join(cli.folder, ".codespar", "orgs", "acme", "audit_log.jsonl");
    const text = await readFile(log, "utf8");
    await writeFile(log, text.replace("deploy.started", "deploy.Started"));
    const to = join(cli.folder, "salvaged");
    const { code, stdout, stderr } = await runHere(["salvage", "--to", to, "--json"], env);
    expect(code).toBe(7);
    expect(stderr).toMatch(/^codespar: [^\n]+\n$/);
    const { organisations } = JSON.parse(stdout) as { organisations: { lost: string[] }[] };
    expect(organisations).toMatchObject([
      { orgId: "acme", records: 1, lost: [expect.any(String)] },
    ]);
  });

  it("is refused where it means nothing", async () => {
    const url = { DATABASE_URL: "postgres://127.0.0.1:1/db" };
    expect(await runHere(["salvage", "--to", "x"], url)).toMatchObject({ code: 2, stdout: "" });
    const nothing = { ...env, CODESPAR_STORAGE_DIR: join(cli.folder, "typo") };
    const { code, stdout } = await runHere(["salvage", "--to", join(cli.folder, "x")], nothing);
    expect({ code, stdout }).not.toMatchObject({ code: 0 });
  });
});

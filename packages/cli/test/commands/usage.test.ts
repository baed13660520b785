import { spawn } from "node:child_process";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createProgram } from "../../src/program.ts";
import { type Cli, cliInNewFolder, outcomeOf, runHere } from "../support/run-cli.ts";

const oneLine = /^codespar: [^\n]+\n$/;

function commandsBelow(command: Command, path: readonly string[] = []): [string, Command][] {
  return command.commands.flatMap((child): [string, Command][] => {
    const name = [...path, child.name()];
    return child.commands.length > 0 ? commandsBelow(child, name) : [[name.join(" "), child]];
  });
}

let cli: Cli;

beforeAll(async () => {
  cli = await cliInNewFolder();
});

afterAll(() => cli[Symbol.asyncDispose]());

describe("help", () => {
  it("names every command", async () => {
    const { code, stdout, stderr } = await runHere(["--help"], {});
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const name of [
      "start",
      "health",
      "migrate",
      "memory",
      "audit",
      "keys",
      "move",
      "salvage",
    ]) {
      expect(stdout).toMatch(new RegExp(`^ {2}${name}\\b`, "m"));
    }
  });

  it("of every command has examples and the options that all commands share", () => {
    const leaves = commandsBelow(createProgram());
    expect(leaves.map(([name]) => name)).toEqual([
      "start",
      "health",
      "memory get",
      "memory set",
      "memory list",
      "memory delete",
      "audit list",
      "audit show",
      "audit export",
      "audit checkpoint",
      "audit prove",
      "audit redact",
      "audit keys list",
      "audit keys rotate",
      "audit verify",
      "keys create",
      "keys list",
      "keys revoke",
      "keys rotate",
      "secrets status",
      "secrets rotate",
      "orgs list",
      "orgs show",
      "orgs export",
      "orgs import",
      "orgs erase",
      "migrate",
      "move",
      "salvage",
    ]);
    for (const [name, command] of leaves) {
      let help = "";
      command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
      expect(help).toContain(`Examples:\n  $ codespar ${name}`);
      expect(help).toContain("--org <id>");
      expect(help).toContain("--json");
    }
  });

  it("shows on standard error, with a usage status, where a command is missing", async () => {
    for (const args of [[], ["memory"], ["audit"], ["keys"]]) {
      const { code, stdout, stderr } = await runHere(args, {});
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toMatch(/^Usage: codespar/);
    }
  });

  it("has the version", async () => {
    expect(await cli.run(["--version"])).toMatchObject({ code: 0, stdout: "0.1.0\n", stderr: "" });
  });
});

describe("a wrong command line", () => {
  it.each([
    [["memoy"], /Did you mean memory\?/],
    [["memory", "gte", "a", "k"], /Did you mean get\?/],
    [["memory", "get", "a"], /'key'/],
    [["memory", "get", "a", "k", "more"], /too many arguments/],
    [["memory", "get", "a", "k", "--sting"], /Did you mean --string\?/],
    [["memory", "set", "a", "k", "1", "--ttl", "soon"], /for example 10m/],
    [["memory", "set", "a", "k", "text"], /add --string/],
    [["memory", "list", "a", "--limit", "many"], /whole number/],
    [["memory", "list", "a", "--limit"], /argument missing/],
    [["audit", "list", "--outcome", "maybe"], /success, failure, denied/],
    [["audit", "list", "--risk", "none"], /low, medium, high, critical/],
    [["audit", "show", "first"], /whole number/],
    [["audit", "export"], /--output/],
    [["audit", "export", "--format", "xml"], /bundle, jsonl, csv/],
    [["audit", "export", "--output", "-", "--json"], /--output/],
    [["audit", "prove"], /--verify/],
    [["audit", "prove", "1", "--trusted-key", "k"], /--verify FILE/],
    [["audit", "prove", "--verify", "nowhere"], /--trusted-key/],
    [["audit", "prove", "--verify", "x", "--trusted-key", "nowhere"], /can be read/],
    [["audit", "redact", "1"], /--reason/],
    [["audit", "redact", "1", "--reason", "asked"], /Add --yes/],
    [["audit", "verify", "--checkpoint", "nowhere"], /can be read/],
    [["audit", "verify", "--trusted-key", "package.json"], /no key/],
    [["audit", "verify", "bundle", "--org", "acme"], /--org is not for a bundle/],
    [["keys", "create", "ci", "--scopes", "read,root"], /read, write, audit:read/],
    [["keys", "create", "ci", "--scopes", ""], /read, write, audit:read/],
    [["keys", "create", "ci", "--expires-in", "never"], /for example 10m/],
    [["keys", "rotate"], /'id'/],
    [["memory", "get", "a", "k", "--server", "localhost"], /--server must be an address/],
    [["start", "--server", "http://localhost:3000"], /--server is not for start/],
    [["health", "--url", "localhost:3000"], /http:\/\/localhost:3000/],
    [["migrate"], /DATABASE_URL is not set/],
    [["migrate", "down"], /up, status, plan/],
    [["move", "--from", "file:a"], /--to/],
    [["move", "--from", "file:a", "--to", ""], /is the variable set/],
    [["move", "--from", ".codespar", "--to", "file:b"], /file:FOLDER/],
    [["move", "--from", "file:a", "--to", "file:b", "--org", "acme"], /all organisations/],
    [["start", "--port", "http"], /whole number/],
    [["start", "--port", "65536"], /at most 65535/],
  ])("%j is one line and status 2", async (args, message) => {
    const { code, stdout, stderr } = await runHere(args, { DATABASE_URL: undefined });
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(oneLine);
    expect(stderr).toMatch(message);
  });

  it.each([
    [{ PORT: "http" }, /^codespar: PORT must be a port number/],
    [{ PORT: "70000" }, /^codespar: PORT must be at most 65535/],
    [{ HOST: "" }, /^codespar: HOST must be a name/],
    [{ LOG_LEVEL: "loud" }, /^codespar: LOG_LEVEL must be one of silent/],
    [{ CODESPAR_AUTO_MIGRATE: "yes" }, /^codespar: CODESPAR_AUTO_MIGRATE must be/],
    [{ CODESPAR_STORAGE_DIR: "" }, /CODESPAR_STORAGE_DIR/],
  ])("so is the environment %j of start", async (env, message) => {
    const files = { CODESPAR_STORAGE_DIR: join(cli.folder, "files"), DATABASE_URL: undefined };
    const { code, stderr } = await runHere(["start"], { ...files, LOG_LEVEL: "silent", ...env });
    expect(code).toBe(2);
    expect(stderr.trim().split("\n").at(-1)).toMatch(message);
  });

  it("so is an address that isn't this machine's", async () => {
    const { code, stderr } = await cli.run(["start"], { env: { HOST: "192.0.2.1", PORT: "0" } });
    expect(code).toBe(2);
    expect(stderr).toContain("HOST=192.0.2.1 is no address of this machine");
  });

  it("writes that line to standard error, and nothing to standard output", async () => {
    const { code, stdout, stderr } = await cli.run(["memory", "get", "a", "k", "--sting"]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(oneLine);
  });

  it.each([
    ["", /is set but empty/],
    ["mysql://user:hunter2@host/db", /not a PostgreSQL URL/],
    ["postgres://user:hunter2@ho st/db", /not a valid URL|can't be read/],
  ])("so is DATABASE_URL=%j, without its password", async (url, message) => {
    for (const args of [["memory", "get", "a", "k"], ["health"], ["migrate"], ["start"]]) {
      const { code, stdout, stderr } = await runHere(args, { DATABASE_URL: url });
      expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: "" });
      expect(stderr).toMatch(oneLine);
      expect(stderr).toMatch(message);
      expect(stderr).not.toContain("hunter2");
    }
  });
});

describe("the environment", () => {
  it("comes from .env too, and variables that are set win", async () => {
    await writeFile(join(cli.folder, ".env"), "CODESPAR_STORAGE_DIR=from-file\n");
    await mkdir(join(cli.folder, "sub"));
    expect((await cli.run(["memory", "set", "a", "k", "1"])).code).toBe(0);
    const env = { CODESPAR_STORAGE_DIR: "from-file" };
    expect((await cli.run(["memory", "get", "a", "k"], { env })).stdout).toBe("1\n");
    const other = { CODESPAR_STORAGE_DIR: "elsewhere" };
    expect((await cli.run(["memory", "get", "a", "k"], { env: other })).code).toBe(4);
  });

  it("says nothing about the .env that it read", async () => {
    await writeFile(join(cli.folder, ".env"), "CODESPAR_STORAGE_DIR=from-file\n");
    expect(await cli.run(["--version"])).toMatchObject({ stderr: "" });
  });
});

describe("the shim", () => {
  it("says how to build what isn't built", async () => {
    const bin = join(cli.folder, "packages", "cli", "bin");
    await mkdir(bin, { recursive: true });
    await copyFile(new URL("../../bin/codespar.js", import.meta.url), join(bin, "codespar.mjs"));
    const child = spawn(process.execPath, [join(bin, "codespar.mjs"), "health"]);
    const { code, stdout, stderr } = await outcomeOf(child);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/^codespar: [^\n]*npm start[^\n]*\n$/);
  });
});

import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createStorage } from "@codespar/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cliInNewFolder, runHere } from "../support/run-cli.ts";
import { eachWay, type Place } from "../support/storages.ts";

describe.each(eachWay)("audit on %s", (_name, open) => {
  let place: Place;

  beforeAll(async () => {
    place = await open();
    for (const [agent, key] of [
      ["coder", "a"],
      ["coder", "b"],
      ["writer", "c"],
    ] as const) {
      const { code } = await place.run(["memory", "set", agent, key, "1", "--record"]);
      expect(code).toBe(0);
    }
  });

  afterAll(() => place[Symbol.asyncDispose]());

  async function seqs(...args: string[]): Promise<number[]> {
    const { code, stdout, stderr } = await place.run(["audit", "list", "--json", ...args]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return (JSON.parse(stdout) as { items: { seq: number }[] }).items.map(({ seq }) => seq);
  }

  it("lists newest first, or the other way round, by filter and page", async () => {
    expect(await seqs()).toEqual([2, 1, 0]);
    expect(await seqs("--oldest-first", "--limit", "2")).toEqual([0, 1]);
    expect(await seqs("--all", "--limit", "1")).toEqual([2, 1, 0]);
    expect(await seqs("--agent", "coder", "--action", "memory.*", "--outcome", "success")).toEqual([
      1, 0,
    ]);
    expect(await seqs("--actor-type", "user")).toEqual([]);
    expect(await seqs("--from", "2000-01-01T00:00:00Z", "--to", "2000-01-02T00:00:00Z")).toEqual(
      [],
    );
    const { stdout } = await place.run(["audit", "list", "--limit", "1"]);
    expect(stdout).toMatch(
      /^SEQ +SEALED +ACTOR +OUTCOME +ACTION +DETAILS +TARGET\n2 +\S+Z +system:\w+ +success +memory\.set +memory:c\n$/,
    );
    expect((await place.run(["audit", "list", "--from", "yesterday"])).code).toBe(2);
  });

  it("verifies the trail of each organisation", async () => {
    const text = await place.run(["audit", "verify"]);
    expect(text).toMatchObject({ code: 0, stderr: "" });
    expect(text.stdout).toMatch(
      /^verdict: unanchored .*\nentries: 3\nhead: {4}[0-9a-f]{64}\nroot: {4}[0-9a-f]{64}\npassed: {2}content 3, /,
    );
    const empty = await place.run(["audit", "verify", "--org", "typo"]);
    expect(empty).toMatchObject({ code: 0, stderr: "" });
    expect(empty.stdout).toContain("organisation typo has no entries in this storage");
    expect(empty.stdout).not.toContain("intact");
    const { code, stdout } = await place.run(["audit", "verify", "--json", "--org", "empty"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      verdict: "unanchored",
      size: 0,
      firstFailure: null,
    });
  });
});

describe("a trail that was tampered with", () => {
  it("is shown with its place, and has a status of its own", async () => {
    await using cli = await cliInNewFolder();
    const directory = join(cli.folder, ".codespar");
    {
      await using storage = createStorage("default", { directory });
      for (let i = 0; i < 5; i += 1) await storage.audit.append({ action: "deploy.started" });
    }
    const log = join(directory, "orgs", "default", "audit_log.jsonl");
    expect(await readdir(join(directory, "orgs", "default"))).toContain("audit_log.jsonl");
    const lines = (await readFile(log, "utf8")).split("\n");
    lines[2] = (lines[2] ?? "").replace('"success"', '"failure"');
    await writeFile(log, lines.join("\n"));
    const env = { DATABASE_URL: undefined, CODESPAR_STORAGE_DIR: directory };
    const { code, stdout, stderr } = await runHere(["audit", "verify", "--json"], env);
    expect(code).toBe(7);
    expect(stderr).toMatch(/^codespar: [^\n]+\n$/);
    if (stdout !== "") expect(JSON.parse(stdout)).toMatchObject({ verdict: "tampered" });
  });

  it("has details that are gone, which no entry says", async () => {
    await using cli = await cliInNewFolder();
    const directory = join(cli.folder, ".codespar");
    {
      await using storage = createStorage("default", { directory });
      await storage.audit.append({ action: "user.created", details: { mail: "ada@example.org" } });
    }
    const parts = join(directory, "orgs", "default", "audit_parts.jsonl");
    await writeFile(parts, (await readFile(parts, "utf8")).replace(/[^\n]/g, " "));
    const env = { DATABASE_URL: undefined, CODESPAR_STORAGE_DIR: directory };
    expect((await runHere(["audit", "show", "0"], env)).stdout).toMatch(
      /\ndetails: redacted, and no entry says so\. Run: codespar audit verify\n$/,
    );
    expect((await runHere(["audit", "verify"], env)).code).toBe(7);
  });
});

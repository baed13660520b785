import { spawnSync } from "node:child_process";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { testKey } from "@codespar/tooling/secrets";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { outcomeOf, runHere } from "../support/run-cli.ts";
import { eachWay, type Place, ways } from "../support/storages.ts";

const set = (org: string, key: string) =>
  ["memory", "set", "coder", key, '"value"', "--record", "--org", org] as const;

describe.each(eachWay)("orgs on %s", (name, open) => {
  let place: Place;
  beforeAll(async () => {
    place = await open();
  });
  afterAll(() => place[Symbol.asyncDispose]());
  const path = (file: string) => join(place.cli.folder, file);

  it("are listed, shown, exported, erased and imported again", async () => {
    for (const org of ["acme", "beta"]) {
      await place.run(set(org, "one"));
      await place.run(set(org, "two"));
    }
    expect((await place.run(["orgs", "list"])).stdout).toBe("ORGANISATION\nacme\nbeta\n");
    const first = await place.run(["orgs", "list", "--limit", "1", "--json"]);
    expect(JSON.parse(first.stdout)).toMatchObject({ items: [{ orgId: "acme" }] });
    expect((await place.run(["orgs", "show", "acme"])).stdout).toBe(
      "TABLE         ROWS\nagent_memory  2\naudit_log     2\nin all        4\n",
    );
    expect(await place.run(["orgs", "show", "nobody"])).toMatchObject({ code: 4, stdout: "" });

    const exported = await place.run(["orgs", "export", "acme", "--output", path("acme.jsonl")]);
    expect(exported).toEqual({
      code: 0,
      stderr: "",
      stdout: `exported to ${path("acme.jsonl")}\n`,
    });
    const archive = await readFile(path("acme.jsonl"), "utf8");
    expect(archive.trimEnd().split("\n").at(-1)).toMatch(/^{"end":true,/);
    expect((await stat(path("acme.jsonl"))).mode & 0o777).toBe(0o600);
    // A file that is there is never overwritten, and none is left behind for nothing.
    expect((await place.run(["orgs", "export", "acme", "--output", path("acme.jsonl")])).code).toBe(
      5,
    );
    const nothing = ["orgs", "export", "nobody", "--output", path("nobody.jsonl")];
    expect(await place.run(nothing)).toMatchObject({ code: 4, stdout: "" });
    await expect(stat(path("nobody.jsonl"))).rejects.toThrow("ENOENT");
    const piped = await place.runApart(["orgs", "export", "acme"]);
    expect(piped.stdout.split("\n")).toHaveLength(archive.split("\n").length + 1);

    for (const args of [[], ["--confirm", "beta"], ["--confirm", ""]])
      expect(await place.run(["orgs", "erase", "acme", ...args])).toMatchObject({
        code: 2,
        stdout: "",
      });
    const erased = await place.run(["orgs", "erase", "acme", "--confirm", "acme"]);
    expect(erased.code).toBe(0);
    expect(erased.stdout).toMatch(/^TABLE +ERASED\n/);
    expect(erased.stdout).toMatch(/^agent_memory +2$/m);
    expect(erased.stdout).toMatch(/^audit_log +4$/m);
    expect(erased.stdout).toMatch(/\nerased \d+ rows of acme\n$/);
    expect((await place.run(["orgs", "list"])).stdout).toBe("ORGANISATION\nbeta\n");
    expect((await place.run(["orgs", "erase", "acme", "--confirm", "acme"])).code).toBe(4);
    const own = await place.run(["audit", "list", "--org", "codespar/deployment", "--json"]);
    expect(JSON.parse(own.stdout)).toMatchObject({
      items: expect.arrayContaining([
        expect.objectContaining({ action: "organisation.erased", outcome: "success" }),
      ]) as unknown,
    });

    const imported = await place.run(["orgs", "import", "acme", path("acme.jsonl")]);
    if (name.includes("server")) {
      expect(imported).toMatchObject({ code: 2, stdout: "" });
      return;
    }
    expect(imported).toMatchObject({ code: 0, stderr: "", stdout: "imported 5 rows of acme\n" });
    expect((await place.run(["memory", "get", "coder", "two", "--org", "acme"])).stdout).toBe(
      '"value"\n',
    );
    await writeFile(path("cut.jsonl"), archive.slice(0, -100));
    const cut = await place.run(["orgs", "import", "gamma", path("cut.jsonl")]);
    expect(cut).toMatchObject({ code: 2, stdout: "" });
    expect(await place.run(["orgs", "import", "acme", path("missing")])).toMatchObject({
      code: 4,
      stderr: expect.stringContaining(`There is no file ${path("missing")}.`),
    });
    expect(await place.run(["orgs", "import", "acme", path(".")])).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/ is a folder\. An archive is one file/),
    });
  });

  it("refuse --org", async () => {
    const refused = await place.run(["orgs", "show", "acme", "--org", "beta"]);
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toContain("--org is not for orgs");
  });
});

it("orgs erase also removes an organisation whose files are damaged, and says so", async () => {
  await using place = await ways["files, directly"]();
  for (const org of ["acme", "beta"]) await place.run(set(org, "one"));
  const table = join(place.cli.folder, ".codespar", "orgs", "acme", "agent_memory.json");
  await writeFile(table, "damaged");
  expect((await place.run(["orgs", "show", "acme"])).code).toBe(7);
  expect((await place.run(["orgs", "list"])).stdout).toBe("ORGANISATION\nacme\nbeta\n");
  expect(await place.run(["orgs", "erase", "acme", "--confirm", "acme"])).toMatchObject({
    code: 0,
    stdout: "erased acme, whose files were damaged: its rows weren't counted\n",
  });
  expect((await place.run(["orgs", "list"])).stdout).toBe("ORGANISATION\nbeta\n");
  // It may be the first of the file, which builds the command line.
}, 120_000);

it.each(["files, directly", "postgres"] as const)(
  "orgs import on %s refuses secrets that wouldn't open, and is not in the way of the right key",
  async (way) => {
    await using source = await ways["files, directly"]();
    await source.run(set("acme", "one"));
    // The key that signed it is sealed, as every secret is.
    expect((await source.run(["audit", "checkpoint", "--org", "acme"])).code).toBe(0);
    const archive = join(source.cli.folder, "acme.jsonl");
    expect((await source.run(["orgs", "export", "acme", "--output", archive])).code).toBe(0);
    const keyFile = join(source.cli.folder, ".codespar", "keys", "encryption.key");

    await using place = await ways[way]();
    const importWith = (key: string | undefined) =>
      runHere(["orgs", "import", "acme", archive], {
        DATABASE_URL: undefined,
        CODESPAR_STORAGE_DIR: join(place.cli.folder, ".codespar"),
        ...place.env,
        CODESPAR_ENCRYPTION_KEY: key,
      });
    for (const key of [undefined, testKey()]) {
      const refused = await importWith(key);
      expect(refused).toMatchObject({ code: 2, stdout: "" });
      expect(refused.stderr).toContain("The archive's secrets are sealed with the key(s)");
      await expect(stat(join(place.cli.folder, ".codespar", "keys"))).rejects.toThrow("ENOENT");
      expect((await place.run(["orgs", "list"])).stdout).toBe("");
    }
    const imported = await importWith((await readFile(keyFile, "utf8")).trim());
    expect(imported).toMatchObject({ code: 0, stderr: "" });
    expect((await place.run(["orgs", "list"])).stdout).toBe("ORGANISATION\nacme\n");
  },
  120_000,
);

const hasScript = spawnSync("script", ["--version"]).status === 0;

describe.skipIf(!hasScript)("orgs erase on a terminal (needs util-linux' script)", () => {
  let place: Place;
  beforeEach(async () => {
    place = await ways["files, directly"]();
    await place.run(set("acme", "one"));
  });
  afterEach(() => place[Symbol.asyncDispose]());

  /** Runs it on a pseudo terminal, where this is typed. */
  async function typed(answer: string) {
    const child = place.cli.spawnOnTerminal(["orgs", "erase", "acme"]);
    child.stdin.end(`${answer}\n`);
    return outcomeOf(child);
  }

  it("asks for the id", async () => {
    const refused = await typed("yes");
    expect(refused.code).toBe(5);
    expect(refused.stdout).toContain("acme holds 2 rows.");
    expect(refused.stdout).toContain("Type its id to go on:");
    expect(refused.stdout).toContain("Nothing was done.");
    expect((await place.run(["orgs", "list"])).stdout).toContain("acme");
    const erased = await typed("acme");
    expect(erased.code).toBe(0);
    expect(erased.stdout).toContain("rows of acme");
    expect((await place.run(["orgs", "list"])).stdout).toBe("");
  });
});

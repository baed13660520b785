import { existsSync } from "node:fs";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type {
  AuditCheckpoint,
  AuditEntry,
  AuditKey,
  AuditProof,
  AuditVerification,
  Page,
} from "@codespar/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runHere } from "../support/run-cli.ts";
import { eachWay, type Place } from "../support/storages.ts";

const withoutStorage = { DATABASE_URL: undefined, CODESPAR_STORAGE_DIR: "/nowhere" };

describe.each(eachWay)("the trail on %s", (_name, open) => {
  let place: Place;

  beforeAll(async () => {
    place = await open();
    for (const key of ["a", "b", "c"])
      expect((await place.run(["memory", "set", "coder", key, "1", "--record"])).code).toBe(0);
    // It makes the key.
    expect((await place.run(["audit", "checkpoint"])).code).toBe(0);
  });

  afterAll(() => place[Symbol.asyncDispose]());

  const path = (name: string) => join(place.cli.folder, name);
  const text = (name: string) => readFile(path(name), "utf8");

  async function ok(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await place.run(["audit", ...args]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return stdout;
  }

  const json = async <Result>(...args: string[]) =>
    JSON.parse(await ok(...args, "--json")) as Result;

  async function keysFile(): Promise<string> {
    const keys = await json<AuditKey[]>("keys");
    await writeFile(path("keys.txt"), `# theirs\n\n${keys.map(({ vkey }) => vkey).join("\n")}\n`);
    return path("keys.txt");
  }

  it("shows an entry", async () => {
    const shown = await ok("show", "1");
    expect(shown).toMatch(
      /^entry: +1\nid: +\S+\nsealed: +\S+Z\nactor: +system:\w+\naction: +memory\.set\n/,
    );
    expect(await json<AuditEntry>("show", "1")).toMatchObject({ seq: 1, action: "memory.set" });
    const missing = await place.run(["audit", "show", "99999"]);
    expect(missing).toMatchObject({
      code: 4,
      stdout: "",
      stderr: expect.stringMatching(/has no entry 99999/),
    });
  });

  it("is signed, printed or written to a file that isn't there yet", async () => {
    const note = await ok("checkpoint");
    expect(note).toMatch(/^codespar\/log\/[0-9a-f]{32}\n\d+\n\S+=\n\n— /);
    expect(await json<AuditCheckpoint>("checkpoint")).toMatchObject({ note });
    expect(await ok("checkpoint", "--output", path("cp"))).toMatch(/^signed \d+ entries: /);
    expect(await text("cp")).toBe(note);
    expect((await stat(path("cp"))).mode & 0o777).toBe(0o600);
    const again = await place.run(["audit", "checkpoint", "--output", path("cp")]);
    expect(again).toMatchObject({
      code: 5,
      stdout: "",
      stderr: expect.stringMatching(/exists already/),
    });
  });

  it("proves an entry to whoever trusts the key, without a storage", async () => {
    const receipt = await ok("prove", "1");
    expect(receipt).toMatch(/^c2sp\.org\/tlog-proof@v1\nextra \S+\nindex 1\n/);
    expect(await json<AuditProof>("prove", "1")).toMatchObject({ seq: 1, receipt });
    await ok("prove", "1", "--output", path("1.tlog-proof"));
    expect(await text("1.tlog-proof")).toBe(receipt);
    const check = ["audit", "prove", "--verify", path("1.tlog-proof"), "--trusted-key"];
    const trusted = [...check, await keysFile()];
    const proven = await runHere(trusted, withoutStorage);
    expect(proven).toMatchObject({ code: 0, stderr: "" });
    expect(proven.stdout).toMatch(
      /^proven: entry 1 is one of the first \d+ of the trail codespar\/log\//,
    );
    expect(proven.stdout).toMatch(/\ntarget: +memory:b\n/);
    const result = await runHere([...trusted, "--json"], withoutStorage);
    expect(JSON.parse(result.stdout)).toMatchObject({ seq: 1, entry: { action: "memory.set" } });
    await writeFile(path("1.tlog-proof"), receipt.replace("index 1", "index 2"));
    expect(await runHere(trusted, withoutStorage)).toMatchObject({ code: 7, stdout: "" });
    const size = await place.run(["audit", "prove", "1", "--size", "77"]);
    expect(size).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/no checkpoint of 77 entries/),
    });
  });

  it("is exported as a bundle that verifies by itself, as a folder, a tar and on standard output", async () => {
    const keys = await keysFile();
    expect(await ok("export", "--output", path("b"))).toMatch(
      /^exported to \S+b, bound to the checkpoint over \d+ entries\n$/,
    );
    expect((await stat(path("b"))).mode & 0o777).toBe(0o700);
    expect((await readdir(path("b"))).sort()).toEqual([
      "README.md",
      "SHA256SUMS",
      "checkpoints",
      "entries",
      "keys",
      "manifest.json",
      "parts",
    ]);
    expect(await json("export", "--output", path("b.tar"))).toMatchObject({
      format: "bundle",
      output: path("b.tar"),
      checkpoint: { size: expect.any(Number), note: expect.stringContaining("codespar/log/") },
      warnings: [],
    });
    const piped = await place.runApart(["audit", "export", "--output", "-"]);
    expect(piped).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^exported, bound to the checkpoint over/),
    });
    await writeFile(path("piped.tar"), piped.stdout);
    for (const bundle of ["b", "b.tar", "piped.tar"]) {
      const verify = ["audit", "verify", path(bundle), "--trusted-key", keys, "--require-anchor"];
      const { code, stdout } = await runHere(verify, withoutStorage);
      expect(stdout).toMatch(/^verdict: +ok \(vouched for: (\d+) of \1 entries\)\n/);
      expect(code).toBe(0);
    }
    for (const taken of ["b", "b.tar"]) {
      const again = await place.run(["audit", "export", "--output", path(taken)]);
      expect(again).toMatchObject({
        code: 5,
        stdout: "",
        stderr: expect.stringMatching(/exists already/),
      });
    }
  });

  it("is exported as a table, with its checkpoint beside it", async () => {
    const { sealedAt } = await json<AuditEntry>("show", "2");
    const to = new Date(Date.parse(sealedAt) + 1).toISOString();
    const filter = ["--action", "memory.*", "--agent", "coder", "--to", to, "--format"];
    await ok("export", ...filter, "jsonl", "--output", path("t.jsonl"));
    const lines = (await text("t.jsonl")).trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as AuditEntry).seq)).toEqual([0, 1, 2]);
    expect(await text("t.jsonl.checkpoint")).toMatch(/^codespar\/log\//);
    const csv = await place.run(["audit", "export", ...filter, "csv"]);
    expect(csv).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^exported, bound to .* with the root \S+=\n$/),
    });
    expect(csv.stdout.trimEnd().split("\r\n")).toHaveLength(4);
    const refused = await place.run(["audit", "export", "--action", "x", "--output", path("new")]);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringMatching(/whole trail/) });
    expect(existsSync(path("new"))).toBe(false);
  });

  it("says that what it is exported to can't be written, before it says that it was exported", async () => {
    await writeFile(path("a-file"), "");
    const count = async () =>
      (await json<Page<AuditEntry>>("list", "--action", "audit.exported", "--all")).items.length;
    const before = await count();
    for (const [format, name] of [
      ["bundle", "b"],
      ["bundle", "b.tar"],
      ["csv", "t.csv"],
    ] as const) {
      const output = path(join("a-file", name));
      const args = ["audit", "export", "--format", format, "--output", output];
      expect(await place.run(args), name).toMatchObject({
        code: 1,
        stdout: "",
        stderr: expect.stringMatching(/^codespar: \S+ can't be written \(ENOTDIR: [^\n]+\)\.\n$/),
      });
    }
    expect(await count()).toBe(before);
  });

  it("is no longer comparable with what was kept after its export", async () => {
    await ok("export", "--output", path("older.tar"));
    await place.run(["memory", "set", "coder", "e", "1", "--record"]);
    await writeFile(path("newer"), await ok("checkpoint"));
    const older = await place.run([
      ...["audit", "verify", path("older.tar")],
      ...["--checkpoint", path("newer"), "--require-anchor"],
    ]);
    expect(older).toMatchObject({
      code: 9,
      stdout: expect.stringMatching(
        /^verdict: outdated\n.*\nnote: +The checkpoint that you kept is newer than this copy/s,
      ),
      stderr: expect.stringMatching(/^codespar: The checkpoint that you kept is newer [^\n]+\n$/),
    });
    await ok("verify", "--checkpoint", path("newer"));
  });

  it("isn't accused by a kept checkpoint that is damaged", async () => {
    const note = await ok("checkpoint");
    await ok("export", "--output", path("held.tar"));
    const [, size = ""] = note.split("\n");
    const damages = {
      size: note.replace(`\n${size}\n`, "\n99999\n"),
      root: note.replace(/(\n\d+\n).{8}/, "$1AAAAAAAA"),
      signature: note.replace(/.{6}==\n$|.{6}=\n$|.{6}\n$/, (end) => `AAAAA${end.slice(5)}`),
    };
    for (const [what, text] of Object.entries(damages)) {
      await writeFile(path("damaged"), text);
      for (const source of [[], [path("held.tar")]])
        expect(
          await place.run(["audit", "verify", ...source, "--checkpoint", path("damaged")]),
          what,
        ).toMatchObject({
          code: 2,
          stdout: "",
          stderr: expect.stringMatching(
            /^codespar: The checkpoint that you kept is damaged: [^\n]+ \[VALIDATION\]\n$/,
          ),
        });
    }
  });

  it("has details erased, which stays provable", async () => {
    // What an export says of itself are details too.
    await ok("export", "--format", "csv", "--output", path("erased.csv"));
    const { items } = await json<Page<AuditEntry>>("list", "--action", "audit.exported");
    const [entry] = items;
    const seq = String(entry?.seq);
    const said = await ok("redact", seq, "--reason", "asked", "--yes");
    expect(said).toMatch(
      new RegExp(`^the details of entry ${seq} are erased; entry \\d+ says so\n$`),
    );
    const [, by] = /entry (\d+) says so/.exec(said) ?? [];
    expect(await ok("show", seq)).toMatch(
      new RegExp(`\ndetails: redacted by entry ${by} \\(\\S+Z\\)\n$`),
    );
    expect(await ok("show", String(by))).toMatch(/\ndetails: \{\n {2}"reason": "asked"\n\}\n$/);
    expect(await json("show", seq)).toMatchObject({ details: null, redacted: true });
    expect(await ok("list", "--action", "audit.*", "--oldest-first")).toMatch(
      new RegExp(`\n${seq} .* audit.exported +redacted +audit:csv\n${by} .* audit.redacted +yes +`),
    );
    expect(await ok("verify")).toMatch(/\nerased: +1\n/);
    const none = await place.run(["audit", "redact", "0", "--reason", "asked", "--yes"]);
    expect(none).toMatchObject({ code: 4, stdout: "" });
  });

  it("changes its key, and every earlier signature still counts", async () => {
    const before = await json<AuditKey[]>("keys");
    const vkey = (await ok("keys", "rotate")).trim();
    const after = await json<AuditKey[]>("keys", "list");
    expect(after.map((key) => key.vkey)).toEqual([vkey, ...before.map((key) => key.vkey)]);
    expect(await ok("keys")).toMatch(/^CREATED +RETIRED +VKEY\n\S+Z +no +codespar\/log\//);
    expect(await ok("verify", "--trusted-key", vkey)).toMatch(/^verdict: +ok /);
    expect(await ok("verify", "--trusted-key", before[0]?.vkey ?? "")).toMatch(/^verdict: +ok /);
  });

  it("is verified wherever it is named, whatever storage is in use", async () => {
    const source = place.env["DATABASE_URL"] ?? path(".codespar");
    for (const named of source.startsWith("/") ? [source, `file:${source}`] : [source]) {
      const { code, stdout } = await runHere(["audit", "verify", named, "--json"], withoutStorage);
      expect(code).toBe(0);
      const { log, size } = JSON.parse(stdout) as AuditVerification;
      expect(size).toBeGreaterThan(3);
      expect(log).toBe((await json<AuditEntry>("show", "0")).log);
    }
  });

  it("is verified against what was kept, with a status for each verdict", async () => {
    const note = await ok("checkpoint");
    await writeFile(path("kept"), note);
    expect((await place.run(["memory", "set", "coder", "d", "1", "--record"])).code).toBe(0);
    const { size } = await json<{ size: number }>("verify");
    const said = await ok("verify", "--checkpoint", path("kept"), "--max-unanchored", "1");
    expect(await ok("verify", "--checkpoint", path("kept"))).toBe(said);
    expect(said).toMatch(
      new RegExp(`^verdict: +ok \\(vouched for: ${size - 1} of ${size} entries\\)`),
    );
    expect(said).toMatch(new RegExp(`\nnote: +Entries from ${size - 1} on are chained`));
    const all = ["audit", "verify", "--checkpoint", path("kept"), "--require-anchor"];
    for (const behind of [all, [...all.slice(0, -1), "--max-unanchored", "0"]])
      expect(await place.run(behind)).toMatchObject({
        code: 3,
        stdout: expect.stringMatching(
          new RegExp(`^verdict: unanchored \\(vouched for: only ${size - 1} of ${size} entries\\)`),
        ),
        stderr: expect.stringMatching(
          new RegExp(
            `^codespar: [^\n]+ for 1 entries at its end, from entry ${size - 1} on; 0 may be`,
          ),
        ),
      });
    const unanchored = await place.run(["audit", "verify", "--require-anchor"]);
    expect(unanchored).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/^codespar: Nothing outside [^\n]+\n$/),
    });
    expect(await json("verify", "--hashes-only")).toMatchObject({ checks: { time: 0 } });
    const elsewhere = ["--org", "elsewhere"];
    await place.run(["memory", "set", "coder", "a", "1", "--record", ...elsewhere]);
    await writeFile(path("other"), await ok("checkpoint", ...elsewhere));
    const [other] = (await text("other")).split("\n");
    const tampered = await place.run(["audit", "verify", "--checkpoint", path("other"), "--json"]);
    expect(tampered).toMatchObject({
      code: 7,
      stderr: expect.stringContaining(`is of the trail ${other}`),
    });
    expect(JSON.parse(tampered.stdout)).toMatchObject({ verdict: "tampered" });
    const wrong = await place.run(["audit", "verify", "--checkpoint", path("keys.txt")]);
    expect(wrong).toMatchObject({ code: 2, stdout: "" });
  });
});

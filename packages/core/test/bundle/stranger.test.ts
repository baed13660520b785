import { createHash, randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { BundleFile } from "../../src/audit/bundle/layout.ts";
import { formatVerifier, noteSigner } from "../../src/audit/signed-note.ts";
import { debianShell, missingTools, toolsMissing } from "./debian.ts";
import { folderOf, receiptOf, sampleFiles, sampleTrail } from "./sample.ts";

const checks = ["files", "links", "numbers", "times", "signatures", "log"];
const lastChecks = ["complete", "parts", "erased"];

describe.skipIf(missingTools.length > 0)(`a stranger with a bundle${toolsMissing}`, () => {
  const shell = debianShell();

  /** Does what the README says, and gives the lines that it printed. */
  async function follow(files: readonly BundleFile[]): Promise<string[]> {
    const folder = await folderOf(files);
    const readme = await readFile(join(folder, "README.md"), "utf8");
    const [, allAtOnce] = /^ {4}(sed -n .* \| sh)$/m.exec(readme) ?? [];
    if (allAtOnce === undefined) throw new Error("the README doesn't say how to run it at once");
    return (await shell(folder, allAtOnce)).trimEnd().split("\n");
  }

  /** The names of the checks that passed. */
  async function passed(files: readonly BundleFile[]): Promise<string[]> {
    const lines = await follow(files);
    return lines.flatMap((line) => /^(\S+): ok$/.exec(line)?.[1] ?? []);
  }

  const note = (size: number) => `checkpoints/${String(size).padStart(16, "0")}.txt`;

  test.each([
    ["one entry", { size: 1 }],
    ["a full tree", { size: 16 }],
    [
      "two keys, earlier checkpoints and something erased",
      { size: 23, signedAt: [1, 5, 16], rotatedAt: 16, erased: 4 },
    ],
  ])("finds everything in order: %s", async (_name, options) => {
    const trail = sampleTrail(options);
    const files = await sampleFiles(trail);
    const vkeys = files.filter(({ name }) => name.endsWith(".vkey")).map(textOf);
    expect(await follow(files)).toEqual([
      "files: ok",
      ...vkeys.map((vkey) => vkey.trim()).sort(),
      ...checks.slice(1).map((check) => `${check}: ok`),
      ...trail.checkpoints.map(({ size }) => `${note(size)}: ok`),
      ...lastChecks.map((check) => `${check}: ok`),
    ]);
  });

  test.each<[what: string, change: (files: Map<string, string>) => void, fails: string[]]>([
    [
      "an outcome is changed",
      (files) => edit(files, "entries/", (text) => text.replace('"denied"', '"success"')),
      ["links", note(3), note(6)],
    ],
    [
      "the last outcome is changed",
      (files) =>
        edit(files, "entries/", (text) => text.replace(/"success"(?=[^\n]*\n$)/, '"denied"')),
      [note(6)],
    ],
    [
      "the tail is cut",
      (files) => edit(files, "entries/", (text) => text.replace(/[^\n]*\n$/, "")),
      [note(6), "complete", "parts"],
    ],
    [
      "entries are swapped",
      (files) => edit(files, "entries/", (text) => text.replace(/(.*\n)(.*\n)$/, "$2$1")),
      ["links", "numbers", "times", note(6)],
    ],
    [
      "an entry is there twice",
      (files) => edit(files, "entries/", (text) => text.replace(/(.*\n)$/, "$1$1")),
      ["links", "numbers", "complete", "erased"],
    ],
    [
      "a detail is changed",
      (files) => edit(files, "parts/", (text) => text.replace("null", "true")),
      ["parts", "erased"],
    ],
    [
      "a detail is missing without an entry",
      (files) => edit(files, "parts/", (text) => text.replace(/^[^\n]*\n/, "")),
      ["erased"],
    ],
    [
      "a checkpoint has another's signature",
      (files) => {
        const other = /— .*\n$/.exec(files.get(note(6)) ?? "")?.[0] ?? "";
        edit(files, note(3), (text) => text.replace(/— .*\n$/, other));
      },
      ["signatures"],
    ],
    [
      "a checkpoint's size is changed",
      (files) => edit(files, note(3), (text) => text.replace("\n3\n", "\n4\n")),
      ["signatures", note(3)],
    ],
    [
      "a checkpoint has no signature",
      (files) => edit(files, note(3), (text) => text.replace(/— .*\n$/, "")),
      ["signatures"],
    ],
    [
      "a checkpoint is of another trail",
      (files) => edit(files, note(3), (text) => text.replace("codespar/log/0", "codespar/log/1")),
      ["signatures", "log"],
    ],
  ])("notices when %s", async (_what, change, fails) => {
    const files = await sampleFiles(sampleTrail({ size: 6, signedAt: [3] }));
    const texts = new Map(files.map((file) => [file.name, textOf(file)]));
    change(texts);
    // Whoever changes a bundle also corrects its sums.
    const sums = [...texts].filter(([name]) => name !== "SHA256SUMS").map(sumOf);
    texts.set("SHA256SUMS", sums.join(""));
    const found = await passed(filesOf(texts));
    const all = ["files", ...checks.slice(1), note(3), note(6), ...lastChecks];
    expect(all.filter((check) => !found.includes(check))).toEqual(fails);
  });

  test("notices when something that was erased is there again", async () => {
    const trail = sampleTrail({ size: 6, signedAt: [3], erased: 4, revived: true });
    const printed = await follow(await sampleFiles(trail));
    const all = [...checks, note(3), note(6), ...lastChecks];
    const missing = all.filter((check) => !printed.includes(`${check}: ok`));
    expect(missing).toEqual(["erased"]);
    expect(printed.at(-1)).toBe("> 4/details");
  });

  test("notices when a file is missing, or a key for OpenSSL is another's", async () => {
    const files = await sampleFiles(sampleTrail({ size: 6, rotatedAt: 6 }));
    const kept = files.filter(({ name }) => !name.startsWith("parts/"));
    expect(await passed(kept)).not.toContain("files");
    const texts = new Map(files.map((file) => [file.name, textOf(file)]));
    const [first, second] = [...texts].filter(([name]) => name.endsWith(".pem"));
    texts.set(first?.[0] ?? "", second?.[1] ?? "");
    const printed = await follow(filesOf(texts));
    expect(printed.filter((line) => line.startsWith("codespar/log/"))).toHaveLength(1);
    expect(printed.join("\n")).toMatch(/differ: /);
  });
});

describe.skipIf(missingTools.length > 0)(`a stranger with a receipt${toolsMissing}`, () => {
  const shell = debianShell();
  const trail = sampleTrail({ size: 13, rotatedAt: 13 });
  const trusted = trail.signers.map(formatVerifier).at(-1) ?? "";

  /** Does what the reference says. */
  async function follow(receipt: string, vkey = trusted): Promise<string> {
    const page = new URL("../../../../docs/reference/audit-export.md", import.meta.url);
    const [, commands] = /^```sh\n(.*?)^```$/ms.exec(await readFile(page, "utf8")) ?? [];
    const folder = await folderOf([]);
    await writeFile(join(folder, "42.tlog-proof"), receipt);
    await writeFile(join(folder, "trusted.vkey"), `${vkey}\n`);
    return shell(folder, commands ?? "exit 1");
  }

  test.each([0, 7, 8, 11, 12])("finds entry %i proven", async (seq) => {
    const entry = JSON.parse(Buffer.from(trail.entries[seq]?.leaf ?? "").toString()) as unknown;
    const printed = await follow(receiptOf(trail, seq));
    const [signature, proof, ...shown] = printed.split("\n");
    expect([signature, proof]).toEqual(["Signature Verified Successfully", "entry: ok"]);
    expect(JSON.parse(shown.join("\n"))).toEqual(entry);
  });

  test("notices another entry, another place and another signature", async () => {
    const receipt = receiptOf(trail, 7);
    const other = Buffer.from(trail.entries[8]?.leaf ?? "").toString("base64");
    expect(await follow(receipt.replace(/extra .*/, `extra ${other}`))).not.toContain("entry: ok");
    // 23 is beyond the end, and its path turns where that of 7 does.
    for (const place of [6, 23])
      expect(await follow(receipt.replace("index 7", `index ${place}`))).not.toContain("entry: ok");
    const forged = await follow(receipt.replace("\n13\n", "\n14\n"));
    expect(forged).toContain("Signature Verification Failure");
    expect(forged).not.toContain("entry: ok");
  });

  test("goes no further with another key, not even one that goes by the same id", async () => {
    const receipt = receiptOf(trail, 7);
    const other = formatVerifier(noteSigner(trail.log, randomBytes(32)));
    expect(await follow(receipt, other)).not.toContain("entry: ok");
    const [name, id] = trusted.split("+");
    const alike = [name, id, ...other.split("+").slice(2)].join("+");
    const printed = await follow(receipt, alike);
    expect(printed).toContain("Signature Verification Failure");
    expect(printed).not.toContain("entry: ok");
  });
});

function textOf({ content }: BundleFile): string {
  return Buffer.from(content).toString("utf8");
}

function filesOf(texts: ReadonlyMap<string, string>): BundleFile[] {
  return [...texts].map(([name, text]) => ({ name, content: Buffer.from(text) }));
}

function sumOf([name, text]: [string, string]): string {
  return `${createHash("sha256").update(text).digest("hex")}  ${name}\n`;
}

/** Changes the file of this name, or the first below it. */
function edit(files: Map<string, string>, name: string, change: (text: string) => string): void {
  for (const [path, text] of files) {
    if (!path.startsWith(name)) continue;
    const changed = change(text);
    if (changed === text) throw new Error(`nothing changed in ${path}`);
    files.set(path, changed);
    return;
  }
  throw new Error(`no file ${name}`);
}

import { cp, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { testKey } from "../../../../tooling/secrets.ts";
import { salvage } from "../../src/storage/file/salvage.ts";
import { step, stepsStored } from "./scenario.ts";
import { now, openBackend, store, storedValue, temporaryFolder } from "./support.ts";

/** A folder with a snapshot of two steps and a journal of three. */
async function prepared(): Promise<string> {
  const directory = await temporaryFolder();
  for (const steps of [
    [1, 2],
    [3, 4, 5],
  ]) {
    const backend = openBackend(directory);
    for (const n of steps) await step(backend, n);
    await store(backend, "other/org", { a: 1 });
    if (steps.includes(1)) await backend.keyRing();
    if (steps.includes(1)) await backend.close();
  }
  const copy = join(await temporaryFolder(), "copy");
  await cp(directory, copy, { recursive: true });
  await rm(join(copy, "codespar.lock"));
  return copy;
}

async function damage(
  directory: string,
  begins: string,
  at: (content: Buffer) => number,
): Promise<void> {
  const folder = join(directory, "orgs/acme");
  const name = (await readdir(folder)).find((entry) => entry.startsWith(begins)) ?? "";
  const content = await readFile(join(folder, name));
  const position = at(content);
  content[position] = (content[position] ?? 0) ^ 1;
  await writeFile(join(folder, name), content);
}

describe("salvage", () => {
  it("copies an intact store whole, its key included", async () => {
    const from = await prepared();
    const to = join(await temporaryFolder(), "new");
    const progress: string[] = [];
    const report = await salvage({
      from,
      to,
      onProgress: ({ orgId, done, total }) => progress.push(`${orgId} ${done}/${total}`),
    });
    expect(report.lost).toEqual([]);
    expect(report.organisations).toMatchObject([
      { orgId: "acme", auditEntries: 5, unproven: 0, lost: [] },
      { orgId: "other/org", records: 1, lost: [] },
    ]);
    expect(progress).toEqual(["acme 1/2", "other/org 2/2"]);
    const copy = openBackend(to);
    expect(await stepsStored(copy)).toBe(5);
    expect(await storedValue(copy, "other/org", "a")).toBe(1);
    expect((await copy.keyRing()).keyIds).toEqual((await openBackend(from).keyRing()).keyIds);
  });

  it("copies the keys that rotations replaced, which backups need, and nothing else that lies there", async () => {
    const from = await prepared();
    const to = join(await temporaryFolder(), "new");
    const retired = "retired-0123456789ab.key";
    const key = `${testKey()}\n`;
    await writeFile(join(from, "keys", retired), key);
    await writeFile(join(from, "keys", `${retired}.tmp`), "left over");
    await salvage({ from, to });
    expect((await readdir(join(to, "keys"))).sort()).toEqual(["canary", "encryption.key", retired]);
    expect((await readFile(join(to, "keys", retired), "utf8")) === key).toBe(true);
    expect((await stat(join(to, "keys", retired))).mode & 0o777).toBe(0o600);
  });

  it("passes over a damaged frame and tells which", async () => {
    const from = await prepared();
    await damage(from, "journal", (content) => content.indexOf("step 4"));
    await expect(stepsStored(openBackend(from, { readOnly: true }))).rejects.toMatchObject({
      code: "CORRUPTION",
    });
    const to = join(await temporaryFolder(), "new");
    const [report] = (await salvage({ from, to })).organisations;
    expect(report?.lost).toEqual([
      expect.stringMatching(/bytes \d+ to \d+ are damaged/),
      expect.stringMatching(/frames \d+ to \d+ are missing/),
    ]);
    const copy = openBackend(to);
    expect(await storedValue(copy, "acme", "counter")).toBe(5);
    // The trail has a file of its own, which was written before the frame was damaged.
    expect((await copy.auditHead("acme", now())).size).toBe(5);
  });

  it("takes what is well-formed of a damaged table, and says that it is unproven", async () => {
    const from = await prepared();
    await damage(from, "agent_memory", (content) => content.indexOf('"key"'));
    const [report] = (await salvage({ from, to: join(await temporaryFolder(), "new") }))
      .organisations;
    expect(report?.lost.join("\n")).toMatch(/checksum doesn't match/);
    expect(report?.unproven).toBeGreaterThan(0);
  });

  it("takes the trail as far as it is proven", async () => {
    const from = await prepared();
    await damage(from, "audit_log", (content) => content.indexOf("step.done"));
    const [report] = (await salvage({ from, to: join(await temporaryFolder(), "new") }))
      .organisations;
    expect(report).toMatchObject({
      auditEntries: 0,
      lost: [expect.stringMatching(/entry 0 is damaged/)],
    });
  });

  it("passes over files that stray among the organisations, and tells of folders that are none", async () => {
    const from = await prepared();
    for (const name of ["notes", ".DS_Store", "Thumbs.db"])
      await writeFile(join(from, "orgs", name), "not ours");
    await mkdir(join(from, "orgs/Not Ours"));
    const report = await salvage({ from, to: join(await temporaryFolder(), "new") });
    expect(report.organisations.map(({ orgId }) => orgId)).toEqual(["acme", "other/org"]);
    expect(report.lost).toEqual([expect.stringContaining("Not Ours: no organisation's folder")]);
  });

  it("refuses a target inside the damaged folder, under whatever name, and changes nothing", async () => {
    const from = await prepared();
    const link = join(await temporaryFolder(), "link");
    await symlink(from, link);
    const before = await readdir(from, { recursive: true });
    for (const to of [join(from, "new"), join(from, "orgs/new/deeper"), join(link, "new")]) {
      await expect(salvage({ from, to })).rejects.toMatchObject({
        code: "VALIDATION",
        message: expect.stringContaining("is inside of"),
      });
    }
    await expect(salvage({ from: link, to: join(from, "new") })).rejects.toMatchObject({
      code: "VALIDATION",
    });
    expect(await readdir(from, { recursive: true })).toEqual(before);
    // Its name only begins alike.
    await salvage({ from, to: `${from}-salvaged` });
  });

  it("refuses a target that isn't empty, and a source that is in use", async () => {
    const from = await prepared();
    await expect(salvage({ from, to: from })).rejects.toMatchObject({ code: "VALIDATION" });
    const backend = openBackend(from);
    await store(backend, "acme", { a: 1 });
    await expect(salvage({ from, to: join(from, "new") })).rejects.toMatchObject({
      code: "STORAGE_LOCKED",
    });
  });
});

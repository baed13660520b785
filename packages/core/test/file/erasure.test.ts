import { cp, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { FileBackend } from "../../src/storage/file/file-backend.ts";
import { salvage } from "../../src/storage/file/salvage.ts";
import { watchedFileSystem } from "./recording-fs.ts";
import { commitOf, entry, now, openBackend, put, temporaryFolder } from "./support.ts";

const id = (n: number) => `00000000-0000-7000-8000-${String(n).padStart(12, "0")}`;
const secret = (n: number) => `personal-data-of-${n}-`.repeat(20);

function append(backend: FileBackend, ...numbers: number[]) {
  const appends = numbers.map((n) => entry(id(n), "test.done", { secret: secret(n) }));
  return backend.commit("acme", commitOf({ appends }), now());
}

function erase(backend: FileBackend, ...seqs: number[]) {
  const appends = [entry(id(1000 + (seqs[0] ?? 0)), "audit.redacted", { seqs })];
  const erasures = seqs.map((seq) => ({ seq, name: "details" }));
  return backend.commit("acme", commitOf({ appends, erasures }), now());
}

/** The sequence numbers of the entries that show their part. */
async function shown(backend: FileBackend): Promise<number[]> {
  const rows = await backend.listAudit("acme", { filter: {}, limit: 1000, order: "asc" }, now());
  for (const { seq, parts } of rows) {
    if (parts.length > 0) expect(parts[0]?.body, String(seq)).not.toBe("");
  }
  return rows.filter(({ parts }) => parts.length > 0).map(({ seq }) => seq);
}

/** Which of the bodies any file of the folder still holds. */
async function onDisk(directory: string, ...numbers: number[]): Promise<number[]> {
  const folder = join(directory, "orgs/acme");
  const files = await Promise.all(
    (await readdir(folder)).map((name) => readFile(join(folder, name), "utf8").catch(() => "")),
  );
  return numbers.filter((n) => files.some((content) => content.includes(secret(n))));
}

describe("erasing a part", () => {
  it("takes it away at once, and off the disk soon, wherever it was", async () => {
    const directory = await temporaryFolder();
    const first = openBackend(directory);
    await append(first, 0, 1, 2);
    await first.close();
    const backend = openBackend(directory);
    await append(backend, 3, 4, 5);
    // One that the snapshot has, one that only the journal has, one that has none any more.
    await erase(backend, 1, 4);
    await erase(backend, 4, 999);
    expect(await shown(backend)).toEqual([0, 2, 3, 5, 6, 7]);
    await expect.poll(() => onDisk(directory, 0, 1, 2, 3, 4, 5)).toEqual([0, 2, 3, 5]);
    expect(await shown(openBackend(directory, { readOnly: true }))).toEqual([0, 2, 3, 5, 6, 7]);
    await backend.close();
    expect(await shown(openBackend(directory))).toEqual([0, 2, 3, 5, 6, 7]);
  });

  it("happens with the commit or not at all", async () => {
    const backend = openBackend(await temporaryFolder());
    await append(backend, 0);
    const writes = [put("a", "k", 1, { expect: { version: "never" } })];
    const erasures = [{ seq: 0, name: "details" }];
    await expect(
      backend.commit("acme", commitOf({ writes, erasures }), now()),
    ).rejects.toMatchObject({ name: "ExpectationFailed" });
    expect(await shown(backend)).toEqual([0]);
  });

  it("is asked for while another one looks for its part, and misses nothing", async () => {
    const directory = await temporaryFolder();
    let second: Promise<unknown> | null = null;
    let looks = false;
    const fs = watchedFileSystem((name, path) => {
      if (looks && name === "read" && path.endsWith("audit_parts.jsonl"))
        second ??= erase(backend, 1);
    });
    const backend = openBackend(directory, { fs });
    await append(backend, 0, 1, 2);
    expect(await shown(backend)).toEqual([0, 1, 2]);
    looks = true;
    await erase(backend, 0);
    await second;
    expect(await shown(backend)).toEqual([2, 3, 4]);
  });

  it("is finished by the next opening when the process ended in between", async () => {
    const directory = await brokenOff();
    expect(await onDisk(directory, 0, 1)).toEqual([0, 1]);
    expect(await shown(openBackend(directory, { readOnly: true }))).toEqual([0, 2]);
    const again = openBackend(directory);
    expect(await shown(again)).toEqual([0, 2]);
    await expect.poll(() => onDisk(directory, 0, 1)).toEqual([0]);
  });

  it("doesn't wait until all the rest is small enough for a snapshot", async () => {
    const directory = await temporaryFolder();
    const backend = openBackend(directory);
    await fillMuch(backend);
    await append(backend, 0, 1);
    await erase(backend, 1);
    await expect.poll(() => onDisk(directory, 0, 1)).toEqual([0]);
    const broken = await brokenOff(fillMuch);
    const again = openBackend(broken);
    await shown(again);
    await expect.poll(() => onDisk(broken, 0, 1)).toEqual([0]);
  });

  it("shows in health as long as the disk keeps it from being finished, and is then finished", async () => {
    const directory = await temporaryFolder();
    let full = false;
    const fs = watchedFileSystem((name, path) => {
      if (full && name === "open edit" && path.endsWith("snapshot.json.tmp"))
        throw Object.assign(new Error("ENOSPC: planted"), { code: "ENOSPC" });
    });
    const backend = openBackend(directory, { fs });
    await append(backend, 0, 1);
    full = true;
    await erase(backend, 1);
    await expect
      .poll(async () => (await backend.health(20_000)).warnings)
      .toEqual([expect.stringMatching(/disk is full.* parts of audit entries that were erased/)]);
    expect(await onDisk(directory, 0, 1)).toEqual([0, 1]);
    full = false;
    await backend.close();
    expect(await onDisk(directory, 0, 1)).toEqual([0]);
  });

  it("stays done in a salvaged copy", async () => {
    const to = join(await temporaryFolder(), "new");
    expect((await salvage({ from: await brokenOff(), to })).lost).toEqual([]);
    expect(await shown(openBackend(to))).toEqual([0, 2]);
  });
});

/** A folder whose process ended right after it had acknowledged that it erased entry 1's part. */
async function brokenOff(
  prepare: (backend: FileBackend) => Promise<void> = async () => undefined,
): Promise<string> {
  const directory = await temporaryFolder();
  let state: "works" | "acknowledges" | "broken" = "works";
  const fs = watchedFileSystem((name, path) => {
    if (state === "broken") throw Object.assign(new Error("EIO: planted"), { code: "EIO" });
    if (state === "acknowledges" && name === "sync" && path.includes("journal")) state = "broken";
  });
  const backend = openBackend(directory, { fs });
  await prepare(backend);
  await append(backend, 0, 1);
  state = "acknowledges";
  await erase(backend, 1);
  await backend.close().catch(() => undefined);
  const copy = await temporaryFolder();
  await cp(directory, copy, { recursive: true });
  await rm(join(copy, "codespar.lock"));
  return copy;
}

/** So much that no snapshot is written when nothing else happens. */
async function fillMuch(backend: FileBackend): Promise<void> {
  for (let n = 0; n < 10; n++) {
    const writes = [put("a", `k${n}`, "x".repeat(1024 * 1024))];
    await backend.commit("acme", commitOf({ writes }), now());
  }
}

import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { TileReader } from "../../src/audit/tiles.ts";
import { verifyTrail } from "../../src/audit/verify.ts";
import { StorageError } from "../../src/errors/storage-error.ts";
import { FileBackend } from "../../src/storage/file/file-backend.ts";
import type { FileSystem } from "../../src/storage/file/file-system.ts";
import { sampled } from "../support/sampled.ts";
import { sourceOf } from "../support/trail-source.ts";
import { loaded, MemoryFileSystem } from "./memory-fs.ts";
import { begin, step, stepsStored } from "./scenario.ts";
import { now, openBackend, temporaryFolder } from "./support.ts";

/**
 * A folder with a snapshot of two steps, and a journal of three more behind it. A part was erased before the snapshot, another one that it
 * holds after it.
 */
async function prepared(): Promise<string> {
  const directory = await temporaryFolder();
  const first = openBackend(directory);
  for (let n = 1; n <= 2; n++) await step(first, n, { erases: n === 2 });
  await first.close();
  const second = openBackend(directory);
  for (let n = 3; n <= 5; n++) await step(second, n, { erases: n === 3 });
  const copy = await temporaryFolder();
  await cp(directory, copy, { recursive: true });
  await rm(join(copy, "codespar.lock"));
  return copy;
}

/** How damage shows: an error at opening or reading, a warning, or a verdict; `null` when it doesn't. */
async function reported(directory: string, fs?: FileSystem): Promise<string | null> {
  const options = { directory, readOnly: false, clock: Date.now, lockWaitMs: 0 };
  const backend = new FileBackend(fs === undefined ? options : { ...options, fs });
  try {
    const head = await backend.auditHead("acme", now());
    const rows = await backend.listAudit("acme", { filter: {}, limit: 1000, order: "asc" }, now());
    const { warnings } = await backend.health(5000);
    if (warnings.length > 0) return warnings.join();
    const readTiles: TileReader = (tiles) => backend.treeTiles("acme", tiles, now());
    const verdict = await verifyTrail(sourceOf(head, rows, { readTiles }));
    if (verdict.verdict === "tampered") return verdict.verdict;
    return (await stepsStored(backend)) === 5 ? null : "other content";
  } catch (error) {
    if (StorageError.is(error, "CORRUPTION")) return error.code;
    throw error;
  } finally {
    await backend.close();
  }
}

/** The files with one bit changed, in each byte in turn. */
function* flipped({ files, folders }: MemoryFileSystem) {
  for (const [path, intact] of files) {
    for (let at = 0; at < intact.length; at += 1) {
      const damaged = Buffer.from(intact);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
      const fs = new MemoryFileSystem(files, folders);
      fs.files.set(path, damaged);
      yield { path, at, fs };
    }
  }
}

describe("damaged files", () => {
  it("are reported, whichever byte was flipped", async () => {
    const directory = await prepared();
    const vouchedFor = await vouchedBytes(directory);
    const count = { inUse: 0, notInUse: 0 };
    for (const { path, at, fs } of flipped(await loaded(directory))) {
      const verdict = await reported(directory, fs);
      // What is in the audit files behind the snapshot's end is not theirs yet: the journal holds it.
      const inUse = vouchedFor(path, at);
      count[inUse ? "inUse" : "notInUse"] += 1;
      const silent = inUse && verdict === null;
      if (silent || verdict === "other content") expect.fail(`${path}, byte ${at}: ${verdict}`);
    }
    process.stdout.write(`bytes flipped: ${JSON.stringify(count)}\n`);
    expect(count.inUse).toBeGreaterThan(3000);
  }, 300_000);

  it("are reported by verification when it is the tree's, whichever byte was flipped", async () => {
    const directory = await temporaryFolder();
    await begin(directory);
    const first = openBackend(directory);
    for (let n = 1; n <= 5; n++) await step(first, n);
    await first.close();
    const intact = await loaded(directory);
    const path = [...intact.files.keys()].find((name) => name.endsWith("audit_tiles")) ?? "";
    const sample = sampled(101);
    let flips = 0;
    for (let at = sample.first; at < (intact.files.get(path)?.length ?? 0); at += sample.stride) {
      const fs = new MemoryFileSystem(intact.files, intact.folders);
      const damaged = Buffer.from(intact.files.get(path) ?? []);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
      fs.files.set(path, damaged);
      expect(await reported(directory, fs), `byte ${at}`).not.toBeNull();
      flips++;
    }
    process.stdout.write(`bytes of the tree flipped: ${flips}, ${sample.label}\n`);
    expect(flips).toBeGreaterThan(50);
  });

  it("are reported when one is missing", async () => {
    const original = await prepared();
    const names = await readdir(join(original, "orgs/acme"));
    expect(names.length).toBeGreaterThanOrEqual(5);
    for (const name of names) {
      const directory = await temporaryFolder();
      await cp(original, directory, { recursive: true });
      await rm(join(directory, "orgs/acme", name));
      expect(await reported(directory), name).toBe("CORRUPTION");
    }
  });

  it("are reported when something stands behind a table's end, a whole line or not", async () => {
    const directory = await prepared();
    const intact = await loaded(directory);
    const tables = [...intact.files.keys()].filter((path) => path.endsWith(".json"));
    expect(tables.length).toBeGreaterThanOrEqual(2);
    for (const path of tables)
      for (const added of ["x", "x\n"]) {
        const fs = new MemoryFileSystem(intact.files, intact.folders);
        fs.files.set(
          path,
          Buffer.concat([intact.files.get(path) ?? Buffer.alloc(0), Buffer.from(added)]),
        );
        expect(await reported(directory, fs), path).toBe("CORRUPTION");
      }
  });

  it("name the file and the offset, and stay as they are", async () => {
    const directory = await prepared();
    const journal = join(
      directory,
      "orgs/acme",
      (await readdir(join(directory, "orgs/acme"))).find((name) => name.startsWith("journal")) ??
        "",
    );
    const content = await readFile(journal);
    const second = content.indexOf('{"frame":', 10);
    content[second + 400] = 0;
    await writeFile(journal, content);
    await expect(openBackend(directory).auditHead("acme", now())).rejects.toMatchObject({
      code: "CORRUPTION",
      message: expect.stringMatching(
        new RegExp(`journal-\\d+\\.jsonl, byte ${second}: .*codespar salvage --to`),
      ),
    });
    expect(await readFile(journal)).toEqual(content);
  });
});

/** Which bytes of the files the snapshot or the journal answers for. */
async function vouchedBytes(directory: string): Promise<(path: string, at: number) => boolean> {
  const folder = join(directory, "orgs/acme");
  const text = await readFile(join(folder, "snapshot.json"), "utf8");
  const { audit } = JSON.parse(text) as { audit: { bytes: number; partBytes: number } };
  const journal = (await readdir(folder)).find((name) => name.startsWith("journal")) ?? "";
  const operation = /\{"erase":.*\}/.exec(await readFile(join(folder, journal), "utf8"))?.[0] ?? "";
  const erased = JSON.parse(operation) as { at: number; bytes: number };
  return (path, at) => {
    if (path.endsWith("audit_log.jsonl")) return at < audit.bytes;
    if (!path.endsWith("audit_parts.jsonl")) return true;
    // What stands there is of no account until the next snapshot.
    const isErased = at >= erased.at && at < erased.at + erased.bytes;
    return at < audit.partBytes && !isErased;
  };
}

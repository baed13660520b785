import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CompactRange, treeRoot } from "../../src/audit/merkle.ts";
import { overTiles } from "../../src/audit/tiles.ts";
import { AuditTiles } from "../../src/storage/file/audit-tiles.ts";
import type { FileBackend } from "../../src/storage/file/file-backend.ts";
import { TrailFile } from "../../src/storage/file/trail-file.ts";
import { MemoryFileSystem } from "./memory-fs.ts";
import { commitOf, entry, now, openBackend, temporaryFolder } from "./support.ts";

const leaf = (n: number) => createHash("sha256").update(String(n)).digest("hex");

describe("the tiles of a trail's tree", () => {
  it("give its root at every level of tiles, written, unwritten and read again", async () => {
    const fs = new MemoryFileSystem(new Map(), ["/acme"]);
    const open = () => new AuditTiles(new TrailFile(fs, "/acme", "tiles", true));
    const range = new CompactRange();
    let tiles = open();
    await tiles.load(0, []);
    const leaves: Buffer[] = [];
    const rootNow = () =>
      overTiles(
        (read) => treeRoot(leaves.length, read),
        (asked) => Promise.all(asked.map((tile) => tiles.read(tile))),
      );
    for (const size of [1, 2, 255, 256, 257, 700, 65_535, 65_536, 65_800]) {
      while (leaves.length < size) {
        const hash = leaf(leaves.length);
        leaves.push(Buffer.from(hash, "hex"));
        range.add(Buffer.from(hash, "hex"));
        tiles.add(hash);
      }
      expect(await rootNow()).toEqual(range.root());
      if (size % 2 === 1) continue;
      await tiles.write();
      expect(await rootNow()).toEqual(range.root());
      tiles = open();
      await tiles.recover(size);
      await tiles.load(size, leaves.slice(size - (size % 256)));
      expect(await rootNow()).toEqual(range.root());
    }
    expect(await tiles.leaves(65_530, 65_800)).toEqual(Buffer.concat(leaves.slice(65_530)));
  });
});

describe("the tiles that a backend reads", () => {
  const id = (n: number) => `00000000-0000-7000-8000-${String(n).padStart(12, "0")}`;

  async function append(backend: FileBackend, from: number, to: number) {
    for (let n = from; n < to; n += 50) {
      const appends = Array.from({ length: Math.min(50, to - n) }, (_, i) => entry(id(n + i)));
      await backend.commit("acme", commitOf({ appends }), now());
    }
  }

  async function expectTree(backend: FileBackend, size: number) {
    const rows = await backend.listAudit("acme", { filter: {}, limit: 1000, order: "asc" }, now());
    expect(rows).toHaveLength(size);
    const range = new CompactRange();
    for (const { hash } of rows) range.add(Buffer.from(hash, "hex"));
    const stored = await overTiles(
      (read) => treeRoot(size, read),
      (tiles) => backend.treeTiles("acme", tiles, now()),
    );
    expect(stored).toEqual(range.root());
  }

  it("are there from the first acknowledgement on, and after opening again, from snapshot or journal", async () => {
    const directory = await temporaryFolder();
    let backend = openBackend(directory);
    let size = 0;
    for (const more of [3, 253, 1, 400, 111]) {
      await append(backend, size, size + more);
      size += more;
      await expectTree(backend, size);
      await expectTree(openBackend(directory, { readOnly: true }), size);
      await backend.close();
      backend = openBackend(directory);
      await expectTree(backend, size);
    }
  });

  it("are built from entries that another storage sealed", async () => {
    const source = openBackend(await temporaryFolder());
    await append(source, 0, 300);
    const rows = await source.listAudit("acme", { filter: {}, limit: 300, order: "asc" }, now());
    const directory = await temporaryFolder();
    const target = openBackend(directory);
    await target.importAudit("acme", rows.slice(0, 200), now());
    await target.importAudit("acme", rows.slice(200), now());
    await expectTree(target, 300);
    await target.close();
    await expectTree(openBackend(directory), 300);
  });

  it("are a file whose loss is told", async () => {
    const directory = await temporaryFolder();
    const backend = openBackend(directory);
    await append(backend, 0, 300);
    await backend.close();
    await rm(join(directory, "orgs/acme/audit_tiles"));
    await expect(openBackend(directory).auditHead("acme", now())).rejects.toMatchObject({
      code: "CORRUPTION",
      message: expect.stringContaining("audit_tiles"),
    });
  });
});

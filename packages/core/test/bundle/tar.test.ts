import { execFileSync } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import fc from "fast-check";
import { packTar } from "modern-tar";
import { beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { removeScratch, scratchFolder } from "../../../../tooling/secrets.ts";
import type { BundleFile } from "../../src/audit/bundle/layout.ts";
import { tarOf } from "../../src/audit/bundle/tar.ts";
import { unpackBundle } from "../../src/storage/bundle/folder.ts";
import { expectCode } from "../support/expect-code.ts";
import { folderOf, sampleFiles, sampleTrail } from "./sample.ts";

let files: BundleFile[];
let tar: Buffer;
let empty: string;

beforeAll(async () => {
  files = await sampleFiles(sampleTrail({ size: 7, signedAt: [3] }));
  tar = await packed(files);
});

beforeEach(async () => {
  empty = await newFolder();
});

async function newFolder(): Promise<string> {
  const folder = await scratchFolder("tar");
  onTestFinished(() => removeScratch(folder));
  return folder;
}

async function packed(content: readonly BundleFile[]): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of tarOf(each(content), new Date(0))) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* each<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  yield* items;
}

/** Everything below a folder, by path. */
async function contentOf(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const found = paths.map(
    async (path) => [relative(folder, path), await readFile(path, "utf8")] as const,
  );
  return Object.fromEntries(await Promise.all(found));
}

function asContent(content: readonly BundleFile[]): Record<string, string> {
  return Object.fromEntries(
    content.map((file) => [file.name, Buffer.from(file.content).toString("utf8")]),
  );
}

describe("the tar of a bundle", () => {
  test("is unpacked by tar, and by us", async () => {
    const path = join(empty, "a.tar");
    await writeFile(path, tar);
    const [theirs, ours] = [await newFolder(), join(await newFolder(), "new", "folder")];
    execFileSync("tar", ["xf", path, "-C", theirs]);
    expect(await unpackBundle(each([tar]), ours)).toBeNull();
    expect(await contentOf(theirs)).toEqual(asContent(files));
    expect(await contentOf(ours)).toEqual(asContent(files));
  });

  test.each([".", "audit-2030"])(
    "may be one that tar packed from a folder, as %s",
    async (name) => {
      const folder = await folderOf(
        files.map((file) => ({ ...file, name: `audit-2030/${file.name}` })),
      );
      const from = name === "." ? ["-C", join(folder, "audit-2030"), "."] : ["-C", folder, name];
      const repacked = execFileSync("tar", ["cf", "-", ...from], { maxBuffer: 1e8 });
      expect(await unpackBundle(each([repacked]), empty)).toBeNull();
      expect(await contentOf(empty)).toEqual(asContent(files));
    },
  );

  test("comes in pieces of whatever size", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 3000 }), async (bytes) => {
        const pieces = Array.from({ length: Math.ceil(tar.length / bytes) }, (_, i) =>
          tar.subarray(i * bytes, (i + 1) * bytes),
        );
        const folder = await newFolder();
        expect(await unpackBundle(each(pieces), folder)).toBeNull();
        expect(await contentOf(folder)).toEqual(asContent(files));
      }),
      { numRuns: 10 },
    );
  });

  test("is written only as fast as it is read", async () => {
    let made = 0;
    async function* many(): AsyncGenerator<BundleFile> {
      for (; made < 200; made += 1)
        yield { name: `entries/${made}`, content: Buffer.alloc(4 * 1024 * 1024) };
    }
    const reading = tarOf(many(), new Date(0))[Symbol.asyncIterator]();
    await reading.next();
    // Whatever is ready to go on does so before this.
    await new Promise((resolve) => setImmediate(resolve));
    expect(made).toBeLessThan(10);
    await reading.return?.(undefined);
    expect(made).toBeLessThan(10);
  });

  test("ends with the error of what it is made of", async () => {
    async function* failing(): AsyncGenerator<BundleFile> {
      yield* files.slice(0, 2);
      throw new Error("the trail can't be read");
    }
    const chunks = tarOf(failing(), new Date(0));
    await expect(unpackBundle(chunks, empty)).rejects.toThrow("the trail can't be read");
  });
});

describe("unpacking", () => {
  test("writes nothing but files of a bundle, and only below its folder", async () => {
    const body = "x";
    const name = (path: string) => ({ header: { name: path, size: 1 }, body });
    const hostile = await packTar([
      name("../manifest.json"),
      name("entries/../../README.md"),
      name("/tmp/keys/0123abcd.pem"),
      name("entries/0000000000000001.jsonl/../../../../x"),
      name("evil.sh"),
      name("..\\SHA256SUMS"),
      { header: { name: "keys/89abcdef.pem", type: "symlink", linkname: "/etc/passwd", size: 0 } },
      {
        header: {
          name: "checkpoints/0000000000000001.txt",
          type: "link",
          linkname: "/etc/passwd",
          size: 0,
        },
      },
      { header: { name: "parts/0000000000000000.jsonl", type: "directory", size: 0 } },
      { header: { name: "entries/0000000000000000.jsonl", size: 9e6 }, body: "y".repeat(9e6) },
    ]);
    const target = join(empty, "inner");
    expect(await unpackBundle(each([hostile]), target)).toBeNull();
    expect(await contentOf(empty)).toEqual({
      "inner/manifest.json": body,
      "inner/README.md": body,
      "inner/keys/0123abcd.pem": body,
    });
  });

  test("refuses a folder that isn't empty", async () => {
    await writeFile(join(empty, "mine"), "");
    await expectCode(unpackBundle(each([tar]), empty), "ALREADY_EXISTS");
    expect(await readdir(empty)).toEqual(["mine"]);
  });

  test("says that a folder can't be made, and never that it isn't there", async () => {
    await writeFile(join(empty, "file"), "");
    // Below the last one nothing can be made, and Node's own way of making parents wouldn't return.
    for (const folder of [join(empty, "file", "a", "b"), "/proc/codespar/a"]) {
      const error = await expectCode(unpackBundle(each([tar]), folder), "UNAVAILABLE");
      expect(error.message).toContain("free space");
    }
  });

  test("says what is wrong with a tar that was cut or changed, and keeps what came before", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: tar.length - 2049 }),
        fc.nat({ max: tar.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        async (end, at, bits) => {
          const cut = await newFolder();
          expect(await unpackBundle(each([tar.subarray(0, end)]), cut)).toMatch(/\w/);
          const kept = await contentOf(cut);
          expect(asContent(files)).toMatchObject(kept);
          const changed = Buffer.from(tar);
          changed[at] = (changed[at] ?? 0) ^ bits;
          await unpackBundle(each([changed]), await newFolder());
        },
      ),
      { numRuns: 60 },
    );
    expect(
      await unpackBundle(each([Buffer.from("no tar ".repeat(200))]), await newFolder()),
    ).toMatch(/\w/);
    expect(await unpackBundle(each([]), await newFolder())).toMatch(/\w/);
  });
});

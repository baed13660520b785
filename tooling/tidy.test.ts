import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { type SourceFile, violations } from "./architecture.ts";
import { unsearchable } from "./secrets/unsearchable.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

async function sources(kind: "src" | "test" = "src"): Promise<SourceFile[]> {
  const packages = await readdir(join(root, "packages"));
  const folders = packages
    .map((name) => join(root, "packages", name, kind))
    .filter((folder) => existsSync(folder));
  const listed = await Promise.all(
    folders.map((folder) => readdir(folder, { recursive: true, withFileTypes: true })),
  );
  const paths = listed
    .flat()
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(
    paths.map(async (path) => ({
      path: relative(root, path).split(sep).join("/"),
      text: await readFile(path, "utf8"),
    })),
  );
}

test("the packages keep the house rules", async () => {
  const files = await sources();
  expect(files.length).toBeGreaterThan(20);
  expect(violations(files)).toEqual([]);
});

test("tests store nothing that the search for secrets wouldn't find", async () => {
  const files = await sources("test");
  expect(files.length).toBeGreaterThan(100);
  expect(unsearchable(files)).toEqual([]);
});

test.each([
  ['const folder = await mkdtemp(join(tmpdir(), "a-"));', /scratchFolder/],
  ["const encryptionKey = KeyRing.generate();", /testKey/],
  ['await channelConfigs.set("a", {\n  credentials: { id, token: "t" },\n});', /testSecret/],
  ['const input = { teamId, tokens: { botToken: "t" } };', /testSecret/],
])("of which it notices %s", (text, complaint) => {
  const path = "packages/core/test/file/a.test.ts";
  expect(unsearchable([{ path, text }])).toEqual([expect.stringMatching(complaint)]);
});

test("every public name is documented", async () => {
  const report = await readFile(join(root, "packages/core/api/core.api.md"), "utf8");
  const names = report.match(/^\/\/ @public( \(undocumented\))?\nexport .*$/gm) ?? [];
  expect(names.length).toBeGreaterThan(20);
  expect(names.filter((name) => name.includes("(undocumented)"))).toEqual([]);
});

describe("each house rule notices a planted violation", () => {
  const planted: [rule: string, path: string, text: string, complaint: RegExp][] = [
    [
      "rooms import one way",
      "core/src/domain/a.ts",
      'import { b } from "../errors/b.ts";',
      /one way/,
    ],
    [
      "types count too",
      "core/src/audit/a.ts",
      'import type { B } from "../storage/b.ts";',
      /one way/,
    ],
    [
      "import() types count too",
      "core/src/crypto/a.ts",
      'export type A = import("../audit/b.ts").B;',
      /one way/,
    ],
    [
      "index.ts is for users only",
      "core/src/errors/a.ts",
      'export { b } from "../index.ts";',
      /one way/,
    ],
    [
      "a backend doesn't know the other",
      "core/src/storage/file/a.ts",
      'import { b } from "../postgres/b.ts";',
      /knows the port/,
    ],
    [
      "a backend doesn't know the domains",
      "core/src/storage/postgres/a.ts",
      'import { b } from "../domains/b.ts";',
      /knows the port/,
    ],
    [
      "one switch",
      "core/src/storage/a.ts",
      'import { b } from "./file/b.ts";',
      /only create-storage/,
    ],
    [
      "nothing below the switch imports it",
      "core/src/storage/file/a.ts",
      'import { b } from "../create-storage.ts";',
      /the switch/,
    ],
    [
      "core knows no other package",
      "core/src/storage/a.ts",
      'import { b } from "@codespar/server";',
      /no other package/,
    ],
    [
      "the server doesn't know the command line",
      "server/src/a.ts",
      'const b = await import("codespar");',
      /may import @codespar\/core/,
    ],
    [
      "packages are imported by name",
      "server/src/a.ts",
      'import { b } from "../../core/src/b.ts";',
      /relative imports stay/,
    ],
    [
      "no deep imports",
      "cli/src/a.ts",
      'import { b } from "@codespar/core/dist/b.js";',
      /may import/,
    ],
    ["no test tools", "core/src/domain/a.ts", 'import { inject } from "vitest";', /test tools/],
    [
      "one module reads the environment",
      "server/src/app.ts",
      "export const a = process.env['A'];",
      /environment/,
    ],
    [
      "however it gets at it",
      "core/src/a.ts",
      'import { env } from "node:process";',
      /environment/,
    ],
    ["no console in core", "core/src/audit/a.ts", "console.log(1);", /console/],
    ["named exports only", "cli/src/a.ts", "export default 1;", /default export/],
    ["no export *", "core/src/index.ts", 'export * from "./domain/a.ts";', /name what is public/],
    ["no silenced types", "core/src/domain/a.ts", "// @ts-expect-error\n1;", /silences/],
    ["nothing left undone", "core/src/domain/a.ts", "// TODO later", /undone/],
    ["short files", "core/src/domain/a.ts", "1;\n".repeat(351), /351 lines/],
    ["no cycles", "core/src/domain/a.ts", 'import { a } from "./a.ts";', /cycle/],
  ];

  test.each(planted)("%s", (_rule, path, text, complaint) => {
    const found = violations([{ path: `packages/${path}`, text }]);
    expect(found).toEqual([expect.stringMatching(complaint)]);
  });

  test("and leaves alone what is allowed", () => {
    const allowed: [path: string, text: string][] = [
      [
        "core/src/errors/a.ts",
        'import { b } from "../domain/b.ts"; // process.env and console.log are only named',
      ],
      [
        "core/src/storage/file/a.ts",
        'import type { B } from "../backend.ts"; import { c } from "./c.ts";',
      ],
      [
        "core/src/storage/create-storage.ts",
        'import { b } from "./file/b.ts"; export const e = process.env;',
      ],
      ["core/src/domain/x.ts", 'import type { Y } from "./y.ts";'],
      ["core/src/domain/y.ts", 'import type { X } from "./x.ts";'],
      [
        "cli/src/main.ts",
        'import { b } from "@codespar/server"; import { c } from "@codespar/core";',
      ],
    ];
    expect(violations(allowed.map(([path, text]) => ({ path: `packages/${path}`, text })))).toEqual(
      [],
    );
  });
});

import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { commentExamples, type Example, exampleErrors, markdownExamples } from "./examples.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

async function filesBelow(folder: string, suffix: string): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(suffix))
    .map((entry) => join(entry.parentPath, entry.name));
}

async function documented(): Promise<Example[]> {
  const pages = [join(root, "README.md"), ...(await filesBelow(join(root, "docs"), ".md"))];
  const packages = await readdir(join(root, "packages"));
  const sources = await Promise.all(
    packages.map((name) => filesBelow(join(root, "packages", name, "src"), ".ts")),
  );
  const examples: Example[] = [];
  for (const page of pages.filter(existsSync)) {
    examples.push(...markdownExamples(relative(root, page), await readFile(page, "utf8")));
  }
  for (const source of sources.flat()) {
    examples.push(...commentExamples(relative(root, source), await readFile(source, "utf8")));
  }
  return examples;
}

test("every documented example compiles", async () => {
  const examples = await documented();
  expect(examples.length).toBeGreaterThan(0);
  expect(exampleErrors(root, examples)).toEqual([]);
});

test("an example that doesn't compile is named with its place", () => {
  const page = 'text\n\n```ts\nconst n: number = "1";\n```\n\n```sh\nnot code\n```\n';
  const source = "/**\n * Doc.\n *\n * ```ts\n * await Promise.resolve(nothing);\n * ```\n */\n";
  const examples = [...markdownExamples("a.md", page), ...commentExamples("b.ts", source)];
  expect(exampleErrors(root, examples)).toEqual([
    expect.stringMatching(/^a\.md:3: Type 'string' is not assignable/),
    expect.stringMatching(/^b\.ts:4: Cannot find name 'nothing'/),
  ]);
});

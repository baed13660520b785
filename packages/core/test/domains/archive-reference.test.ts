import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { type ArchiveHeader, encodeHeader } from "../../src/storage/deployment/archive.ts";
import { type TableSpec, tableNames, tables } from "../../src/storage/tables.ts";

const page = new URL("../../../../docs/reference/archive.md", import.meta.url);

/** The table of the page, as it has to be. */
function described(): string[] {
  return tableNames.map((name) => {
    const { key, columns }: TableSpec = tables[name];
    const members = Object.entries(columns).map(([column, type]) =>
      type === "text" ? `\`${column}\`` : `\`${column}\` (${type})`,
    );
    return `| \`${name}\` | ${key.map((part) => `\`${part}\``).join(", ")} | ${members.join(", ")} |`;
  });
}

test("the archive's page names the format and every member, in the archive's order", async () => {
  const text = await readFile(page, "utf8");
  const { format } = JSON.parse(
    encodeHeader({ organisation: "acme", exportedAt: "" }),
  ) as ArchiveHeader;
  expect(text).toContain(`"format":"${format}"`);
  const rows = text.split("\n").filter((line) => /^\| `\w+` \| `/.test(line));
  expect(rows).toEqual(described());
});

import type { Page } from "@codespar/core";
import type { Command } from "commander";
import { columns, jsonText, note, print, write } from "./output.ts";
import { parseCount } from "./values.ts";

/** The options of every listing. */
export interface PagingFlags {
  readonly limit?: number;
  readonly cursor?: string;
  readonly all?: true;
}

/** Adds the options of every listing. */
export function addPagingOptions(command: Command): void {
  command
    .option("--limit <n>", "records on a page: 1 to 1000 (default: 100)", parseCount)
    .option("--cursor <cursor>", "continue where an earlier page ended")
    .option("--all", "all pages, not only the first");
}

/**
 * Prints one page, or with `all` page after page in constant memory: a table, or one JSON document
 * `{"items": […], "nextCursor": …}`.
 */
export async function printPages<Item>(
  options: { readonly all: boolean; readonly json: boolean; readonly cursor: string | undefined },
  page: (cursor: string | undefined) => PromiseLike<Page<Item>>,
  header: readonly string[],
  cells: (item: Item) => readonly string[],
): Promise<void> {
  let current = await page(options.cursor);
  let printed = 0;
  if (options.json) await write('{"items":[');
  for (;;) {
    const { items, nextCursor } = current;
    if (options.json) await write(itemsText(items, printed === 0));
    else if (items.length > 0) await printTable(items, printed === 0 ? header : null, cells);
    printed += items.length;
    if (!options.all || nextCursor === null) break;
    current = await page(nextCursor);
  }
  if (options.json) return print(`],"nextCursor":${jsonText(current.nextCursor)}}`);
  if (printed === 0) note("Nothing found.");
  if (current.nextCursor !== null) note(`There is more: --cursor ${current.nextCursor}, or --all.`);
}

function itemsText(items: readonly unknown[], first: boolean): string {
  const separator = first || items.length === 0 ? "" : ",\n";
  return separator + items.map((item) => jsonText(item)).join(",\n");
}

async function printTable<Item>(
  items: readonly Item[],
  header: readonly string[] | null,
  cells: (item: Item) => readonly string[],
): Promise<void> {
  const rows = items.map(cells);
  await print(columns(header === null ? rows : [header, ...rows]).join("\n"));
}

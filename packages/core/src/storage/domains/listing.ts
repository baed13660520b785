import { Buffer } from "node:buffer";
import { invalid } from "../../errors/storage-error.ts";
import type { CallContext, ColumnValue, StoredRecord } from "../backend.ts";
import { type CursorScope, decodeCursor, encodeCursor } from "../cursor.ts";
import { type OptionNames, optionNames } from "../option-names.ts";
import type { Listing, ListOptions, Page } from "../options.ts";
import type { TableName } from "../tables.ts";
import { pageLimit } from "../validation.ts";
import { beginCall, type HandleContext } from "./context.ts";

/** A listing whose pages come from `fetch`; each `await` and each iteration starts anew at `cursor`. */
export function listing<Item>(
  cursor: string | undefined,
  fetch: (cursor: string | undefined) => Promise<Page<Item>>,
): Listing<Item> {
  return {
    // biome-ignore lint/suspicious/noThenProperty: a listing is awaitable by contract
    then: (resolve, reject) => fetch(cursor).then(resolve, reject),
    async *[Symbol.asyncIterator]() {
      let next = cursor;
      do {
        const page = await fetch(next);
        yield* page.items;
        next = page.nextCursor ?? undefined;
      } while (next !== undefined);
    },
  };
}

/** One more record than the page shows tells whether there is a next page. */
export function pageOf<Row, Item>(
  rows: readonly Row[],
  limit: number,
  show: (row: Row) => Item | null,
  cursorAfter: (row: Row) => string,
): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    items: shown.flatMap((row) => show(row) ?? []),
    nextCursor: rows.length > limit && last !== undefined ? cursorAfter(last) : null,
  };
}

/** What a listing of one table needs. */
export interface TableListing<Item> {
  readonly table: TableName;
  readonly within?: readonly string[];
  readonly prefix?: string | undefined;
  readonly where?: Readonly<Record<string, ColumnValue>> | undefined;
  /** The order where none is asked for. @defaultValue false */
  readonly reverse?: boolean;
  /** What isn't to be shown is `null`. */
  readonly show: (record: StoredRecord) => Item | null;
}

/** Lists one table in key order. */
export function tableListing<Item>(
  context: HandleContext,
  options: ListOptions | undefined,
  /** Evaluated at each fetch, so that a wrong argument rejects the call instead of throwing beside it. */
  describe: (call: CallContext) => TableListing<Item> | Promise<TableListing<Item>>,
  names: OptionNames = optionNames.list,
): Listing<Item> {
  return listing(options?.cursor, async (cursor) => {
    const call: CallContext = beginCall(context, options, names);
    const { table, within = [], prefix, where, show, ...defaults } = await describe(call);
    const limit = pageLimit(options?.limit);
    const reverse = options?.reverse ?? defaults.reverse ?? false;
    const scope: CursorScope = [
      context.orgId,
      table,
      reverse,
      prefix,
      ...within,
      JSON.stringify(where ?? {}),
    ];
    const after = cursor === undefined ? undefined : [...within, ...decodeCursor(scope, cursor, 1)];
    const query = { table, within, prefix, where, after, limit: limit + 1, reverse };
    const rows = await context.backend.list(context.orgId, query, call);
    return pageOf(rows, limit, show, (row) => encodeCursor(scope, row.key.slice(within.length)));
  });
}

/** Checks a prefix: any well-formed text up to a key's length, the empty one included. */
export function checkPrefix(prefix: unknown, maxBytes: number): void {
  if (prefix === undefined) return;
  if (
    typeof prefix !== "string" ||
    !prefix.isWellFormed() ||
    Buffer.byteLength(prefix) > maxBytes ||
    /\p{Cc}/u.test(prefix)
  ) {
    throw invalid(
      `prefix must be well-formed text without control characters, at most ${maxBytes} UTF-8 bytes.`,
    );
  }
}

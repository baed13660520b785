import { sql } from "drizzle-orm";
import type { TreeTile } from "../backend.ts";
import { auditTiles } from "../machinery.ts";
import { auditLog } from "../schema.ts";
import type { Call } from "./pipeline.ts";
import { ofOrg, texts } from "./record-sql.ts";
import type { Statements } from "./statements.ts";
import { arrayParameter, type WireRow } from "./wire.ts";

const hashBytes = 32;

const leafHashes = sql`(SELECT string_agg(h.hash, ''::bytea) FROM (SELECT a.hash FROM ${auditLog} AS a WHERE ${ofOrg("a")} AND a.seq >= u.index * 256 AND a.seq < u.index * 256 + u.width ORDER BY a.seq) AS h)`;

const rootsBelow = sql`(SELECT string_agg(h.root, ''::bytea) FROM (SELECT b.root FROM ${auditTiles} AS b WHERE ${ofOrg("b")} AND b.level = u.level - 1 AND b.index >= u.index * 256 AND b.index < u.index * 256 + u.width ORDER BY b.index) AS h)`;

/**
 * Reads tiles of the trail's tree, in any order: each row has the place of the tile that was asked. A full tile is a row of its own; one at the
 * right edge, or asked for so, is put together from what lies below it.
 */
export function readTiles(statements: Statements, org: string, tiles: readonly TreeTile[]): Call {
  const numbers = (pick: (tile: TreeTile) => number) =>
    arrayParameter(tiles.map((tile) => String(pick(tile))));
  return statements.call(
    "audit_tiles",
    () =>
      sql`SELECT u.place, encode(coalesce(CASE WHEN NOT u.below THEN (SELECT CASE WHEN u.width = 256 THEN t.hashes ELSE substr(t.hashes, 1, ${sql.raw(String(hashBytes))} * u.width) END FROM ${auditTiles} AS t WHERE ${ofOrg("t")} AND t.level = u.level AND t.index = u.index) END, CASE WHEN u.width = 256 AND NOT u.below THEN NULL WHEN u.level = 0 THEN ${leafHashes} ELSE ${rootsBelow} END), 'hex') FROM unnest(${texts("levels")}::integer[], ${texts("indexes")}::bigint[], ${texts("widths")}::integer[], ${texts("below")}::boolean[]) WITH ORDINALITY AS u(level, index, width, below, place)`,
    {
      org,
      levels: numbers(({ level }) => level),
      indexes: numbers(({ index }) => index),
      widths: numbers(({ width }) => width),
      below: arrayParameter(tiles.map(({ fromBelow }) => String(fromBelow === true))),
    },
  );
}

/** The tiles' hashes from the rows of {@link readTiles}, in the order asked. */
export function tilesOf(rows: readonly WireRow[], tiles: readonly TreeTile[]): Uint8Array[] {
  const found = new Map(rows.map(([place, hashes]) => [Number(place), hashes]));
  return tiles.map((_, i) => Buffer.from(found.get(i + 1) ?? "", "hex"));
}

import { sql } from "drizzle-orm";
import { StorageError } from "../../errors/storage-error.ts";
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
 * right edge is put together from what lies below it.
 */
export function readTiles(statements: Statements, org: string, tiles: readonly TreeTile[]): Call {
  const numbers = (pick: (tile: TreeTile) => number) =>
    arrayParameter(tiles.map((tile) => String(pick(tile))));
  return statements.call(
    "audit_tiles",
    () =>
      sql`SELECT u.place, encode(coalesce((SELECT substr(t.hashes, 1, ${sql.raw(String(hashBytes))} * u.width) FROM ${auditTiles} AS t WHERE ${ofOrg("t")} AND t.level = u.level AND t.index = u.index), CASE WHEN u.width = 256 THEN NULL WHEN u.level = 0 THEN ${leafHashes} ELSE ${rootsBelow} END), 'hex') FROM unnest(${texts("levels")}::integer[], ${texts("indexes")}::bigint[], ${texts("widths")}::integer[]) WITH ORDINALITY AS u(level, index, width, place)`,
    {
      org,
      levels: numbers(({ level }) => level),
      indexes: numbers(({ index }) => index),
      widths: numbers(({ width }) => width),
    },
  );
}

/**
 * The tiles' hashes from the rows of {@link readTiles}, in the order asked.
 *
 * @throws StorageError `CORRUPTION` when one isn't there as a whole
 */
export function tilesOf(rows: readonly WireRow[], tiles: readonly TreeTile[]): Uint8Array[] {
  const found = new Map(rows.map(([place, hashes]) => [Number(place), hashes]));
  return tiles.map(({ level, index, width }, i) => {
    const hashes = Buffer.from(found.get(i + 1) ?? "", "hex");
    if (hashes.length === width * hashBytes) return hashes;
    throw new StorageError(
      "CORRUPTION",
      `The trail's tree lacks hashes of tile ${index} of level ${level}: rows of audit_log or codespar.audit_tiles were removed. Run: codespar audit verify`,
    );
  });
}

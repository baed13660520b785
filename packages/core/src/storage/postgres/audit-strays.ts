import { type SQL, sql } from "drizzle-orm";
import type { AuditFailure } from "../../domain/audit-proofs.ts";
import { auditHeads, auditOpenIntents, auditParts, auditTiles } from "../machinery.ts";
import { auditLog } from "../schema.ts";
import type { Call } from "./pipeline.ts";
import { ofOrg } from "./record-sql.ts";
import type { Statements } from "./statements.ts";
import type { WireRow } from "./wire.ts";

const size = sql`(SELECT s.size FROM size AS s)`;
const first = (kind: string, place: SQL, from: SQL, where: SQL, order: SQL) =>
  sql`(SELECT ${sql.raw(`'${kind}'`)}, ${place} FROM ${from} WHERE ${where} ORDER BY ${order} LIMIT 1)`;

/** Outside of the trail: a row's number that no entry has. */
const outside = (alias: string) =>
  sql`${ofOrg(alias)} AND (${sql.identifier(alias)}.seq < 0 OR ${sql.identifier(alias)}.seq >= ${size})`;

/**
 * Looks for rows that no reading of entries and tiles meets: one row for each kind there is. Read as one statement, since the trail goes on
 * growing.
 */
export function findStrays(statements: Statements, org: string): Call {
  return statements.call(
    "audit_strays",
    () => sql`WITH size AS MATERIALIZED (SELECT coalesce((SELECT a.seq + 1 FROM ${auditLog} AS a WHERE ${ofOrg("a")} ORDER BY a.seq DESC LIMIT 1), 0) AS size)
      ${sql.join(
        [
          first(
            "entry",
            sql`a.seq::text`,
            sql`${auditLog} AS a`,
            sql`${ofOrg("a")} AND a.seq < 0`,
            sql`a.seq`,
          ),
          first("part", sql`p.seq::text`, sql`${auditParts} AS p`, outside("p"), sql`p.seq`),
          first(
            "intent",
            sql`o.seq::text`,
            sql`${auditOpenIntents} AS o`,
            outside("o"),
            sql`o.seq`,
          ),
          first(
            "tile",
            sql`t.level || '/' || t.index`,
            sql`${auditTiles} AS t`,
            sql`${ofOrg("t")} AND (t.level NOT BETWEEN 0 AND 5 OR t.index < 0 OR (t.index + 1)::numeric * power(256::numeric, t.level + 1) > ${size})`,
            sql`t.level, t.index`,
          ),
          first(
            "name",
            sql`h.log`,
            sql`${auditHeads} AS h`,
            sql`${ofOrg("h")} AND ${size} = 0`,
            sql`h.log`,
          ),
        ],
        sql` UNION ALL `,
      )}`,
    { org },
  );
}

type Stray = (place: string) => Omit<AuditFailure, "expected" | "actual" | "message"> & {
  readonly what: string;
};

const strays: Readonly<Record<string, Stray>> = {
  entry: (place) => ({ seq: Number(place), check: "link", what: `an entry ${place} is stored` }),
  part: (place) => ({
    seq: Number(place),
    check: "parts",
    what: `a part of entry ${place} is stored`,
  }),
  intent: (place) => ({
    seq: Number(place),
    check: "projection",
    what: `entry ${place} is stored as an open intent`,
  }),
  tile: (place) => ({ seq: 0, check: "root", what: `tile ${place} of the tree is stored` }),
  name: (place) => ({ seq: 0, check: "link", what: `a trail ${place} is stored` }),
};

/** The first stray from the rows of {@link findStrays}. */
export function strayOf([row]: readonly WireRow[]): AuditFailure | null {
  const [kind, place] = row ?? [];
  const stray = strays[kind ?? ""]?.(place ?? "");
  if (stray === undefined) return null;
  const { what, ...where } = stray;
  const [expected, actual] = ["none of it", what];
  return { ...where, expected, actual, message: `${what}, and the trail has no such entries` };
}

/** Open intents behind a number, ascending, as rows of their number and correlation id. */
export function listOpenIntents(
  statements: Statements,
  org: string,
  { after, limit }: { readonly after: number; readonly limit: number },
): Call {
  return statements.call(
    "audit_open_intents",
    () =>
      sql`SELECT o.seq, o.correlation_id FROM ${auditOpenIntents} AS o WHERE ${ofOrg("o")} AND o.seq > ${sql.placeholder("after")}::bigint ORDER BY o.seq LIMIT ${sql.placeholder("limit")}::bigint`,
    { org, after: String(after), limit: String(limit) },
  );
}

import { sql } from "drizzle-orm";
import type { PreparedEntry } from "../../audit/entry.ts";
import { leafTail } from "../../audit/leaf-text.ts";
import { auditLog } from "../schema.ts";
import type { Call } from "./pipeline.ts";
import { ofOrg, texts } from "./record-sql.ts";
import type { Statements } from "./statements.ts";
import { arrayParameter } from "./wire.ts";

/**
 * Ends the transaction when the trail holds other bytes under one of these entries' ids. Sent behind `codespar.audit_append`, whose lock
 * keeps the answer true until the commit: what it appended is found to be this very entry, and so is one whose first answer was lost.
 */
export function expectOwnEntries(
  statements: Statements,
  org: string,
  entries: readonly PreparedEntry[],
): Call {
  const segment = (i: 0 | 1 | 2 | 3) => arrayParameter(entries.map((entry) => entry.segments[i]));
  // The trail's name stands between the first segment and the rest.
  const rest = sql`concat(u.before_prev, encode(a.prev, 'hex'), u.before_seq, a.seq::text, u.before_ts, to_char(a.sealed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), ${sql.placeholder("tail")}::text)`;
  return statements.call(
    "audit_own",
    () =>
      sql`SELECT codespar.expectation_failed(json_agg(json_build_object('entry', s.id))) FROM (SELECT a.id, convert_from(a.leaf, 'UTF8') AS leaf, u.before_log AS head, ${rest} AS rest FROM unnest(${texts("ids")}, ${texts("before_log")}, ${texts("before_prev")}, ${texts("before_seq")}, ${texts("before_ts")}) AS u(id, before_log, before_prev, before_seq, before_ts) CROSS JOIN LATERAL (SELECT o.id, o.leaf, o.prev, o.seq, o.sealed_at FROM ${auditLog} AS o WHERE ${ofOrg("o")} AND o.id >= u.id AND o.id <= u.id ORDER BY o.id LIMIT 1) AS a) AS s WHERE NOT (starts_with(s.leaf, s.head) AND right(s.leaf, length(s.rest)) = s.rest) HAVING count(*) > 0`,
    {
      org,
      tail: leafTail,
      ids: arrayParameter(entries.map(({ content }) => content.id)),
      before_log: segment(0),
      before_prev: segment(1),
      before_seq: segment(2),
      before_ts: segment(3),
    },
  );
}

import { type SQL, sql } from "drizzle-orm";
import type { AuditQuery, AuditRow } from "../backend.ts";
import { auditOpenIntents, auditParts } from "../machinery.ts";
import { auditLog } from "../schema.ts";
import { entryColumns, entryOf } from "./audit-sql.ts";
import type { Call } from "./pipeline.ts";
import { all, column, list, ofOrg } from "./record-sql.ts";
import type { Statements } from "./statements.ts";
import type { Parameter, WireRow } from "./wire.ts";

/*
 * How the trail is searched: docs/adr/0008. Every column that a filter can name has an index (org_id, column, seq), so its entries are a list in the
 * order of the trail, read from where the page begins. Of several filters the one with the rarest entries leads, and the others are looked up in
 * each of these. A prefix of actions is the lists of the actions that have it.
 */

/** Columns that can be asked to be equal. */
const equalities = [
  ["correlation_id", "correlationId"],
  ["agent_id", "agentId"],
  ["actor_id", "actorId"],
  ["project", "project"],
  ["action", "action"],
  ["risk", "risk"],
  ["outcome", "outcome"],
  ["actor_type", "actorType"],
] as const;

/** With more actions under a prefix than these it is quicker to walk the trail: each costs as much as a page. */
const mostActions = 100;

/** How rare a list's entries are is told from how far away this one stands. */
const measured = 32;

/** Statements with more equalities than these are planned each time: connections would keep hundreds of large ones that hardly anybody sends. */
const mostPrepared = 2;

/** A condition that one column equals a value. */
interface Equality {
  readonly column: string;
  readonly value: SQL;
}

/** The sequence numbers that a search may find, and the direction in which it looks. */
interface Direction {
  readonly ascending: boolean;
  /** `ASC` or `DESC`. */
  readonly towards: SQL;
  readonly low: SQL;
  readonly high: SQL;
}

const number = (value: number) => sql.raw(String(value));
const limit = sql`LIMIT ${sql.placeholder("limit")}::bigint`;
const prefix = sql`${sql.placeholder("prefix")}::text`;
const hasPrefix = sql`starts_with(a.action, ${prefix})`;

/** A page of the trail; its rows may come in any order. */
export function listEntries(statements: Statements, org: string, query: AuditQuery): Call {
  const { order, after } = query;
  // Every action begins with nothing.
  const { action = "*" } = query.filter;
  const filter = { ...query.filter, action: action === "*" ? undefined : action };
  const prefixed = filter.action?.endsWith("*") === true;
  const given = equalities.filter(
    ([, name]) => filter[name] !== undefined && !(prefixed && name === "action"),
  );
  const bounded = query.maxBytes !== undefined;
  const marks = [
    order,
    prefixed && "prefix",
    filter.unresolved === true && "unresolved",
    bounded && "bytes",
    ...given.map(([name]) => name),
  ];
  const ascending = order === "asc";
  const values: Record<string, Parameter> = {
    org,
    limit: String(query.limit),
    low: String(ascending && after !== undefined ? after + 1 : 0),
    high: String(!ascending && after !== undefined ? after - 1 : Number.MAX_SAFE_INTEGER),
    prefix: filter.action?.slice(0, -1) ?? null,
    from: filter.from ?? null,
    to: filter.to ?? null,
  };
  if (query.maxBytes !== undefined) values["maxBytes"] = String(query.maxBytes);
  for (const [name, key] of given) values[name] = filter[key] ?? null;
  const call = statements.call(
    `audit_list:${marks.filter(Boolean).join(",")}`,
    () =>
      page(
        { ascending, towards: ascending ? sql`ASC` : sql`DESC`, ...range },
        given.map(([name]) => ({ column: name, value: sql`${sql.placeholder(name)}::text` })),
        { prefixed, unresolved: filter.unresolved === true, bounded },
      ),
    values,
  );
  return given.length <= mostPrepared ? call : unprepared(call);
}

function unprepared({ statement, values }: Call): Call {
  return { statement: { ...statement, name: "" }, values };
}

/** The entries from the rows of {@link listEntries}, in the order asked. */
export function pageOf(rows: readonly WireRow[], order: AuditQuery["order"]): AuditRow[] {
  const sign = order === "asc" ? 1 : -1;
  return rows.map(entryOf).sort((a, b) => sign * (a.seq - b.seq));
}

const sealedAt = (name: string) =>
  sql`codespar.audit_seq_at(${sql.placeholder("org")}::text, ${sql.placeholder(name)}::timestamptz)`;

/**
 * Sealing times never go back, so a time range is a range of sequence numbers; without one its end is NULL, which `greatest` and `least` pass
 * over. As subqueries they are found once, not for each probe of an index.
 */
const range: Pick<Direction, "low" | "high"> = {
  low: sql`(SELECT greatest(${sql.placeholder("low")}::bigint, ${sealedAt("from")}))`,
  high: sql`(SELECT least(${sql.placeholder("high")}::bigint, ${sealedAt("to")} - 1))`,
};

function page(
  direction: Direction,
  given: readonly Equality[],
  {
    prefixed,
    unresolved,
    bounded,
  }: { readonly prefixed: boolean; readonly unresolved: boolean; readonly bounded: boolean },
): SQL {
  const found = unresolved
    ? openIntents(direction, given, prefixed)
    : search(direction, given, prefixed);
  const entries = sql`FROM (${found}) AS f CROSS JOIN LATERAL (${entryAt(sql`f.seq`, sql`*`)}) AS a`;
  if (!bounded) return sql`SELECT ${entryColumns} ${entries}`;
  const bytes = sql`(SELECT coalesce(sum(octet_length(p.body)), 0) FROM ${auditParts} AS p WHERE ${ofOrg("p")} AND p.seq = a.seq)`;
  const summed = sql`SELECT b.*, sum(b.bytes) OVER (ORDER BY b.seq ${direction.towards} ROWS UNBOUNDED PRECEDING) - b.bytes AS bytes_before FROM (SELECT a.*, ${bytes} AS bytes ${entries}) AS b`;
  return sql`SELECT ${entryColumns} FROM (${summed}) AS a WHERE a.bytes_before < ${sql.placeholder("maxBytes")}::bigint`;
}

/** The entry at a place. The order asked for is one that only the primary key gives. */
function entryAt(seq: SQL, columns: SQL, ...conditions: readonly SQL[]): SQL {
  const at = [ofOrg("a"), sql`a.seq >= ${seq} AND a.seq <= ${seq}`, ...conditions];
  return sql`SELECT ${columns} FROM ${auditLog} AS a WHERE ${all(at)} ORDER BY a.seq LIMIT 1`;
}

/** A way through the trail that meets every entry of the page, in the trail's order. */
interface Way {
  /** How far from the page's beginning its entry number {@link measured} stands; NULL when it has fewer, -1 when it can't be gone. */
  readonly span: SQL;
  /** The sequence numbers along it, where a condition holds. */
  readonly walk: (condition: SQL) => SQL;
}

/** The sequence numbers of a page of entries that meet all equalities, and the prefix. */
function search(direction: Direction, given: readonly Equality[], prefixed: boolean): SQL {
  const [only, ...others] = given;
  if (!prefixed && only === undefined) return sql`${trail(direction)} ${limit}`;
  if (!prefixed && only !== undefined && others.length === 0)
    return sql`${listOf(only, direction)} ${limit}`;
  const lists = given.map((equality): Way => {
    const rest = given.filter((other) => other !== equality).map(isMet);
    if (prefixed) rest.push(hasPrefix);
    return {
      span: spanOf(equality, direction),
      walk: (condition) => listOf(equality, direction, [...rest, condition]),
    };
  });
  if (!prefixed) return rarest(lists);
  const whole: Way = {
    span: sql`0`,
    walk: (condition) => trail(direction, [hasPrefix, condition]),
  };
  const ways = [byAction(direction, given), ...(only === undefined ? [whole] : lists)];
  return rarest(ways, actionsWithPrefix);
}

/** Goes the way with the rarest entries. @param before - common table expressions that the ways refer to */
function rarest(ways: readonly Way[], before: readonly SQL[] = []): SQL {
  const spans = list(ways.map(({ span }, i) => sql`(${number(i)}, ${span}::numeric)`));
  const lead = sql`lead AS MATERIALIZED (SELECT m.way FROM (VALUES ${spans}) AS m(way, span) ORDER BY m.span DESC NULLS FIRST, m.way LIMIT 1)`;
  const walks = ways.map(
    ({ walk }, i) => sql`(${walk(sql`(SELECT d.way FROM lead AS d) = ${number(i)}`)} ${limit})`,
  );
  return sql`WITH RECURSIVE ${list([...before, lead])} SELECT w.seq FROM (${sql.join(walks, sql` UNION ALL `)}) AS w`;
}

const nextAction = (after: SQL) =>
  sql`SELECT n.action FROM (SELECT a.action FROM ${auditLog} AS a WHERE ${ofOrg("a")} AND a.action ${after} ORDER BY a.action LIMIT 1) AS n WHERE starts_with(n.action, ${prefix})`;

/** The actions that have the prefix, one probe of the index each; one more than {@link mostActions} when there are too many. */
const actionsWithPrefix = [
  sql`found(action) AS ((${nextAction(sql`>= ${prefix}`)}) UNION ALL SELECT m.action FROM found AS p CROSS JOIN LATERAL (${nextAction(sql`> p.action`)}) AS m)`,
  sql`actions AS MATERIALIZED (SELECT p.action FROM found AS p LIMIT ${number(mostActions + 1)})`,
];

/** A page from the list of each action that has the prefix, and of all these the first. */
function byAction(direction: Direction, given: readonly Equality[]): Way {
  const action: Equality = { column: "action", value: sql`p.action` };
  const few = sql`(SELECT count(*) FROM actions) <= ${number(mostActions)}`;
  const each = listOf(action, direction, given.map(isMet));
  const together = sql`SELECT 1 / sum(1.0 / greatest(s.span, 1)) FROM actions AS p CROSS JOIN LATERAL (SELECT ${spanOf(action, direction)} AS span) AS s`;
  return {
    span: sql`(CASE WHEN ${few} THEN (${together}) ELSE -1 END)`,
    walk: (condition) =>
      sql`SELECT l.seq FROM actions AS p CROSS JOIN LATERAL (${each} ${limit}) AS l WHERE ${condition} ORDER BY l.seq ${direction.towards}`,
  };
}

const isMet = ({ column: name, value }: Equality): SQL => sql`${column("a", name)} = ${value}`;

/** As {@link Way.span} of an equality's list. */
function spanOf(equality: Equality, direction: Direction): SQL {
  const start = direction.ascending ? direction.low : direction.high;
  return sql`(SELECT abs(s.seq - ${start}) FROM (${listOf(equality, direction)} OFFSET ${number(measured)} LIMIT 1) AS s)`;
}

/**
 * The sequence numbers of a column's entries within a range, in the order that only its own index gives. The scan starts right at the row that
 * the first comparison names: the bare one must be at the other end, where it ends the scan and shows that the partial index may be used.
 */
function listOf(
  { column: name, value }: Equality,
  { ascending, towards, low, high }: Direction,
  conditions: readonly SQL[] = [],
): SQL {
  const by = column("a", name);
  const within = [
    sql`(${by}, a.seq) >= (${value}, ${low}) AND (${by}, a.seq) <= (${value}, ${high})`,
    ascending ? sql`${by} <= ${value}` : sql`${by} >= ${value}`,
  ];
  return sql`SELECT a.seq FROM ${auditLog} AS a WHERE ${all([ofOrg("a"), ...within, ...conditions])} ORDER BY ${by} ${towards}, a.seq ${towards}`;
}

/** The sequence numbers of the whole trail within a range. */
function trail({ towards, low, high }: Direction, conditions: readonly SQL[] = []): SQL {
  const within = sql`a.seq >= ${low} AND a.seq <= ${high}`;
  return sql`SELECT a.seq FROM ${auditLog} AS a WHERE ${all([ofOrg("a"), within, ...conditions])} ORDER BY a.seq ${towards}`;
}

/** Intents without an outcome: few, whatever the trail's size, so what else is asked is looked up in each. */
function openIntents(direction: Direction, given: readonly Equality[], prefixed: boolean): SQL {
  const { towards, low, high } = direction;
  const conditions = [...given.map(isMet), ...(prefixed ? [hasPrefix] : [])];
  const open = sql`SELECT o.seq FROM ${auditOpenIntents} AS o WHERE ${ofOrg("o")} AND o.seq >= ${low} AND o.seq <= ${high} ORDER BY o.seq ${towards}`;
  const meets = entryAt(sql`o.seq`, sql`1`, ...conditions);
  return sql`SELECT o.seq FROM (${open}) AS o CROSS JOIN LATERAL (${meets}) AS m ${limit}`;
}

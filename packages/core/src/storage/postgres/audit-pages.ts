import { type SQL, sql } from "drizzle-orm";
import type { PgTable } from "drizzle-orm/pg-core";
import type { AuditProjection } from "../../audit/projection.ts";
import type { AuditPart, AuditQuery, AuditRow } from "../backend.ts";
import { auditParts } from "../machinery.ts";
import { auditLog } from "../schema.ts";
import { projected, projectionFrom } from "./audit-sql.ts";
import {
  asBytes,
  asHex,
  asInstant,
  asInteger,
  asText,
  type CopiedRow,
  CopyOut,
} from "./copy-out.ts";
import type { Call } from "./pipeline.ts";
import { column, list } from "./record-sql.ts";
import type { Statements } from "./statements.ts";

/** Whether a query asks for a run of the trail as it is, oldest first: as verification, export and move do, page after page. */
export function isRun({ filter, order }: AuditQuery): boolean {
  return order === "asc" && Object.values(filter).every((value) => value === undefined);
}

const columns = (names: readonly string[]) => list(names.map((name) => column("a", name)));
const texts = projected.filter((name) => name !== "occurred_at");

const bare = columns(["seq", "leaf", "hash"]);
const asBare = [asInteger, asBytes, asHex] as const;
const whole = sql`${bare}, ${columns(["id", "sealed_at", "prev", "occurred_at", ...texts])}`;
const asTexts = texts.map(() => asText);
const asWhole = [...asBare, asText, asInstant, asHex, asInstant, ...asTexts] as const;
const part = columns(["seq", "name", "salt", "body"]);
const asPart = [asInteger, asText, asBytes, asText] as const;

/** COPY takes no parameters: settings of the transaction stand for them. */
const settings = sql`SELECT set_config('codespar.run_org', ${sql.placeholder("org")}, true), set_config('codespar.run_after', ${sql.placeholder("after")}, true), set_config('codespar.run_last', ${sql.placeholder("last")}, true)`;
const within = sql`a.org_id = current_setting('codespar.run_org') AND a.seq > current_setting('codespar.run_after')::bigint AND a.seq <= current_setting('codespar.run_last')::bigint`;

function copyOut(
  statements: Statements,
  key: string,
  selected: SQL,
  table: PgTable,
  order: SQL,
): Call & { readonly into: CopyOut } {
  const build = () =>
    sql`COPY (SELECT ${selected} FROM ${table} AS a WHERE ${within} ORDER BY ${order}) TO STDOUT (FORMAT binary)`;
  return { ...statements.call(key, build, {}), into: new CopyOut() };
}

/** Statements that read a run of the trail. */
export interface Run {
  readonly calls: readonly Call[];
  /** The entries, once the calls are answered: up to the first one that is missing. */
  rows(): AuditRow[];
}

/**
 * Reads a run of the trail: entries and parts apart, each along its primary key and in binary. That is a third of what a search costs, which
 * looks every part up by itself.
 */
export function readRun(statements: Statements, org: string, query: AuditQuery): Run {
  const { after = -1, limit } = query;
  const values = { org, after: String(after), last: String(after + limit) };
  const named = statements.call("audit_run", () => settings, values);
  const bySeq = sql`a.seq`;
  if (query.bare === true) {
    const entries = copyOut(statements, "audit_run_bare", bare, auditLog, bySeq);
    const rows = () => entries.into.rows(asBare, (row) => rowOf(row, null, []));
    return { calls: [named, entries], rows: () => unbroken(rows(), after) };
  }
  const entries = copyOut(statements, "audit_run_whole", whole, auditLog, bySeq);
  const parts = copyOut(statements, "audit_run_parts", part, auditParts, sql`a.seq, a.name`);
  const rows = () => wholeRows(entries.into, parts.into);
  return { calls: [named, entries, parts], rows: () => unbroken(rows(), after) };
}

function unbroken(rows: AuditRow[], after: number): AuditRow[] {
  const gap = rows.findIndex(({ seq }, i) => seq !== after + 1 + i);
  return gap === -1 ? rows : rows.slice(0, gap);
}

function wholeRows(entries: CopyOut, parts: CopyOut): AuditRow[] {
  const partsOf = new Map<number | null, AuditPart[]>();
  parts.rows(asPart, ([seq, name, salt, body]) => {
    const made = { name: name ?? "", salt: salt ?? Buffer.of(), body: body ?? "" };
    const others = partsOf.get(seq);
    if (others === undefined) partsOf.set(seq, [made]);
    else others.push(made);
  });
  return entries.rows(asWhole, ([seq, leaf, hash, id, sealedAt, prev, occurredAt, ...rest]) => {
    const occurred = toMilliseconds(occurredAt);
    const projection = projectionFrom(id, sealedAt, prev, occurred, rest);
    return rowOf([seq, leaf, hash], projection, partsOf.get(seq) ?? []);
  });
}

function rowOf(
  [seq, leaf, hash]: CopiedRow<typeof asBare>,
  projection: AuditProjection | null,
  parts: readonly AuditPart[],
): AuditRow {
  return { seq: seq ?? -1, leaf: leaf ?? Buffer.of(), hash: hash ?? "", parts, projection };
}

/** An instant of a column that has three decimals. */
function toMilliseconds(instant: string | null): string | null {
  return instant?.replace(/000Z$/, "Z") ?? null;
}

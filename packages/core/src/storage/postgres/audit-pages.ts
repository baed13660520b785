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
const settings = sql`SELECT set_config('codespar.run_org', ${sql.placeholder("org")}, true), set_config('codespar.run_after', ${sql.placeholder("after")}, true), set_config('codespar.run_last', ${sql.placeholder("last")}, true), set_config('codespar.run_bytes', ${sql.placeholder("bytes")}, true)`;
const within = sql`a.org_id = current_setting('codespar.run_org') AND a.seq > current_setting('codespar.run_after')::bigint AND a.seq <= current_setting('codespar.run_last')::bigint`;

/** Parts of whole entries: those of entries before which they haven't reached the bytes yet. */
const boundedParts = sql`(SELECT a.*, sum(octet_length(a.body)) OVER (ORDER BY a.seq RANGE BETWEEN UNBOUNDED PRECEDING AND 1::bigint PRECEDING) AS bytes_before FROM ${auditParts} AS a WHERE ${within}) AS a WHERE coalesce(a.bytes_before, 0) < current_setting('codespar.run_bytes')::bigint`;

function copyOut(
  statements: Statements,
  key: string,
  selected: SQL,
  from: SQL,
  order: SQL,
): Call & { readonly into: CopyOut } {
  const build = () =>
    sql`COPY (SELECT ${selected} FROM ${from} ORDER BY ${order}) TO STDOUT (FORMAT binary)`;
  return { ...statements.call(key, build, {}), into: new CopyOut() };
}

const ofTable = (table: PgTable) => sql`${table} AS a WHERE ${within}`;

/** What was read of a run of the trail. */
export interface ReadRun {
  /** The entries up to the first one that is missing, or by which the page has its bytes. */
  readonly rows: AuditRow[];
  /** Whether it ended since it has its bytes. */
  readonly isFull: boolean;
}

/** Statements that read a run of the trail. */
export interface Run {
  readonly calls: readonly Call[];
  /** Once the calls are answered. */
  read(): ReadRun;
}

/**
 * Reads a run of the trail: entries and parts apart, each along its primary key and in binary. That is a third of what a search costs, which
 * looks every part up by itself.
 */
export function readRun(statements: Statements, org: string, query: AuditQuery): Run {
  const { after = -1, limit, maxBytes } = query;
  const values = {
    org,
    after: String(after),
    last: String(after + limit),
    bytes: String(maxBytes ?? ""),
  };
  const named = statements.call("audit_run", () => settings, values);
  const bySeq = sql`a.seq`;
  if (query.bare === true) {
    const entries = copyOut(statements, "audit_run_bare", bare, ofTable(auditLog), bySeq);
    const rows = () => entries.into.rows(asBare, (row) => rowOf(row, null, []));
    return {
      calls: [named, entries],
      read: () => ({ rows: unbroken(rows(), after), isFull: false }),
    };
  }
  const entries = copyOut(statements, "audit_run_whole", whole, ofTable(auditLog), bySeq);
  const [key, from] =
    maxBytes === undefined
      ? ["audit_run_parts", ofTable(auditParts)]
      : ["audit_run_bounded", boundedParts];
  const parts = copyOut(statements, key, part, from, sql`a.seq, a.name`);
  return {
    calls: [named, entries, parts],
    read: () => {
      const found = partsFrom(parts.into);
      const rows = unbroken(wholeRows(entries.into, found.bySeq), after);
      if (maxBytes === undefined || found.bytes < maxBytes) return { rows, isFull: false };
      // Parts of entries behind the last one that has some may have been left out.
      return { rows: rows.filter(({ seq }) => seq <= found.last), isFull: true };
    },
  };
}

function unbroken(rows: AuditRow[], after: number): AuditRow[] {
  const gap = rows.findIndex(({ seq }, i) => seq !== after + 1 + i);
  return gap === -1 ? rows : rows.slice(0, gap);
}

interface Parts {
  readonly bySeq: ReadonlyMap<number | null, AuditPart[]>;
  /** Of their bodies, in UTF-8. */
  readonly bytes: number;
  /** The last entry that has some. */
  readonly last: number;
}

function partsFrom(parts: CopyOut): Parts {
  const bySeq = new Map<number | null, AuditPart[]>();
  let [bytes, last] = [0, -1];
  parts.rows(asPart, ([seq, name, salt, body]) => {
    const made = { name: name ?? "", salt: salt ?? Buffer.of(), body: body ?? "" };
    bytes += Buffer.byteLength(made.body);
    last = seq ?? last;
    const others = bySeq.get(seq);
    if (others === undefined) bySeq.set(seq, [made]);
    else others.push(made);
  });
  return { bySeq, bytes, last };
}

function wholeRows(entries: CopyOut, partsOf: Parts["bySeq"]): AuditRow[] {
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

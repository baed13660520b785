import { sql } from "drizzle-orm";
import type { AuditPart, AuditQuery, AuditRow } from "../backend.ts";
import { auditParts } from "../machinery.ts";
import { auditLog } from "../schema.ts";
import { projectedColumns, projectionFrom } from "./audit-sql.ts";
import type { Call } from "./pipeline.ts";
import { ofOrg } from "./record-sql.ts";
import type { Statements } from "./statements.ts";
import type { WireRow } from "./wire.ts";

/** Whether a query asks for a run of the trail as it is, oldest first: as verification, export and move do, page after page. */
export function isRun({ filter, order }: AuditQuery): boolean {
  return order === "asc" && Object.values(filter).every((value) => value === undefined);
}

const bytes = sql`a.seq, encode(a.leaf, 'escape'), encode(a.hash, 'hex')`;
const all = sql`${bytes}, a.id, extract(epoch FROM a.sealed_at), encode(a.prev, 'hex'), ${projectedColumns}`;
const within = (alias: string) =>
  sql`${ofOrg(alias)} AND ${sql.identifier(alias)}.seq > ${sql.placeholder("after")}::bigint AND ${sql.identifier(alias)}.seq <= ${sql.placeholder("last")}::bigint`;

/**
 * Reads a run of the trail: entries and parts apart, each along its primary key, and in the forms that cost the server least. That is
 * half of what a search costs, which looks every part up by itself.
 */
export function readRun(statements: Statements, org: string, query: AuditQuery): Call[] {
  const after = query.after ?? -1;
  const values = { org, after: String(after), last: String(after + query.limit) };
  const bare = query.bare === true;
  const entries = statements.call(
    bare ? "audit_run_bare" : "audit_run",
    () =>
      sql`SELECT ${bare ? bytes : all} FROM ${auditLog} AS a WHERE ${within("a")} ORDER BY a.seq`,
    values,
  );
  if (bare) return [entries];
  const parts = statements.call(
    "audit_run_parts",
    () =>
      sql`SELECT p.seq, p.name, encode(p.salt, 'hex'), p.body FROM ${auditParts} AS p WHERE ${within("p")} ORDER BY p.seq, p.name`,
    values,
  );
  return [entries, parts];
}

/**
 * The entries from the rows of {@link readRun}.
 *
 * @returns `null` when an entry is missing among them: then they are no page of what is there
 */
export function runOf(
  [entries = [], parts = []]: readonly (readonly WireRow[])[],
  { after = -1, bare }: AuditQuery,
): AuditRow[] | null {
  const last = entries.at(-1);
  if (last !== undefined && Number(last[0]) !== after + entries.length) return null;
  const partsOf = new Map<string, AuditPart[]>();
  for (const [seq, name, salt, body] of parts) {
    const part = { name: name ?? "", salt: Buffer.from(salt ?? "", "hex"), body: body ?? "" };
    const others = partsOf.get(seq ?? "");
    if (others === undefined) partsOf.set(seq ?? "", [part]);
    else others.push(part);
  }
  return entries.map((row) => {
    const [seq, leaf, hash, id, sealedAt, prev, ...projected] = row;
    return {
      seq: Number(seq),
      leaf: unescaped(leaf ?? ""),
      hash: hash ?? "",
      parts: partsOf.get(seq ?? "") ?? [],
      projection: bare === true ? null : projectionFrom(id, instantOf(sealedAt), prev, projected),
    };
  });
}

/** Undoes `encode(…, 'escape')`, which leaves ASCII as it is but for the backslash. */
function unescaped(text: string): Buffer {
  if (!text.includes("\\")) return Buffer.from(text, "latin1");
  const plain = text.replace(/\\(\\|[0-7]{3})/g, (_, code: string) =>
    code === "\\" ? code : String.fromCharCode(Number.parseInt(code, 8)),
  );
  return Buffer.from(plain, "latin1");
}

let second = "";
let shown = "";

/** Seconds since the epoch with six decimals as the leaf writes them. What isn't such comes through as it is. */
function instantOf(seconds: string | null | undefined): string | null | undefined {
  const found = /^(\d{1,11})(\.\d{6})$/.exec(seconds ?? "");
  if (found === null) return seconds;
  const [, whole = "", micros = ""] = found;
  // Entries that follow each other were mostly sealed in the same second.
  if (whole !== second) {
    second = whole;
    shown = new Date(Number(whole) * 1000).toISOString().slice(0, -".000Z".length);
  }
  return `${shown}${micros}Z`;
}

import { sql } from "drizzle-orm";
import { type PreparedEntry, type SealedLeaf, sealEntry } from "../../audit/entry.ts";
import { genesisHash, leafHash, newLogOrigin, sealingTime } from "../../audit/leaf.ts";
import type { AuditProjection } from "../../audit/projection.ts";
import { StorageError } from "../../errors/storage-error.ts";
import type { AuditHead, AuditPart, AuditRow } from "../backend.ts";
import { auditHeads, auditParts } from "../machinery.ts";
import { auditLog } from "../schema.ts";
import type { Call } from "./pipeline.ts";
import { list, ofOrg, texts } from "./record-sql.ts";
import type { Statements } from "./statements.ts";
import { arrayParameter, fromEpoch, type Parameter, type WireRow } from "./wire.ts";

/** The searchable columns besides `id`, `sealed_at` and `prev`. */
export const projected = [
  "actor_type",
  "actor_id",
  "action",
  "outcome",
  "target_type",
  "target_id",
  "agent_id",
  "project",
  "risk",
  "correlation_id",
  "occurred_at",
] as const;

type Projected = Omit<AuditProjection, "sealedAt" | "prev">;

/** The arrays of the projected columns, in the order of {@link projected}, the ids before them. */
function projections(rows: readonly Projected[]): Record<string, Parameter> {
  const array = (pick: (row: Projected) => string | null) => arrayParameter(rows.map(pick));
  return {
    ids: array((row) => row.id),
    actor_type: array((row) => row.actorType),
    actor_id: array((row) => row.actorId),
    action: array((row) => row.action),
    outcome: array((row) => row.outcome),
    target_type: array((row) => row.targetType),
    target_id: array((row) => row.targetId),
    agent_id: array((row) => row.agentId),
    project: array((row) => row.project),
    risk: array((row) => row.risk),
    correlation_id: array((row) => row.correlationId),
    occurred_at: array((row) => row.occurredAt),
  };
}

function parts(
  entries: readonly { readonly place: number; readonly part: AuditPart }[],
): Record<string, Parameter> {
  return {
    part_places: arrayParameter(entries.map(({ place }) => String(place))),
    part_names: arrayParameter(entries.map(({ part }) => part.name)),
    part_salts: arrayParameter(
      entries.map(({ part }) => part.salt),
      "bytea",
    ),
    part_bodies: arrayParameter(entries.map(({ part }) => part.body)),
  };
}

const bytes = (name: string) => sql`${sql.placeholder(name)}::bytea[]`;

/** Seals entries at the end of the trail: one row of the trail's name, the sealing time, where it began, its last hash and known ids. */
export function appendEntries(
  statements: Statements,
  org: string,
  entries: readonly PreparedEntry[],
  nowMs: number,
): Call {
  const segment = (i: 0 | 1 | 2 | 3) => arrayParameter(entries.map((entry) => entry.segments[i]));
  return statements.call(
    "audit_append",
    () =>
      sql`SELECT a.log, a.ts, a.first_seq, a.first_prev, a.last_hash, a.known FROM codespar.audit_append(${list(
        [
          sql`${sql.placeholder("org")}::text, ${sql.placeholder("log")}::text, ${sql.placeholder("ts")}::text`,
          ...["ids", "before_log", "before_prev", "before_seq", "before_ts", ...projected].map(
            texts,
          ),
          sql`${texts("part_places")}::integer[], ${texts("part_names")}, ${bytes("part_salts")}, ${texts("part_bodies")}`,
        ],
      )}) AS a`,
    {
      org,
      log: newLogOrigin(),
      ts: sealingTime(nowMs, null),
      before_log: segment(0),
      before_prev: segment(1),
      before_seq: segment(2),
      before_ts: segment(3),
      ...projections(entries.map(({ content }) => projectionOfContent(content))),
      ...parts(entries.flatMap((entry, i) => entry.parts.map((part) => ({ place: i + 1, part })))),
    },
  );
}

function projectionOfContent(content: PreparedEntry["content"]): Projected {
  return {
    id: content.id,
    actorType: content.actor.type,
    actorId: content.actor.id,
    action: content.action,
    outcome: content.outcome,
    targetType: content.target?.type ?? null,
    targetId: content.target?.id ?? null,
    agentId: content.agent?.id ?? null,
    project: content.project ?? null,
    risk: content.risk ?? null,
    correlationId: content.correlationId ?? null,
    occurredAt: content.occurredAt ?? null,
  };
}

/**
 * Recomputes what the database sealed, byte for byte.
 *
 * @returns the entries by id
 *
 * @throws StorageError `CORRUPTION` when the database came to another hash
 */
export function sealedBy(
  row: WireRow | undefined,
  entries: readonly PreparedEntry[],
): ReadonlyMap<string, SealedLeaf> {
  const [log, ts, firstSeq, firstPrev, lastHash, knownText] = row ?? [];
  const known = new Map<string, SealedLeaf>(knownText ? knownEntries(knownText) : []);
  const sealed = new Map(known);
  let seq = Number(firstSeq);
  let prev = firstPrev ?? "";
  for (const entry of entries) {
    if (known.has(entry.content.id)) continue;
    const leaf = sealEntry(entry, { log: log ?? "", prev, seq, ts: ts ?? "" });
    seq += 1;
    prev = leaf.hash;
    sealed.set(entry.content.id, leaf);
  }
  if (prev !== lastHash) {
    throw new StorageError(
      "CORRUPTION",
      `The database sealed other bytes than these entries' at sequence number ${firstSeq}: its function codespar.audit_append is not ours. Restore it, then run: codespar audit verify`,
    );
  }
  return sealed;
}

function knownEntries(text: string): [string, SealedLeaf][] {
  const rows = JSON.parse(text) as [id: string, seq: number, leafHex: string][];
  return rows.map(([id, seq, leafHex]) => {
    const leaf = Buffer.from(leafHex, "hex").toString("utf8");
    return [id, { seq, leaf, hash: leafHash(leaf), known: true }];
  });
}

const partsOfEntry = sql`(SELECT json_agg(json_build_array(p.name, encode(p.salt, 'hex'), p.body) ORDER BY p.name) FROM ${auditParts} AS p WHERE ${ofOrg("p")} AND p.seq = a.seq)`;

const projectedColumns = list(
  projected.map((name) =>
    name === "occurred_at"
      ? sql`date_part('epoch', a.occurred_at)`
      : sql`a.${sql.identifier(name)}`,
  ),
);

/** What {@link entryOf} reads of an entry under the alias `a`. */
export const entryColumns = sql`a.seq, encode(a.leaf, 'hex'), encode(a.hash, 'hex'), a.id, to_char(a.sealed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), encode(a.prev, 'hex'), ${projectedColumns}, ${partsOfEntry}`;

/** The entry with an id. */
export function findEntry(statements: Statements, org: string, id: string): Call {
  return statements.call(
    "audit_find",
    () =>
      // In the order of ids, which only their own index gives: with "=" the planner may take any other of an empty table's for as good.
      sql`SELECT ${entryColumns} FROM ${auditLog} AS a WHERE ${ofOrg("a")} AND a.id >= ${sql.placeholder("id")} AND a.id <= ${sql.placeholder("id")} ORDER BY a.id LIMIT 1`,
    { org, id },
  );
}

/** Reads a row that was selected as {@link entryColumns}. */
export function entryOf(row: WireRow): AuditRow {
  const [seq, leaf, hash, id, sealedAt, prev, ...rest] = row;
  const parts = rest[projected.length] ?? "[]";
  const stored = JSON.parse(parts) as [name: string, saltHex: string, body: string][];
  return {
    seq: Number(seq),
    leaf: Buffer.from(leaf ?? "", "hex"),
    hash: hash ?? "",
    parts: stored.map(([name, salt, body]) => ({ name, salt: Buffer.from(salt, "hex"), body })),
    projection: projectionFrom(id, sealedAt, prev, occurredAt(rest[projected.length - 1]), rest),
  };
}

/** An instant that was selected as seconds since the epoch; what isn't one comes through as it is. */
function occurredAt(seconds: Shown): Shown {
  return seconds == null || !Number.isFinite(Number(seconds)) ? seconds : fromEpoch(seconds);
}

/**
 * The searchable columns. Verification compares them with the leaf, so whatever is stored must come through.
 *
 * @param rest - the other {@link projected} columns
 */
export function projectionFrom(
  id: Shown,
  sealedAt: Shown,
  prev: Shown,
  occurredAt: Shown,
  rest: WireRow,
): AuditProjection {
  const [
    actorType,
    actorId,
    action,
    outcome,
    targetType,
    targetId,
    agentId,
    project,
    risk,
    correlationId,
  ] = rest;
  const projection = {
    id,
    sealedAt,
    prev,
    actorType,
    actorId,
    action,
    outcome,
    targetType,
    targetId,
    agentId,
    project,
    risk,
    correlationId,
    occurredAt,
  };
  return projection as AuditProjection;
}

type Shown = string | null | undefined;

/** The trail's name, which may have been removed, and its last entry: no row while it is empty. */
export function trailHead(statements: Statements, org: string): Call {
  return statements.call(
    "audit_head",
    () =>
      sql`SELECT (SELECT h.log FROM ${auditHeads} AS h WHERE ${ofOrg("h")}), t.seq, encode(t.hash, 'hex') FROM ${auditLog} AS t WHERE ${ofOrg("t")} ORDER BY t.seq DESC LIMIT 1`,
    { org },
  );
}

/** Reads the row of {@link trailHead}. */
export function headOf(row: WireRow | undefined): AuditHead {
  if (row === undefined) return { size: 0, hash: genesisHash, log: null };
  const [log, seq, hash] = row;
  return { size: Number(seq) + 1, hash: hash ?? "", log: log ?? null };
}

/** Takes over entries as they are; the database checks every hash and link. */
export function importEntries(
  statements: Statements,
  org: string,
  log: string,
  rows: readonly (AuditRow & { readonly projection: AuditProjection })[],
): Call {
  return statements.call(
    "audit_import",
    () =>
      sql`SELECT codespar.audit_import(${list([
        sql`${sql.placeholder("org")}::text, ${sql.placeholder("log")}::text, ${texts("seqs")}::bigint[], ${texts("sealed_at")}`,
        sql`${bytes("prevs")}, ${bytes("leaves")}`,
        ...["ids", ...projected].map(texts),
        sql`${texts("part_places")}::bigint[], ${texts("part_names")}, ${bytes("part_salts")}, ${texts("part_bodies")}`,
      ])})`,
    {
      org,
      log,
      seqs: arrayParameter(rows.map(({ seq }) => String(seq))),
      sealed_at: arrayParameter(rows.map(({ projection }) => projection.sealedAt)),
      prevs: arrayParameter(
        rows.map(({ projection }) => Buffer.from(projection.prev, "hex")),
        "bytea",
      ),
      leaves: arrayParameter(
        rows.map(({ leaf }) => leaf),
        "bytea",
      ),
      ...projections(rows.map(({ projection }) => projection)),
      ...parts(rows.flatMap((row) => row.parts.map((part) => ({ place: row.seq, part })))),
    },
  );
}

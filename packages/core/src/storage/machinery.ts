import { sql } from "drizzle-orm";
import { bigint, check, index, integer, json, pgSchema, primaryKey } from "drizzle-orm/pg-core";
import { bytea, guarded, instant, meta, orgId, text } from "./schema-columns.ts";

/** What the machinery needs besides the eight tables. */
export const codespar = pgSchema("codespar");

/** One row per trail: its identity, and the lock under which it grows. Never updated. */
export const auditHeads = codespar.table(
  "audit_heads",
  { orgId: orgId(), log: text("log").notNull() },
  (t) => [
    primaryKey({ name: "audit_heads_pkey", columns: [t.orgId] }),
    ...guarded("audit_heads", t.orgId),
  ],
);

/** The erasable parts of entries, each with the key of the HMAC that commits to it. */
export const auditParts = codespar.table(
  "audit_parts",
  {
    orgId: orgId(),
    seq: bigint("seq", { mode: "number" }).notNull(),
    name: text("name").notNull(),
    salt: bytea("salt").notNull(),
    body: text("body").notNull(),
  },
  (t) => [
    primaryKey({ name: "audit_parts_pkey", columns: [t.orgId, t.seq, t.name] }),
    ...guarded("audit_parts", t.orgId),
  ],
);

/** Intents that no outcome has followed yet: a searchable copy of the trail, kept by the functions that append to it. */
export const auditOpenIntents = codespar.table(
  "audit_open_intents",
  {
    orgId: orgId(),
    seq: bigint("seq", { mode: "number" }).notNull(),
    correlationId: text("correlation_id").notNull(),
  },
  (t) => [
    primaryKey({ name: "audit_open_intents_pkey", columns: [t.orgId, t.seq] }),
    index("audit_open_intents_correlation_id_idx")
      .on(t.orgId, t.correlationId, t.seq)
      .where(sql`${t.correlationId} IS NOT NULL`),
    ...guarded("audit_open_intents", t.orgId),
  ],
);

/** Which organisation a Slack workspace belongs to: the one table that isn't keyed by organisation. Reached through `codespar.slack_route`. */
export const slackRoutes = codespar.table(
  "slack_routes",
  { teamKey: text("team_key").notNull(), orgId: orgId() },
  (t) => [
    primaryKey({ name: "slack_routes_pkey", columns: [t.teamKey] }),
    ...guarded("slack_routes", t.orgId),
  ],
);

/** A known text sealed with the deployment's key, by which a wrong key is told. No organisation's; reached through functions. */
export const keyCanary = codespar
  .table(
    "key_canary",
    { id: integer("id").notNull().default(1), canary: text("canary").notNull() },
    (t) => [
      primaryKey({ name: "key_canary_pkey", columns: [t.id] }),
      check("key_canary_id_check", sql`${t.id} = 1`),
    ],
  )
  .enableRLS();

/**
 * The trail's Merkle tree in tiles of 256 hashes (C2SP tlog-tiles, height 8): only full ones, each added once. Level 0 holds leaf hashes, level
 * n the roots of the tiles of level n - 1.
 */
export const auditTiles = codespar.table(
  "audit_tiles",
  {
    orgId: orgId(),
    level: integer("level").notNull(),
    index: bigint("index", { mode: "number" }).notNull(),
    /** 256 hashes of 32 bytes. */
    hashes: bytea("hashes").notNull(),
    /** The root over them: this tile's hash in the level above. */
    root: bytea("root").notNull(),
  },
  (t) => [
    primaryKey({ name: "audit_tiles_pkey", columns: [t.orgId, t.level, t.index] }),
    ...guarded("audit_tiles", t.orgId),
  ],
);

/** Signed checkpoints by size (16 decimal digits). Only ever added. */
export const auditCheckpoints = codespar.table(
  "audit_checkpoints",
  { orgId: orgId(), size: text("size").notNull(), note: text("note").notNull(), ...meta() },
  (t) => [
    primaryKey({ name: "audit_checkpoints_pkey", columns: [t.orgId, t.size] }),
    ...guarded("audit_checkpoints", t.orgId),
  ],
);

/** Keys that sign checkpoints, one after the other (8 decimal digits); `seed` is sealed, and gone once the key is retired. */
export const auditKeys = codespar.table(
  "audit_keys",
  {
    orgId: orgId(),
    generation: text("generation").notNull(),
    vkey: text("vkey").notNull(),
    seed: text("seed"),
    retiredAt: instant("retired_at"),
    ...meta(),
  },
  (t) => [
    primaryKey({ name: "audit_keys_pkey", columns: [t.orgId, t.generation] }),
    ...guarded("audit_keys", t.orgId),
  ],
);

/** The newest checkpoint that each anchor outside has taken. */
export const auditAnchors = codespar.table(
  "audit_anchors",
  {
    orgId: orgId(),
    anchor: text("anchor").notNull(),
    size: text("size").notNull(),
    anchoredAt: instant("anchored_at").notNull(),
    ...meta(),
  },
  (t) => [
    primaryKey({ name: "audit_anchors_pkey", columns: [t.orgId, t.anchor] }),
    ...guarded("audit_anchors", t.orgId),
  ],
);

/** API keys: of the secret only its SHA-256 is kept. */
export const apiKeys = codespar.table(
  "api_keys",
  {
    orgId: orgId(),
    id: text("id").notNull(),
    name: text("name").notNull(),
    hash: text("hash").notNull(),
    scopes: json("scopes").notNull(),
    createdBy: text("created_by").notNull(),
    /** Not `expires_at`: an expired key is still listed. */
    validUntil: instant("valid_until"),
    lastUsedAt: instant("last_used_at"),
    revokedAt: instant("revoked_at"),
    ...meta(),
  },
  (t) => [
    primaryKey({ name: "api_keys_pkey", columns: [t.orgId, t.id] }),
    ...guarded("api_keys", t.orgId),
  ],
);

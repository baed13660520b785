import { sql } from "drizzle-orm";
import {
  bigint,
  boolean,
  check,
  index,
  integer,
  json,
  pgTable,
  primaryKey,
  timestamp,
  unique,
} from "drizzle-orm/pg-core";
import { bytea, guarded, instant, meta, orgId, text } from "./schema-columns.ts";

/*
 * The eight tables. Edit, then `npm run db:generate` and `npm run db:migrate`. What drizzle-kit can't express (FORCE ROW LEVEL SECURITY,
 * owners, grants, functions, triggers) stands in hand-written migrations beside the generated ones.
 */

/** Key-value memory per agent. */
export const agentMemory = pgTable(
  "agent_memory",
  {
    orgId: orgId(),
    agentId: text("agent_id").notNull(),
    key: text("key").notNull(),
    /** The text of `JSON.stringify`: `jsonb` rejects what JSON allows. Query it through `codespar.jsonb(value)`. */
    value: json("value").notNull(),
    ...meta(),
  },
  (t) => [
    primaryKey({ name: "agent_memory_pkey", columns: [t.orgId, t.agentId, t.key] }),
    index("agent_memory_expires_at_idx").on(t.expiresAt).where(sql`${t.expiresAt} IS NOT NULL`),
    ...guarded("agent_memory", t.orgId),
  ],
);

/** Agents, their status and autonomy. */
export const agentStates = pgTable(
  "agent_states",
  {
    orgId: orgId(),
    agentId: text("agent_id").notNull(),
    type: text("type").notNull(),
    name: text("name").notNull(),
    status: text("status").notNull(),
    autonomyLevel: integer("autonomy_level").notNull(),
    projectId: text("project_id"),
    lastActivityAt: instant("last_activity_at"),
    ...meta(),
  },
  (t) => [
    primaryKey({ name: "agent_states_pkey", columns: [t.orgId, t.agentId] }),
    // Partial, so that it can't be taken for the primary key: on a table that seems small, the planner finds them equally good.
    index("agent_states_status_idx")
      .on(t.orgId, t.status, t.agentId)
      .where(sql`${t.status} IS NOT NULL`),
    check(
      "agent_states_status_check",
      sql`${t.status} IN ('active', 'idle', 'suspended', 'error')`,
    ),
    check("agent_states_autonomy_level_check", sql`${t.autonomyLevel} BETWEEN 0 AND 5`),
    ...guarded("agent_states", t.orgId),
  ],
);

/** Integrations: settings, and credentials sealed. */
export const channelConfigs = pgTable(
  "channel_configs",
  {
    orgId: orgId(),
    integration: text("integration").notNull(),
    settings: json("settings").notNull(),
    credentialNames: json("credential_names").notNull(),
    credentials: text("credentials").notNull(),
    ...meta(),
  },
  (t) => [
    primaryKey({ name: "channel_configs_pkey", columns: [t.orgId, t.integration] }),
    ...guarded("channel_configs", t.orgId),
  ],
);

/** The repository linked to each agent. */
export const projectConfigs = pgTable(
  "project_configs",
  {
    orgId: orgId(),
    agentId: text("agent_id").notNull(),
    repositoryUrl: text("repository_url").notNull(),
    host: text("host").notNull(),
    owner: text("owner").notNull(),
    name: text("name").notNull(),
    defaultBranch: text("default_branch").notNull(),
    webhookConfigured: boolean("webhook_configured").notNull(),
    webhookId: text("webhook_id"),
    linkedAt: instant("linked_at").notNull(),
    linkedBy: text("linked_by").notNull(),
    ...meta(),
  },
  (t) => [
    primaryKey({ name: "project_configs_pkey", columns: [t.orgId, t.agentId] }),
    ...guarded("project_configs", t.orgId),
  ],
);

/** The project registry. */
export const projects = pgTable(
  "projects",
  {
    orgId: orgId(),
    id: text("id").notNull(),
    name: text("name").notNull(),
    slug: text("slug").notNull(),
    repository: text("repository"),
    agentId: text("agent_id"),
    ...meta(),
  },
  (t) => [
    primaryKey({ name: "projects_pkey", columns: [t.orgId, t.id] }),
    unique("projects_slug_key").on(t.orgId, t.slug),
    ...guarded("projects", t.orgId),
  ],
);

/** Slack OAuth installations, tokens sealed. */
export const slackInstallations = pgTable(
  "slack_installations",
  {
    orgId: orgId(),
    route: text("route").notNull(),
    teamId: text("team_id"),
    enterpriseId: text("enterprise_id"),
    isEnterpriseInstall: boolean("is_enterprise_install").notNull(),
    teamName: text("team_name"),
    appId: text("app_id"),
    botUserId: text("bot_user_id"),
    scopes: json("scopes").notNull(),
    tokenNames: json("token_names").notNull(),
    tokens: text("tokens").notNull(),
    installedAt: instant("installed_at").notNull(),
    ...meta(),
  },
  (t) => [
    primaryKey({ name: "slack_installations_pkey", columns: [t.orgId, t.route] }),
    ...guarded("slack_installations", t.orgId),
  ],
);

/** Newsletter subscribers. */
export const subscribers = pgTable(
  "subscribers",
  {
    orgId: orgId(),
    email: text("email").notNull(),
    source: text("source").notNull(),
    status: text("status").notNull(),
    subscribedAt: instant("subscribed_at").notNull(),
    confirmedAt: instant("confirmed_at"),
    unsubscribedAt: instant("unsubscribed_at"),
    ...meta(),
  },
  (t) => [
    primaryKey({ name: "subscribers_pkey", columns: [t.orgId, t.email] }),
    index("subscribers_status_idx").on(t.orgId, t.status, t.email),
    index("subscribers_source_idx").on(t.orgId, t.source, t.email),
    check("subscribers_status_check", sql`${t.status} IN ('pending', 'confirmed', 'unsubscribed')`),
    ...guarded("subscribers", t.orgId),
  ],
);

/** The hash-chained trail: `leaf` is what counts, the other columns are its searchable copy. Rows come from `codespar.audit_append` only. */
export const auditLog = pgTable(
  "audit_log",
  {
    orgId: orgId(),
    seq: bigint("seq", { mode: "number" }).notNull(),
    id: text("id").notNull(),
    sealedAt: timestamp("sealed_at", {
      withTimezone: true,
      precision: 6,
      mode: "string",
    }).notNull(),
    prev: bytea("prev").notNull(),
    hash: bytea("hash").notNull(),
    /** Exactly the bytes that are hashed. */
    leaf: bytea("leaf").notNull(),
    actorType: text("actor_type").notNull(),
    actorId: text("actor_id").notNull(),
    action: text("action").notNull(),
    outcome: text("outcome").notNull(),
    targetType: text("target_type"),
    targetId: text("target_id"),
    agentId: text("agent_id"),
    project: text("project"),
    risk: text("risk"),
    correlationId: text("correlation_id"),
    occurredAt: instant("occurred_at"),
  },
  (t) => [
    primaryKey({ name: "audit_log_pkey", columns: [t.orgId, t.seq] }),
    unique("audit_log_id_key").on(t.orgId, t.id),
    // Partial, like those that follow, so that none can be taken for one of the unique ones.
    index("audit_log_actor_id_idx")
      .on(t.orgId, t.actorId, t.seq)
      .where(sql`${t.actorId} IS NOT NULL`),
    index("audit_log_action_idx").on(t.orgId, t.action, t.seq).where(sql`${t.action} IS NOT NULL`),
    index("audit_log_agent_id_idx")
      .on(t.orgId, t.agentId, t.seq)
      .where(sql`${t.agentId} IS NOT NULL`),
    index("audit_log_project_idx")
      .on(t.orgId, t.project, t.seq)
      .where(sql`${t.project} IS NOT NULL`),
    index("audit_log_correlation_id_idx")
      .on(t.orgId, t.correlationId, t.seq)
      .where(sql`${t.correlationId} IS NOT NULL`),
    index("audit_log_outcome_idx")
      .on(t.orgId, t.outcome, t.seq)
      .where(sql`${t.outcome} IS NOT NULL`),
    index("audit_log_actor_type_idx")
      .on(t.orgId, t.actorType, t.seq)
      .where(sql`${t.actorType} IS NOT NULL`),
    index("audit_log_risk_idx").on(t.orgId, t.risk, t.seq).where(sql`${t.risk} IS NOT NULL`),
    ...guarded("audit_log", t.orgId),
  ],
);

/** How a column is stored: `json` is JSON text (PostgreSQL `json`), `instant` an ISO string (`timestamptz(3)`). */
export type ColumnType = "text" | "integer" | "boolean" | "json" | "instant";

export interface TableSpec {
  /** The key's columns after `org_id`. */
  readonly key: readonly string[];
  readonly columns: Readonly<Record<string, ColumnType>>;
  /** Columns whose non-null values are unique in the organisation. */
  readonly unique: readonly string[];
}

const table = (
  key: readonly string[],
  columns: Readonly<Record<string, ColumnType>>,
  unique: readonly string[] = [],
): TableSpec => ({ key, columns, unique });

/** A table of mutable records. */
export type TableName =
  | "agent_memory"
  | "agent_states"
  | "api_keys"
  | "audit_anchors"
  | "audit_checkpoints"
  | "audit_keys"
  | "channel_configs"
  | "project_configs"
  | "projects"
  | "slack_installations"
  | "subscribers";

/**
 * The tables of mutable records, for both backends: seven of the eight (`audit_log` isn't made of such), and the machinery's. Every record
 * also has `version`, `created_at`, `updated_at` and `expires_at`.
 */
export const tables = {
  agent_memory: table(["agent_id", "key"], { value: "json" }),
  agent_states: table(["agent_id"], {
    type: "text",
    name: "text",
    status: "text",
    autonomy_level: "integer",
    project_id: "text",
    last_activity_at: "instant",
  }),
  api_keys: table(["id"], {
    name: "text",
    hash: "text",
    scopes: "json",
    created_by: "text",
    valid_until: "instant",
    last_used_at: "instant",
    revoked_at: "instant",
  }),
  audit_anchors: table(["anchor"], { size: "text", anchored_at: "instant" }),
  audit_checkpoints: table(["size"], { note: "text" }),
  audit_keys: table(["generation"], { vkey: "text", seed: "text", retired_at: "instant" }),
  channel_configs: table(["integration"], {
    settings: "json",
    credential_names: "json",
    credentials: "text",
  }),
  project_configs: table(["agent_id"], {
    repository_url: "text",
    host: "text",
    owner: "text",
    name: "text",
    default_branch: "text",
    webhook_configured: "boolean",
    webhook_id: "text",
    linked_at: "instant",
    linked_by: "text",
  }),
  projects: table(["id"], { name: "text", slug: "text", repository: "text", agent_id: "text" }, [
    "slug",
  ]),
  slack_installations: table(["route"], {
    team_id: "text",
    enterprise_id: "text",
    is_enterprise_install: "boolean",
    team_name: "text",
    app_id: "text",
    bot_user_id: "text",
    scopes: "json",
    token_names: "json",
    tokens: "text",
    installed_at: "instant",
  }),
  subscribers: table(["email"], {
    source: "text",
    status: "text",
    subscribed_at: "instant",
    confirmed_at: "instant",
    unsubscribed_at: "instant",
  }),
} as const satisfies Record<TableName, TableSpec>;

/** The tables in the one order in which rows are locked and listed. */
export const tableNames = Object.keys(tables).sort() as TableName[];

/** What messages call a record, here and over HTTP. */
export const nouns: Readonly<Record<TableName, string>> = {
  agent_memory: "memory entry",
  agent_states: "agent",
  api_keys: "API key",
  audit_anchors: "anchor",
  audit_checkpoints: "checkpoint",
  audit_keys: "signing key",
  channel_configs: "integration",
  project_configs: "repository link",
  projects: "project",
  slack_installations: "Slack installation",
  subscribers: "subscriber",
};

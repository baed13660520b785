CREATE SCHEMA "codespar";
--> statement-breakpoint
CREATE TABLE "agent_memory" (
	"org_id" text COLLATE "C" NOT NULL,
	"agent_id" text COLLATE "C" NOT NULL,
	"key" text COLLATE "C" NOT NULL,
	"value" json NOT NULL,
	"version" text COLLATE "C" NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"updated_at" timestamp(3) with time zone NOT NULL,
	"expires_at" timestamp(3) with time zone,
	"overwritten" boolean DEFAULT false NOT NULL,
	CONSTRAINT "agent_memory_pkey" PRIMARY KEY("org_id","agent_id","key"),
	CONSTRAINT "agent_memory_org_id_check" CHECK ("agent_memory"."org_id" <> '')
);
--> statement-breakpoint
ALTER TABLE "agent_memory" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "agent_states" (
	"org_id" text COLLATE "C" NOT NULL,
	"agent_id" text COLLATE "C" NOT NULL,
	"type" text COLLATE "C" NOT NULL,
	"name" text COLLATE "C" NOT NULL,
	"status" text COLLATE "C" NOT NULL,
	"autonomy_level" integer NOT NULL,
	"project_id" text COLLATE "C",
	"last_activity_at" timestamp(3) with time zone,
	"version" text COLLATE "C" NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"updated_at" timestamp(3) with time zone NOT NULL,
	"expires_at" timestamp(3) with time zone,
	"overwritten" boolean DEFAULT false NOT NULL,
	CONSTRAINT "agent_states_pkey" PRIMARY KEY("org_id","agent_id"),
	CONSTRAINT "agent_states_status_check" CHECK ("agent_states"."status" IN ('active', 'idle', 'suspended', 'error')),
	CONSTRAINT "agent_states_autonomy_level_check" CHECK ("agent_states"."autonomy_level" BETWEEN 0 AND 5),
	CONSTRAINT "agent_states_org_id_check" CHECK ("agent_states"."org_id" <> '')
);
--> statement-breakpoint
ALTER TABLE "agent_states" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "audit_log" (
	"org_id" text COLLATE "C" NOT NULL,
	"seq" bigint NOT NULL,
	"id" text COLLATE "C" NOT NULL,
	"sealed_at" timestamp(6) with time zone NOT NULL,
	"prev" "bytea" NOT NULL,
	"hash" "bytea" NOT NULL,
	"leaf" "bytea" NOT NULL,
	"actor_type" text COLLATE "C" NOT NULL,
	"actor_id" text COLLATE "C" NOT NULL,
	"action" text COLLATE "C" NOT NULL,
	"outcome" text COLLATE "C" NOT NULL,
	"target_type" text COLLATE "C",
	"target_id" text COLLATE "C",
	"agent_id" text COLLATE "C",
	"project" text COLLATE "C",
	"risk" text COLLATE "C",
	"correlation_id" text COLLATE "C",
	"occurred_at" timestamp(3) with time zone,
	CONSTRAINT "audit_log_pkey" PRIMARY KEY("org_id","seq"),
	CONSTRAINT "audit_log_id_key" UNIQUE("org_id","id"),
	CONSTRAINT "audit_log_org_id_check" CHECK ("audit_log"."org_id" <> '')
);
--> statement-breakpoint
ALTER TABLE "audit_log" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "channel_configs" (
	"org_id" text COLLATE "C" NOT NULL,
	"integration" text COLLATE "C" NOT NULL,
	"settings" json NOT NULL,
	"credential_names" json NOT NULL,
	"credentials" text COLLATE "C" NOT NULL,
	"version" text COLLATE "C" NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"updated_at" timestamp(3) with time zone NOT NULL,
	"expires_at" timestamp(3) with time zone,
	"overwritten" boolean DEFAULT false NOT NULL,
	CONSTRAINT "channel_configs_pkey" PRIMARY KEY("org_id","integration"),
	CONSTRAINT "channel_configs_org_id_check" CHECK ("channel_configs"."org_id" <> '')
);
--> statement-breakpoint
ALTER TABLE "channel_configs" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "project_configs" (
	"org_id" text COLLATE "C" NOT NULL,
	"agent_id" text COLLATE "C" NOT NULL,
	"repository_url" text COLLATE "C" NOT NULL,
	"host" text COLLATE "C" NOT NULL,
	"owner" text COLLATE "C" NOT NULL,
	"name" text COLLATE "C" NOT NULL,
	"default_branch" text COLLATE "C" NOT NULL,
	"webhook_configured" boolean NOT NULL,
	"webhook_id" text COLLATE "C",
	"linked_at" timestamp(3) with time zone NOT NULL,
	"linked_by" text COLLATE "C" NOT NULL,
	"version" text COLLATE "C" NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"updated_at" timestamp(3) with time zone NOT NULL,
	"expires_at" timestamp(3) with time zone,
	"overwritten" boolean DEFAULT false NOT NULL,
	CONSTRAINT "project_configs_pkey" PRIMARY KEY("org_id","agent_id"),
	CONSTRAINT "project_configs_org_id_check" CHECK ("project_configs"."org_id" <> '')
);
--> statement-breakpoint
ALTER TABLE "project_configs" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "projects" (
	"org_id" text COLLATE "C" NOT NULL,
	"id" text COLLATE "C" NOT NULL,
	"name" text COLLATE "C" NOT NULL,
	"slug" text COLLATE "C" NOT NULL,
	"repository" text COLLATE "C",
	"agent_id" text COLLATE "C",
	"version" text COLLATE "C" NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"updated_at" timestamp(3) with time zone NOT NULL,
	"expires_at" timestamp(3) with time zone,
	"overwritten" boolean DEFAULT false NOT NULL,
	CONSTRAINT "projects_pkey" PRIMARY KEY("org_id","id"),
	CONSTRAINT "projects_slug_key" UNIQUE("org_id","slug"),
	CONSTRAINT "projects_org_id_check" CHECK ("projects"."org_id" <> '')
);
--> statement-breakpoint
ALTER TABLE "projects" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "slack_installations" (
	"org_id" text COLLATE "C" NOT NULL,
	"route" text COLLATE "C" NOT NULL,
	"team_id" text COLLATE "C",
	"enterprise_id" text COLLATE "C",
	"is_enterprise_install" boolean NOT NULL,
	"team_name" text COLLATE "C",
	"app_id" text COLLATE "C",
	"bot_user_id" text COLLATE "C",
	"scopes" json NOT NULL,
	"token_names" json NOT NULL,
	"tokens" text COLLATE "C" NOT NULL,
	"installed_at" timestamp(3) with time zone NOT NULL,
	"version" text COLLATE "C" NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"updated_at" timestamp(3) with time zone NOT NULL,
	"expires_at" timestamp(3) with time zone,
	"overwritten" boolean DEFAULT false NOT NULL,
	CONSTRAINT "slack_installations_pkey" PRIMARY KEY("org_id","route"),
	CONSTRAINT "slack_installations_org_id_check" CHECK ("slack_installations"."org_id" <> '')
);
--> statement-breakpoint
ALTER TABLE "slack_installations" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "subscribers" (
	"org_id" text COLLATE "C" NOT NULL,
	"email" text COLLATE "C" NOT NULL,
	"source" text COLLATE "C" NOT NULL,
	"status" text COLLATE "C" NOT NULL,
	"subscribed_at" timestamp(3) with time zone NOT NULL,
	"confirmed_at" timestamp(3) with time zone,
	"unsubscribed_at" timestamp(3) with time zone,
	"version" text COLLATE "C" NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"updated_at" timestamp(3) with time zone NOT NULL,
	"expires_at" timestamp(3) with time zone,
	"overwritten" boolean DEFAULT false NOT NULL,
	CONSTRAINT "subscribers_pkey" PRIMARY KEY("org_id","email"),
	CONSTRAINT "subscribers_status_check" CHECK ("subscribers"."status" IN ('pending', 'confirmed', 'unsubscribed')),
	CONSTRAINT "subscribers_org_id_check" CHECK ("subscribers"."org_id" <> '')
);
--> statement-breakpoint
ALTER TABLE "subscribers" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "codespar"."api_keys" (
	"org_id" text COLLATE "C" NOT NULL,
	"id" text COLLATE "C" NOT NULL,
	"name" text COLLATE "C" NOT NULL,
	"hash" text COLLATE "C" NOT NULL,
	"scopes" json NOT NULL,
	"created_by" text COLLATE "C" NOT NULL,
	"valid_until" timestamp(3) with time zone,
	"last_used_at" timestamp(3) with time zone,
	"revoked_at" timestamp(3) with time zone,
	"version" text COLLATE "C" NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"updated_at" timestamp(3) with time zone NOT NULL,
	"expires_at" timestamp(3) with time zone,
	"overwritten" boolean DEFAULT false NOT NULL,
	CONSTRAINT "api_keys_pkey" PRIMARY KEY("org_id","id"),
	CONSTRAINT "api_keys_org_id_check" CHECK ("codespar"."api_keys"."org_id" <> '')
);
--> statement-breakpoint
ALTER TABLE "codespar"."api_keys" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "codespar"."audit_anchors" (
	"org_id" text COLLATE "C" NOT NULL,
	"anchor" text COLLATE "C" NOT NULL,
	"size" text COLLATE "C" NOT NULL,
	"anchored_at" timestamp(3) with time zone NOT NULL,
	"version" text COLLATE "C" NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"updated_at" timestamp(3) with time zone NOT NULL,
	"expires_at" timestamp(3) with time zone,
	"overwritten" boolean DEFAULT false NOT NULL,
	CONSTRAINT "audit_anchors_pkey" PRIMARY KEY("org_id","anchor"),
	CONSTRAINT "audit_anchors_org_id_check" CHECK ("codespar"."audit_anchors"."org_id" <> '')
);
--> statement-breakpoint
ALTER TABLE "codespar"."audit_anchors" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "codespar"."audit_checkpoints" (
	"org_id" text COLLATE "C" NOT NULL,
	"size" text COLLATE "C" NOT NULL,
	"note" text COLLATE "C" NOT NULL,
	"version" text COLLATE "C" NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"updated_at" timestamp(3) with time zone NOT NULL,
	"expires_at" timestamp(3) with time zone,
	"overwritten" boolean DEFAULT false NOT NULL,
	CONSTRAINT "audit_checkpoints_pkey" PRIMARY KEY("org_id","size"),
	CONSTRAINT "audit_checkpoints_org_id_check" CHECK ("codespar"."audit_checkpoints"."org_id" <> '')
);
--> statement-breakpoint
ALTER TABLE "codespar"."audit_checkpoints" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "codespar"."audit_heads" (
	"org_id" text COLLATE "C" NOT NULL,
	"log" text COLLATE "C" NOT NULL,
	CONSTRAINT "audit_heads_pkey" PRIMARY KEY("org_id"),
	CONSTRAINT "audit_heads_org_id_check" CHECK ("codespar"."audit_heads"."org_id" <> '')
);
--> statement-breakpoint
ALTER TABLE "codespar"."audit_heads" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "codespar"."audit_keys" (
	"org_id" text COLLATE "C" NOT NULL,
	"generation" text COLLATE "C" NOT NULL,
	"vkey" text COLLATE "C" NOT NULL,
	"seed" text COLLATE "C",
	"retired_at" timestamp(3) with time zone,
	"version" text COLLATE "C" NOT NULL,
	"created_at" timestamp(3) with time zone NOT NULL,
	"updated_at" timestamp(3) with time zone NOT NULL,
	"expires_at" timestamp(3) with time zone,
	"overwritten" boolean DEFAULT false NOT NULL,
	CONSTRAINT "audit_keys_pkey" PRIMARY KEY("org_id","generation"),
	CONSTRAINT "audit_keys_org_id_check" CHECK ("codespar"."audit_keys"."org_id" <> '')
);
--> statement-breakpoint
ALTER TABLE "codespar"."audit_keys" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "codespar"."audit_open_intents" (
	"org_id" text COLLATE "C" NOT NULL,
	"seq" bigint NOT NULL,
	"correlation_id" text COLLATE "C" NOT NULL,
	CONSTRAINT "audit_open_intents_pkey" PRIMARY KEY("org_id","seq"),
	CONSTRAINT "audit_open_intents_org_id_check" CHECK ("codespar"."audit_open_intents"."org_id" <> '')
);
--> statement-breakpoint
ALTER TABLE "codespar"."audit_open_intents" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "codespar"."audit_parts" (
	"org_id" text COLLATE "C" NOT NULL,
	"seq" bigint NOT NULL,
	"name" text COLLATE "C" NOT NULL,
	"salt" "bytea" NOT NULL,
	"body" text COLLATE "C" NOT NULL,
	CONSTRAINT "audit_parts_pkey" PRIMARY KEY("org_id","seq","name"),
	CONSTRAINT "audit_parts_org_id_check" CHECK ("codespar"."audit_parts"."org_id" <> '')
);
--> statement-breakpoint
ALTER TABLE "codespar"."audit_parts" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "codespar"."audit_tiles" (
	"org_id" text COLLATE "C" NOT NULL,
	"level" integer NOT NULL,
	"index" bigint NOT NULL,
	"hashes" "bytea" NOT NULL,
	"root" "bytea" NOT NULL,
	CONSTRAINT "audit_tiles_pkey" PRIMARY KEY("org_id","level","index"),
	CONSTRAINT "audit_tiles_org_id_check" CHECK ("codespar"."audit_tiles"."org_id" <> '')
);
--> statement-breakpoint
ALTER TABLE "codespar"."audit_tiles" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "codespar"."key_canary" (
	"id" integer DEFAULT 1 NOT NULL,
	"canary" text COLLATE "C" NOT NULL,
	CONSTRAINT "key_canary_pkey" PRIMARY KEY("id"),
	CONSTRAINT "key_canary_id_check" CHECK ("codespar"."key_canary"."id" = 1)
);
--> statement-breakpoint
ALTER TABLE "codespar"."key_canary" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE TABLE "codespar"."slack_routes" (
	"team_key" text COLLATE "C" NOT NULL,
	"org_id" text COLLATE "C" NOT NULL,
	CONSTRAINT "slack_routes_pkey" PRIMARY KEY("team_key"),
	CONSTRAINT "slack_routes_org_id_check" CHECK ("codespar"."slack_routes"."org_id" <> '')
);
--> statement-breakpoint
ALTER TABLE "codespar"."slack_routes" ENABLE ROW LEVEL SECURITY;--> statement-breakpoint
CREATE INDEX "agent_memory_expires_at_idx" ON "agent_memory" USING btree ("expires_at") WHERE "agent_memory"."expires_at" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "agent_states_status_idx" ON "agent_states" USING btree ("org_id","status","agent_id") WHERE "agent_states"."status" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "audit_log_actor_id_idx" ON "audit_log" USING btree ("org_id","actor_id","seq") WHERE "audit_log"."actor_id" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "audit_log_action_idx" ON "audit_log" USING btree ("org_id","action","seq") WHERE "audit_log"."action" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "audit_log_agent_id_idx" ON "audit_log" USING btree ("org_id","agent_id","seq") WHERE "audit_log"."agent_id" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "audit_log_project_idx" ON "audit_log" USING btree ("org_id","project","seq") WHERE "audit_log"."project" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "audit_log_correlation_id_idx" ON "audit_log" USING btree ("org_id","correlation_id","seq") WHERE "audit_log"."correlation_id" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "audit_log_outcome_idx" ON "audit_log" USING btree ("org_id","outcome","seq") WHERE "audit_log"."outcome" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "audit_log_actor_type_idx" ON "audit_log" USING btree ("org_id","actor_type","seq") WHERE "audit_log"."actor_type" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "audit_log_risk_idx" ON "audit_log" USING btree ("org_id","risk","seq") WHERE "audit_log"."risk" IS NOT NULL;--> statement-breakpoint
CREATE INDEX "subscribers_status_idx" ON "subscribers" USING btree ("org_id","status","email");--> statement-breakpoint
CREATE INDEX "subscribers_source_idx" ON "subscribers" USING btree ("org_id","source","email");--> statement-breakpoint
CREATE INDEX "audit_open_intents_correlation_id_idx" ON "codespar"."audit_open_intents" USING btree ("org_id","correlation_id","seq") WHERE "codespar"."audit_open_intents"."correlation_id" IS NOT NULL;--> statement-breakpoint
CREATE POLICY "agent_memory_organisation" ON "agent_memory" AS PERMISSIVE FOR ALL TO public USING (org_id = nullif(current_setting('codespar.org_id', true), '')) WITH CHECK (org_id = nullif(current_setting('codespar.org_id', true), ''));--> statement-breakpoint
CREATE POLICY "agent_states_organisation" ON "agent_states" AS PERMISSIVE FOR ALL TO public USING (org_id = nullif(current_setting('codespar.org_id', true), '')) WITH CHECK (org_id = nullif(current_setting('codespar.org_id', true), ''));--> statement-breakpoint
CREATE POLICY "audit_log_organisation" ON "audit_log" AS PERMISSIVE FOR ALL TO public USING (org_id = nullif(current_setting('codespar.org_id', true), '')) WITH CHECK (org_id = nullif(current_setting('codespar.org_id', true), ''));--> statement-breakpoint
CREATE POLICY "channel_configs_organisation" ON "channel_configs" AS PERMISSIVE FOR ALL TO public USING (org_id = nullif(current_setting('codespar.org_id', true), '')) WITH CHECK (org_id = nullif(current_setting('codespar.org_id', true), ''));--> statement-breakpoint
CREATE POLICY "project_configs_organisation" ON "project_configs" AS PERMISSIVE FOR ALL TO public USING (org_id = nullif(current_setting('codespar.org_id', true), '')) WITH CHECK (org_id = nullif(current_setting('codespar.org_id', true), ''));--> statement-breakpoint
CREATE POLICY "projects_organisation" ON "projects" AS PERMISSIVE FOR ALL TO public USING (org_id = nullif(current_setting('codespar.org_id', true), '')) WITH CHECK (org_id = nullif(current_setting('codespar.org_id', true), ''));--> statement-breakpoint
CREATE POLICY "slack_installations_organisation" ON "slack_installations" AS PERMISSIVE FOR ALL TO public USING (org_id = nullif(current_setting('codespar.org_id', true), '')) WITH CHECK (org_id = nullif(current_setting('codespar.org_id', true), ''));--> statement-breakpoint
CREATE POLICY "subscribers_organisation" ON "subscribers" AS PERMISSIVE FOR ALL TO public USING (org_id = nullif(current_setting('codespar.org_id', true), '')) WITH CHECK (org_id = nullif(current_setting('codespar.org_id', true), ''));--> statement-breakpoint
CREATE POLICY "api_keys_organisation" ON "codespar"."api_keys" AS PERMISSIVE FOR ALL TO public USING (org_id = nullif(current_setting('codespar.org_id', true), '')) WITH CHECK (org_id = nullif(current_setting('codespar.org_id', true), ''));--> statement-breakpoint
CREATE POLICY "audit_anchors_organisation" ON "codespar"."audit_anchors" AS PERMISSIVE FOR ALL TO public USING (org_id = nullif(current_setting('codespar.org_id', true), '')) WITH CHECK (org_id = nullif(current_setting('codespar.org_id', true), ''));--> statement-breakpoint
CREATE POLICY "audit_checkpoints_organisation" ON "codespar"."audit_checkpoints" AS PERMISSIVE FOR ALL TO public USING (org_id = nullif(current_setting('codespar.org_id', true), '')) WITH CHECK (org_id = nullif(current_setting('codespar.org_id', true), ''));--> statement-breakpoint
CREATE POLICY "audit_heads_organisation" ON "codespar"."audit_heads" AS PERMISSIVE FOR ALL TO public USING (org_id = nullif(current_setting('codespar.org_id', true), '')) WITH CHECK (org_id = nullif(current_setting('codespar.org_id', true), ''));--> statement-breakpoint
CREATE POLICY "audit_keys_organisation" ON "codespar"."audit_keys" AS PERMISSIVE FOR ALL TO public USING (org_id = nullif(current_setting('codespar.org_id', true), '')) WITH CHECK (org_id = nullif(current_setting('codespar.org_id', true), ''));--> statement-breakpoint
CREATE POLICY "audit_open_intents_organisation" ON "codespar"."audit_open_intents" AS PERMISSIVE FOR ALL TO public USING (org_id = nullif(current_setting('codespar.org_id', true), '')) WITH CHECK (org_id = nullif(current_setting('codespar.org_id', true), ''));--> statement-breakpoint
CREATE POLICY "audit_parts_organisation" ON "codespar"."audit_parts" AS PERMISSIVE FOR ALL TO public USING (org_id = nullif(current_setting('codespar.org_id', true), '')) WITH CHECK (org_id = nullif(current_setting('codespar.org_id', true), ''));--> statement-breakpoint
CREATE POLICY "audit_tiles_organisation" ON "codespar"."audit_tiles" AS PERMISSIVE FOR ALL TO public USING (org_id = nullif(current_setting('codespar.org_id', true), '')) WITH CHECK (org_id = nullif(current_setting('codespar.org_id', true), ''));--> statement-breakpoint
CREATE POLICY "slack_routes_organisation" ON "codespar"."slack_routes" AS PERMISSIVE FOR ALL TO public USING (org_id = nullif(current_setting('codespar.org_id', true), '')) WITH CHECK (org_id = nullif(current_setting('codespar.org_id', true), ''));
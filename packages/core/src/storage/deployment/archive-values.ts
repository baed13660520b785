import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { isVerifier } from "../../audit/signed-note.ts";
import { actorTypes } from "../../domain/actor.ts";
import { toInstant } from "../../domain/instant.ts";
import { limits } from "../../domain/limits.ts";
import { readRepository } from "../../domain/repository.ts";
import {
  agentSchema,
  apiKeySchema,
  channelConfigSchema,
  emailSchema,
  idText,
  integrationSchema,
  linkSchema,
  shortText,
  slackInstallationSchema,
  slugText,
  text,
  uuidText,
} from "../../domain/schemas.ts";
import { subscriberStatuses } from "../../domain/subscriber.ts";
import { installationRef } from "../domains/slack-installations.ts";
import type { TableName } from "../tables.ts";

/*
 * What the values of an archive's records may be: what the domains accept, in the one form in which they store it.
 */

/** Values in the form in which a schema leaves them. */
function stored<Schema extends z.ZodType>(schema: Schema, form: string) {
  return z.custom<z.output<Schema>>().superRefine((value, context) => {
    const result = schema.safeParse(value);
    const issue = result.error?.issues[0];
    if (result.success && isDeepStrictEqual(result.data, value)) return;
    context.addIssue({ code: "custom", message: issue?.message ?? `must be ${form}` });
  });
}

/** An instant as it is stored. */
export const storedInstant = z
  .string()
  .refine(
    (value) => toInstant(value) === value,
    "must be an instant in UTC with milliseconds, such as 2026-01-31T12:00:00.000Z",
  );

/** SHA-256 in lower-case hex. */
export const hashText = z
  .string()
  .regex(/^[0-9a-f]{64}$/, "must be a SHA-256 in lower-case hex: 64 digits");

/** A UUID as it is stored. */
export const storedUuid = stored(uuidText, "a UUID in lower case");

/** `v1.KEYID.CIPHERTEXT`, with room for what may be sealed. */
const envelope = z
  .string()
  .max(2 * limits.secretBytes, "must be sealed: it is too long")
  .regex(
    /^v1\.[A-Za-z0-9_-]{1,64}\.[A-Za-z0-9_-]{38,}$/,
    "must be sealed: v1, the key's id and the ciphertext, with dots between",
  );

const names = z
  .array(idText)
  .refine(
    (value) => isDeepStrictEqual(value, [...new Set(value)].sort()),
    "must be sorted, each name once",
  );

const digits = (count: number) =>
  z.string().regex(new RegExp(`^\\d{${count}}$`), `must be ${count} decimal digits`);
const positive = (count: number) =>
  digits(count).refine((value) => value !== "0".repeat(count), "must not be zero");

const actorText = text(limits.idBytes + 16).refine((value) => {
  const [type = "", ...id] = value.split(":");
  return actorTypes.some((known) => known === type) && id.join(":") !== "";
}, "must be an actor as type:id");

const email = z
  .string()
  .refine((value) => emailSchema.safeParse(value).success, "must be an e-mail address")
  .refine((value) => value === value.trim().toLowerCase(), "must be in lower case");

const vkey = z.string().refine(isVerifier, "must be a verifier key: name+id+base64");

/** A stored URL has lost its `.git`; what ends so all the same is of that name. */
const repositoryOf = (url: string) => {
  const read = readRepository(`${url}.git`);
  return typeof read === "string" || read.url !== url ? null : read;
};

const agent = agentSchema.required().shape;
const link = linkSchema.required().shape;
const slack = slackInstallationSchema.required().shape;

/** What each table's values may be; whether a JSON document fits is asked besides. */
const values = {
  agent_memory: z.object({ agent_id: idText, key: text(limits.keyBytes) }),
  agent_states: z.object({
    agent_id: idText,
    type: agent.type,
    name: agent.name,
    status: agent.status,
    autonomy_level: agent.autonomyLevel,
    project_id: agent.projectId,
    last_activity_at: storedInstant.nullable(),
  }),
  api_keys: z.object({
    id: storedUuid,
    name: shortText,
    hash: hashText,
    scopes: stored(apiKeySchema.shape.scopes, "scopes in their order, each once"),
    created_by: actorText,
    valid_until: storedInstant.nullable(),
    last_used_at: storedInstant.nullable(),
    revoked_at: storedInstant.nullable(),
  }),
  audit_anchors: z.object({ anchor: text(2048), size: digits(16), anchored_at: storedInstant }),
  audit_checkpoints: z.object({ size: positive(16), note: z.string() }),
  audit_keys: z
    .object({
      generation: positive(8),
      vkey,
      seed: envelope.nullable(),
      retired_at: storedInstant.nullable(),
    })
    .refine(
      ({ seed, retired_at }) => (seed === null) === (retired_at !== null),
      "a key has its seed until it is retired",
    ),
  channel_configs: z.object({
    integration: integrationSchema,
    settings: channelConfigSchema.required().shape.settings,
    credential_names: names,
    credentials: envelope,
  }),
  project_configs: z
    .object({
      agent_id: idText,
      repository_url: shortText,
      host: shortText,
      owner: shortText,
      name: shortText,
      default_branch: link.defaultBranch,
      webhook_configured: link.webhookConfigured,
      webhook_id: link.webhookId,
      linked_at: storedInstant,
      linked_by: link.linkedBy,
    })
    .refine(
      ({ repository_url: url, host, owner, name }) =>
        isDeepStrictEqual(repositoryOf(url), { host, owner, name, url }),
      "repository_url, host, owner and name are of no one repository",
    ),
  projects: z.object({
    id: idText,
    name: shortText,
    slug: slugText,
    repository: shortText
      .refine((url) => repositoryOf(url) !== null, "must be the https URL of a repository")
      .nullable(),
    agent_id: idText.nullable(),
  }),
  slack_installations: z
    .object({
      route: text(2 * limits.idBytes),
      team_id: idText.nullable(),
      enterprise_id: idText.nullable(),
      is_enterprise_install: z.boolean(),
      team_name: slack.teamName,
      app_id: slack.appId,
      bot_user_id: slack.botUserId,
      scopes: slack.scopes,
      token_names: names,
      tokens: envelope,
      installed_at: storedInstant,
    })
    .refine(isRouted, "route isn't that of the workspace or enterprise which it names"),
  subscribers: z.object({
    email,
    source: idText,
    status: z.enum(subscriberStatuses),
    subscribed_at: storedInstant,
    confirmed_at: storedInstant.nullable(),
    unsubscribed_at: storedInstant.nullable(),
  }),
} satisfies Record<TableName, z.ZodType>;

interface Installed {
  readonly route: string;
  readonly team_id: string | null;
  readonly enterprise_id: string | null;
  readonly is_enterprise_install: boolean;
}

function isRouted({ route, team_id, enterprise_id, is_enterprise_install }: Installed): boolean {
  const named = is_enterprise_install ? enterprise_id : (team_id ?? enterprise_id);
  if (named === null) return false;
  const { key } = installationRef({
    teamId: team_id ?? undefined,
    enterpriseId: enterprise_id ?? undefined,
    isEnterpriseInstall: is_enterprise_install,
  });
  return key[0] === route;
}

const meta = {
  // Before ADR 2 was written anew, versions were of another form, with a dot; records keep theirs until they are written again.
  version: z.string().regex(/^[A-Za-z0-9_.-]{1,64}$/, "must be 1 to 64 letters, digits, -, _ or ."),
  created_at: storedInstant,
  updated_at: storedInstant,
};

const lasting = z.object({ ...meta, expires_at: z.null("must be null: only memory expires") });
const expiring = z.object({ ...meta, expires_at: storedInstant.nullable() });

/** What is wrong with the values of a record's members; `null` where nothing is. Which members there are is another question. */
export function problemOfValues(table: TableName, members: object): z.ZodError | null {
  const { error } = values[table].safeParse(members);
  return error ?? (table === "agent_memory" ? expiring : lasting).safeParse(members).error ?? null;
}

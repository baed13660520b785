import { z } from "zod";
import { actorTypes } from "./actor.ts";
import { agentStatuses, autonomyLevels } from "./agent.ts";
import { apiKeyScopes } from "./api-key.ts";
import { auditOutcomes, auditRisks } from "./audit.ts";
import { toInstant } from "./instant.ts";
import { limits } from "./limits.ts";
import { isBranchName, readRepository } from "./repository.ts";
import { isPlainObject, textProblem } from "./text.ts";

/** A text under the one rule for ids, keys and names. */
export const text = (maxBytes: number) =>
  z.string().superRefine((value, context) => {
    const problem = textProblem(value, maxBytes);
    if (problem !== null)
      context.addIssue({
        code: "custom",
        message: problem.message,
        params: { code: problem.code },
      });
  });

/** A record id. */
export const idText = text(limits.idBytes);
/** A name or another text that a person typed. */
export const shortText = text(limits.textBytes);
/** A UUID, in lower case. */
export const uuidText = z
  .uuid("must be a UUID, ideally version 7")
  .transform((id) => id.toLowerCase());

/** A `Date` or ISO 8601 string, brought into the one form. */
export const instant = z.unknown().transform((value, context) => {
  const normalised = toInstant(value);
  if (normalised !== null) return normalised;
  context.addIssue({
    code: "custom",
    message: "must be a Date or an ISO 8601 instant with a time zone",
  });
  return z.NEVER;
});

/** An actor. */
export const actorSchema = z.strictObject({ type: z.enum(actorTypes), id: idText });

/** {@link AgentInput} */
export const agentSchema = z.strictObject({
  type: idText.optional(),
  name: shortText.optional(),
  status: z.enum(agentStatuses).optional(),
  autonomyLevel: z.int().min(autonomyLevels.min).max(autonomyLevels.max).optional(),
  projectId: idText.nullable().optional(),
  lastActivityAt: instant.nullable().optional(),
});

/** A project's slug. */
export const slugText = z
  .string()
  .regex(
    /^[a-z0-9]+(?:-[a-z0-9]+)*$/,
    "must be lower-case letters and digits, joined by single hyphens",
  )
  .max(64);

/** A repository in any accepted form, brought into the one form. */
export const repositorySchema = shortText.transform((value, context) => {
  const repository = readRepository(value);
  if (typeof repository !== "string") return repository;
  context.addIssue({ code: "custom", message: repository });
  return z.NEVER;
});

const projectFields = {
  name: shortText,
  slug: slugText.optional(),
  repository: repositorySchema.nullable().optional(),
  agentId: idText.nullable().optional(),
};

/** {@link ProjectInput} */
export const projectSchema = z.strictObject({ id: idText.optional(), ...projectFields });
/** {@link ProjectPatch} */
export const projectPatchSchema = z.strictObject({ ...projectFields, name: shortText.optional() });

const linkFields = {
  defaultBranch: text(255)
    .refine(isBranchName, "must be the name of a branch as git accepts it")
    .optional(),
  webhookConfigured: z.boolean().optional(),
  webhookId: idText.nullable().optional(),
};

/** {@link RepositoryLinkInput} */
export const linkSchema = z.strictObject({
  repository: repositorySchema,
  ...linkFields,
  linkedBy: idText.optional(),
});
/** {@link RepositoryLinkPatch} */
export const linkPatchSchema = z.strictObject(linkFields);

/** DNS labels, in whatever script, joined by dots. One at the end would make another address of the same. */
const domainName =
  /^(?:[\p{L}\p{N}](?:[\p{L}\p{N}\p{M}-]{0,61}[\p{L}\p{N}\p{M}])?(?:\.(?!$)|$))+$/u;

/** An e-mail address, normalised. */
export const emailSchema = z
  .string()
  .transform((value) => value.trim().normalize("NFC").toLowerCase())
  .pipe(
    text(254).pipe(
      z
        .email({ pattern: z.regexes.unicodeEmail, message: "must be an e-mail address" })
        .refine(
          (value) => domainName.test(value.slice(value.indexOf("@") + 1)),
          "must be an e-mail address, with a domain name behind the @",
        ),
    ),
  );

/** {@link ApiKeyInput}; `expiresAt` is held against the clock besides. */
export const apiKeySchema = z.strictObject({
  id: uuidText.optional(),
  name: shortText,
  scopes: z
    .array(z.enum(apiKeyScopes, `must be one of ${apiKeyScopes.join(", ")}`))
    .min(1, "must name at least one scope")
    .max(apiKeyScopes.length, "must name each scope once at most")
    .transform((named) => apiKeyScopes.filter((scope) => named.includes(scope))),
  expiresAt: instant.optional(),
});

/** An object of names and values. Not `z.record`, which drops the name `__proto__` without a word. */
const plainObject = z.unknown().transform((value, context) => {
  if (isPlainObject(value)) return value;
  context.addIssue({ code: "custom", message: "must be an object" });
  return z.NEVER;
});

const secrets = plainObject
  .transform((value) => new Map(Object.entries(value)))
  .pipe(
    z.map(
      idText,
      z.string().refine((value) => value.isWellFormed(), "must be well-formed Unicode"),
    ),
  )
  // fromEntries defines own properties, whatever their names.
  .transform((named) => Object.fromEntries(named));

/** {@link SlackInstallationQuery} */
export const slackQuerySchema = z.strictObject({
  teamId: idText.optional(),
  enterpriseId: idText.optional(),
  isEnterpriseInstall: z.boolean().optional(),
});

/** {@link SlackInstallationInput} */
export const slackInstallationSchema = slackQuerySchema.extend({
  teamName: shortText.nullable().optional(),
  appId: idText.nullable().optional(),
  botUserId: idText.nullable().optional(),
  scopes: z.array(idText).max(256).optional(),
  tokens: secrets,
});

/** An integration's name. */
export const integrationSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9_-]{0,63}$/,
    "must be 1 to 64 lower-case letters, digits, hyphens or underscores",
  );

/** {@link ChannelConfigInput}; `settings` is checked as a JSON value besides. */
export const channelConfigSchema = z.strictObject({
  credentials: secrets,
  settings: plainObject.optional(),
});

/** {@link AuditInput} less `details`, which is checked as a JSON value. */
export const auditInputSchema = z.strictObject({
  id: uuidText.optional(),
  actor: actorSchema.optional(),
  action: text(limits.idBytes).regex(
    /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/,
    "must be dotted lower-case words such as deploy.started",
  ),
  outcome: z.enum(auditOutcomes).optional(),
  target: z.strictObject({ type: idText, id: text(limits.keyBytes) }).optional(),
  agent: z
    .strictObject({ id: idText, run: idText.optional(), model: idText.optional() })
    .optional(),
  project: idText.optional(),
  risk: z.enum(auditRisks).optional(),
  correlationId: idText.optional(),
  occurredAt: instant.optional(),
  details: z.unknown().optional(),
});

/** {@link AuditFilter} */
export const auditFilterSchema = z.object({
  actorType: z.enum(actorTypes).optional(),
  actorId: idText.optional(),
  action: text(limits.idBytes).optional(),
  outcome: z.enum(auditOutcomes).optional(),
  agentId: idText.optional(),
  project: idText.optional(),
  risk: z.enum(auditRisks).optional(),
  correlationId: idText.optional(),
  unresolved: z.boolean().optional(),
  from: instant.optional(),
  to: instant.optional(),
});

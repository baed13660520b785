import {
  type AgentState,
  type AuditCheckpoint,
  type AuditConsistency,
  type AuditEntry,
  type AuditKey,
  type AuditProof,
  type AuditVerification,
  actorTypes,
  agentStatuses,
  auditChecks,
  auditOutcomes,
  auditRisks,
  autonomyLevels,
  type ChannelConfig,
  type JsonValue,
  limits,
  type MemoryEntry,
  type MemoryEntryMeta,
  type Project,
  type ProjectConfig,
  type SlackInstallation,
} from "@codespar/core";
import { z } from "zod";

/**
 * The shapes of the API. They say what a request must look like; what its texts may hold is the storage's to check, by one
 * rule for every way in.
 */

/** An instant. */
export const instant = z.string().describe("ISO 8601, UTC.");
const version = z.string().describe("Opaque; changes with every write. The same as in `ETag`.");
const json = z.unknown().describe("Any JSON.") as z.ZodType<JsonValue>;
/** What every record shows of itself. */
export const recordMeta = { version, createdAt: instant, updatedAt: instant };

/** An id in a path, percent-encoded. */
export const idParam = z.string().describe(`Percent-encoded; up to ${limits.idBytes} UTF-8 bytes.`);
/** A memory key in a path, percent-encoded. */
export const keyParam = z
  .string()
  .describe(
    `Percent-encoded; up to ${limits.keyBytes} UTF-8 bytes. The keys \`.\` and \`..\` go through the batch.`,
  );

/** Reads a whole number; which ones are acceptable is the storage's to say. */
function parseWholeNumber(text: unknown, { issues }: z.RefinementCtx): unknown {
  if (typeof text === "string" && /^-?\d{1,15}$/.test(text)) return Number(text);
  const message = Array.isArray(text)
    ? "stands more than once: give it once"
    : "must be a whole number";
  issues.push({ code: "custom", input: undefined, message });
  return z.NEVER;
}

/** A whole number in a query. */
export const wholeNumber = z.preprocess(parseWholeNumber, z.int()).meta({ minimum: 0 });

/** What every listing takes. */
export const pageQuery = {
  limit: wholeNumber
    .exactOptional()
    .meta({ minimum: 1, maximum: limits.pageMax })
    .describe(`Items on a page: 1 to ${limits.pageMax}, ${limits.pageDefault} by default.`),
  cursor: z.string().exactOptional().describe("`nextCursor` of the page before."),
};

/** `true` or `false` in a query. */
export const flag = z.enum(["true", "false"]).transform((value) => value === "true");

/** A page of a listing. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item).readonly(),
    nextCursor: z.string().nullable().describe("For the next page; null on the last one."),
  });
}

const memoryMeta = {
  key: z.string(),
  ...recordMeta,
  expiresAt: instant.nullable().describe("When it stops being returned; null for never."),
};

/** {@link MemoryEntryMeta} */
export const memoryEntryMeta = z
  .object(memoryMeta)
  .meta({ id: "MemoryEntryMeta" }) satisfies z.ZodType<MemoryEntryMeta>;

/** {@link MemoryEntry} */
export const memoryEntry = z
  .object({ ...memoryMeta, value: z.unknown().describe("Any JSON.") })
  .meta({ id: "MemoryEntry" }) satisfies z.ZodType<MemoryEntry>;

/** When a value expires, and whether the write is recorded. */
export const expiryFields = {
  ttlMs: z.int().exactOptional().describe("Milliseconds to live: 1,000 to ten years."),
  expiresAt: z
    .string()
    .exactOptional()
    .describe("ISO 8601 with a time zone. Not together with ttlMs."),
};

/** {@link AgentState} */
export const agent = z
  .object({
    id: z.string(),
    type: z.string(),
    name: z.string(),
    status: z.enum(agentStatuses),
    autonomyLevel: z.int().min(autonomyLevels.min).max(autonomyLevels.max),
    projectId: z.string().nullable(),
    lastActivityAt: instant.nullable(),
    registered: z.boolean().describe("false for an agent known only by its memory."),
    version: version.nullable(),
    createdAt: instant.nullable(),
    updatedAt: instant.nullable(),
  })
  .meta({ id: "Agent" }) satisfies z.ZodType<AgentState>;

/** {@link Project} */
export const project = z
  .object({
    id: z.string(),
    name: z.string(),
    slug: z.string(),
    repository: z.string().nullable(),
    agentId: z.string().nullable(),
    ...recordMeta,
  })
  .meta({ id: "Project" }) satisfies z.ZodType<Project>;

/** {@link ProjectConfig} */
export const repositoryLink = z
  .object({
    agentId: z.string(),
    repositoryUrl: z.string(),
    host: z.string(),
    owner: z.string(),
    name: z.string(),
    defaultBranch: z.string(),
    webhookConfigured: z.boolean(),
    webhookId: z.string().nullable(),
    linkedAt: instant,
    linkedBy: z.string(),
    ...recordMeta,
  })
  .meta({ id: "RepositoryLink" }) satisfies z.ZodType<ProjectConfig>;

/** Secrets by name. Not `z.record`, which drops the name `__proto__`; what they may be is the storage's to check. */
export const secretValues = (z.unknown() as z.ZodType<Readonly<Record<string, string>>>).meta({
  type: "object",
  additionalProperties: { type: "string" },
});

/** What of an integration isn't secret. */
export const integrationSettings = (z.unknown() as z.ZodType<ChannelConfig["settings"]>).meta({
  type: "object",
});

const setAt = { ...recordMeta, updatedAt: instant.describe("When the secrets were last set.") };

/** {@link ChannelConfig} */
export const integration = z
  .object({
    integration: z.string(),
    settings: integrationSettings,
    credentialNames: z.array(z.string()).readonly().describe("The names; never the values."),
    ...setAt,
  })
  .meta({ id: "Integration" }) satisfies z.ZodType<ChannelConfig>;

/** {@link SlackInstallation} */
export const slackInstallation = z
  .object({
    teamId: z.string().nullable(),
    enterpriseId: z.string().nullable(),
    isEnterpriseInstall: z.boolean(),
    teamName: z.string().nullable(),
    appId: z.string().nullable(),
    botUserId: z.string().nullable(),
    scopes: z.array(z.string()).readonly(),
    tokenNames: z.array(z.string()).readonly().describe("The names; never the values."),
    installedAt: instant,
    ...setAt,
  })
  .meta({ id: "SlackInstallation" }) satisfies z.ZodType<SlackInstallation>;

/** Who did something. */
export const actor = z.strictObject({ type: z.enum(actorTypes), id: z.string() });
/** What was acted on. */
export const auditTarget = z.strictObject({ type: z.string(), id: z.string() });
/** On whose behalf. */
export const auditAgent = z.strictObject({
  id: z.string(),
  run: z.string().optional(),
  model: z.string().optional(),
});

const hash = z.string().regex(/^[0-9a-f]{64}$/);

/** {@link AuditEntry} */
export const auditEntry = z
  .object({
    seq: z.int().min(0).describe("Position in the trail, without gaps."),
    id: z.string(),
    hash: hash.describe("SHA-256 of 0x00 and the entry's bytes: the RFC 6962 leaf hash."),
    prev: hash.describe("The hash of the entry before."),
    log: z.string().describe("The trail's identity."),
    sealedAt: instant,
    actor,
    action: z.string(),
    outcome: z.enum(auditOutcomes),
    target: auditTarget.nullable(),
    agent: auditAgent.nullable(),
    project: z.string().nullable(),
    risk: z.enum(auditRisks).nullable(),
    correlationId: z.string().nullable(),
    occurredAt: instant.nullable(),
    parts: z.record(z.string(), z.string()).describe("Commitments to the parts, by name."),
    details: json
      .nullable()
      .describe(
        "`null` when none were given, or none are left; a `null` that was given is in `parts`.",
      ),
    redacted: z
      .boolean()
      .describe(
        "Whether a part is gone that the entry commits to. The entry that says so: `?action=audit.redacted&correlationId=audit_part/SEQ/details`.",
      ),
  })
  .meta({ id: "AuditEntry" }) satisfies z.ZodType<AuditEntry>;

/** {@link AuditCheckpoint} */
export const auditCheckpoint = z
  .object({
    origin: z.string().describe("The trail's identity."),
    size: z.int().min(0).describe("How many entries it vouches for."),
    root: hash.describe("The root of their RFC 6962 Merkle tree."),
    note: z.string().describe("The signed note, to be kept somewhere else."),
    signedAt: instant,
  })
  .meta({ id: "AuditCheckpoint" }) satisfies z.ZodType<AuditCheckpoint>;

/** {@link AuditKey} */
export const auditKey = z
  .object({
    keyId: z.string().regex(/^[0-9a-f]{8}$/),
    vkey: z.string().describe("The public key as C2SP signed-note writes it."),
    createdAt: instant,
    retiredAt: instant.nullable().describe("null for the one that signs now."),
  })
  .meta({ id: "AuditKey" }) satisfies z.ZodType<AuditKey>;

/** {@link AuditProof} */
export const auditProof = z
  .object({
    seq: z.int().min(0),
    hash: hash.describe("The entry's leaf hash."),
    checkpoint: auditCheckpoint,
    path: z.array(hash).readonly().describe("The audit path, from the leaf up."),
    receipt: z.string().describe("All of it as C2SP tlog-proof text."),
  })
  .meta({ id: "AuditProof" }) satisfies z.ZodType<AuditProof>;

const treeHead = z.object({ size: z.int().min(0), root: hash });

/** {@link AuditConsistency} */
export const auditConsistency = z
  .object({ from: treeHead, to: treeHead, proof: z.array(hash).readonly() })
  .meta({ id: "AuditConsistency" }) satisfies z.ZodType<AuditConsistency>;

const auditCheck = z.enum(auditChecks);

/** {@link AuditVerification} */
export const auditVerification = z
  .object({
    verdict: z
      .enum(["ok", "unanchored", "incomplete", "outdated", "tampered"])
      .describe("`incomplete` and `outdated` are said of copies only, such as bundles."),
    size: z.int().min(0),
    head: hash,
    root: hash.describe("Root of the Merkle tree."),
    log: z.string().nullable(),
    anchoredSize: z.int().describe("Entries from 0 on that an anchor vouches for."),
    checks: z.record(auditCheck, z.int()).describe("How many each check passed."),
    redacted: z.int().describe("Erased parts, each with an entry that says so."),
    firstFailure: z
      .object({
        seq: z.int(),
        check: auditCheck,
        expected: z.string(),
        actual: z.string(),
        message: z.string(),
      })
      .nullable(),
    warnings: z.array(z.string()).readonly(),
  })
  .meta({ id: "AuditVerification" }) satisfies z.ZodType<AuditVerification>;

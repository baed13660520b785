import { actorTypes, auditOutcomes, auditRisks, StorageError } from "@codespar/core";
import { z } from "zod";
import { auditAgent, auditTarget, flag } from "../../schemas.ts";

/** Largest body, in bytes: an entry of 64 KiB as JSON that escapes every character. */
export const entryBodyLimit = 512 * 1024;

/** What narrows a listing or an export. */
export const filter = {
  actorType: z.enum(actorTypes).exactOptional(),
  actorId: z.string().exactOptional(),
  action: z
    .string()
    .exactOptional()
    .describe("The whole action, or a prefix of it that ends in `*`: `deploy.*`."),
  outcome: z.enum(auditOutcomes).exactOptional(),
  agentId: z.string().exactOptional(),
  project: z.string().exactOptional(),
  risk: z.enum(auditRisks).exactOptional(),
  correlationId: z.string().exactOptional(),
  unresolved: flag
    .exactOptional()
    .describe("`true`: only intents of which nothing says yet what became of them."),
  from: z.string().exactOptional().describe("Sealed at or after this instant."),
  to: z.string().exactOptional().describe("Sealed before this instant."),
};

/** The id of a new entry. */
export const newId = z
  .uuid()
  .exactOptional()
  .describe("The same id again returns the entry that is there. Default: a new one.");

/** What can be said of any action. */
export const said = {
  target: auditTarget.exactOptional(),
  agent: auditAgent.exactOptional(),
  project: z.string().exactOptional(),
  risk: z.enum(auditRisks).exactOptional(),
  occurredAt: z.string().exactOptional().describe("When it happened, as the caller claims."),
  details: z
    .unknown()
    .optional()
    .describe("Any JSON; committed to, never in the hashed bytes themselves."),
};

/** What is done, as one dotted verb. */
export const action = z
  .string()
  .describe(
    "Dotted lower-case verb: `deploy.started`. None that the server records by itself, such as `agent.registered`, or all that begin with `audit.`, `access.`, `api_key.`, `organisation.`, `secret.` and `secrets.`.",
  );

/** What ties entries of one action together. */
export const correlationId = z.string().exactOptional();

/** A position of the trail, in a path. */
export const seqParams = z.object({
  seq: z
    .string()
    .regex(/^(?:0|[1-9]\d{0,15})$/, "must be a whole number from 0")
    .transform(Number),
});

/**
 * A position that there can be.
 *
 * @throws StorageError `NOT_FOUND` for one that no trail reaches
 */
export function position({ seq }: z.output<typeof seqParams>): number {
  if (Number.isSafeInteger(seq)) return seq;
  throw noSuchEntry(seq);
}

/** Nothing is sealed at this position. */
export function noSuchEntry(seq: number): StorageError {
  return new StorageError(
    "NOT_FOUND",
    `The trail has no entry ${seq} yet. GET /api/audit lists it.`,
  );
}

import type { Actor } from "./actor.ts";
import type { JsonValue } from "./memory.ts";

/** How an action ended. */
export const auditOutcomes = [
  "success",
  "failure",
  "denied",
  "pending",
  "approved",
  "error",
] as const;

/** An outcome of an action. */
export type AuditOutcome = (typeof auditOutcomes)[number];

/** How much an action can break. */
export const auditRisks = ["low", "medium", "high", "critical"] as const;

/** A level of risk. */
export type AuditRisk = (typeof auditRisks)[number];

/** The agent on whose behalf something happened. */
export interface AuditAgent {
  readonly id: string;
  readonly run?: string | undefined;
  readonly model?: string | undefined;
}

/** What was acted on. */
export interface AuditTarget {
  readonly type: string;
  readonly id: string;
}

/**
 * What a caller says about one action. All of it but `details` becomes part of the hashed bytes and can never be erased: use
 * pseudonymous ids there, and `details` for personal data.
 */
export interface AuditInput {
  /** A UUID, ideally version 7. The same id again returns the entry that is already there. Default: a new one. */
  readonly id?: string;
  /** Default: the handle's actor. */
  readonly actor?: Actor;
  /** Dotted lower-case verb, for example `deploy.started`; 1 to 128 UTF-8 bytes. None that CodeSpar records by itself. */
  readonly action: string;
  /** Default `success`. */
  readonly outcome?: AuditOutcome;
  readonly target?: AuditTarget;
  readonly agent?: AuditAgent;
  readonly project?: string;
  readonly risk?: AuditRisk;
  readonly correlationId?: string;
  /** When it happened, as the caller claims; the sealing time is the trail's own. */
  readonly occurredAt?: Date | string;
  /** Free-form. Committed to by a salted HMAC, never in the hashed bytes themselves. */
  readonly details?: unknown;
}

/** An entry of the trail, sealed. */
export interface AuditEntry {
  /** Position in the organisation's trail, from 0, without gaps. */
  readonly seq: number;
  readonly id: string;
  /** SHA-256(0x00 ‖ leaf bytes), lower-case hex: the RFC 6962 leaf hash. */
  readonly hash: string;
  /** The hash of the entry before; 64 zeros for the first. */
  readonly prev: string;
  /** The trail's identity: an entry can't be spliced into another. */
  readonly log: string;
  /** When it was sealed: ISO 8601 UTC with exactly six decimals; never earlier than the entry before. */
  readonly sealedAt: string;
  readonly actor: Actor;
  readonly action: string;
  readonly outcome: AuditOutcome;
  readonly target: AuditTarget | null;
  readonly agent: AuditAgent | null;
  readonly project: string | null;
  readonly risk: AuditRisk | null;
  readonly correlationId: string | null;
  readonly occurredAt: string | null;
  /** The names of the parts the entry commits to, and their commitments. */
  readonly parts: Readonly<Record<string, string>>;
  /** `null` when none were given, or none are left; a `null` that was given shows in `parts`. */
  readonly details: JsonValue | null;
  /**
   * Whether a part is gone that the entry commits to, as after {@link Audit.redact}. Which entry says so is for {@link redactionFilter} to
   * find; that there is one, for {@link Audit.verify} to check.
   */
  readonly redacted: boolean;
}

/** What the hashed bytes of an entry say: all of it but what is in its parts, or was. */
export type SealedAuditEntry = Omit<AuditEntry, "details" | "redacted">;

/** What narrows a listing of the trail. All given must match. */
export interface AuditFilter {
  readonly actorType?: Actor["type"] | undefined;
  readonly actorId?: string | undefined;
  /** The whole action, or a prefix of it when it ends in `*`, for example `deploy.*`. */
  readonly action?: string | undefined;
  readonly outcome?: AuditOutcome | undefined;
  readonly agentId?: string | undefined;
  readonly project?: string | undefined;
  readonly risk?: AuditRisk | undefined;
  readonly correlationId?: string | undefined;
  /**
   * `true`: only intents that nothing has resolved: entries with outcome `pending` and a correlation id that no later entry with the same
   * correlation id and another outcome follows.
   */
  readonly unresolved?: boolean | undefined;
  /** Sealed at or after. */
  readonly from?: Date | string | undefined;
  /** Sealed before. */
  readonly to?: Date | string | undefined;
}

import type { ActorType } from "../domain/actor.ts";
import type { AuditOutcome, AuditRisk } from "../domain/audit.ts";
import type { Leaf } from "./leaf.ts";

/** The searchable copy of an entry. Everything in it also stands in the hashed bytes, and verification compares the two. */
export interface AuditProjection {
  readonly id: string;
  readonly sealedAt: string;
  readonly prev: string;
  readonly actorType: ActorType;
  readonly actorId: string;
  readonly action: string;
  readonly outcome: AuditOutcome;
  readonly targetType: string | null;
  readonly targetId: string | null;
  readonly agentId: string | null;
  readonly project: string | null;
  readonly risk: AuditRisk | null;
  readonly correlationId: string | null;
  readonly occurredAt: string | null;
}

/** Derives the searchable columns from the hashed content. */
export function projectionOf(leaf: Leaf): AuditProjection {
  return {
    id: leaf.id,
    sealedAt: leaf.ts,
    prev: leaf.prev,
    actorType: leaf.actor.type,
    actorId: leaf.actor.id,
    action: leaf.action,
    outcome: leaf.outcome,
    targetType: leaf.target?.type ?? null,
    targetId: leaf.target?.id ?? null,
    agentId: leaf.agent?.id ?? null,
    project: leaf.project ?? null,
    risk: leaf.risk ?? null,
    correlationId: leaf.corr ?? null,
    occurredAt: leaf.occurred ?? null,
  };
}

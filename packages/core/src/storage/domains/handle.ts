import type { Actor } from "../../domain/actor.ts";
import { limits } from "../../domain/limits.ts";
import { actorSchema } from "../../domain/schemas.ts";
import { invalid } from "../../errors/storage-error.ts";
import type { Backend } from "../backend.ts";
import type { Storage } from "../storage.ts";
import { checkText, parse } from "../validation.ts";
import { agentStatesDomain } from "./agent-states.ts";
import { apiKeysDomain } from "./api-keys.ts";
import { auditDomain } from "./audit.ts";
import { channelConfigsDomain } from "./channel-configs.ts";
import type { HandleContext } from "./context.ts";
import { healthOf } from "./health.ts";
import { memoryDomain } from "./memory.ts";
import { projectConfigsDomain } from "./project-configs.ts";
import { projectsDomain } from "./projects.ts";
import { ownTransactions } from "./runner.ts";
import { slackInstallationsDomain } from "./slack-installations.ts";
import { subscribersDomain } from "./subscribers.ts";
import { transaction } from "./transaction.ts";

/** A handle's share in a backend: views of one handle share one lease. */
export interface Lease {
  readonly backend: Backend;
  readonly maxValueBytes: number;
  readonly clock: () => number;
  /** @throws StorageError `UNSUPPORTED` once released */
  assertOpen(): void;
  /** Idempotent; the last lease of a target closes its backend. */
  release(): Promise<void>;
}

const defaultHealthTimeoutMs = 800;

/** Makes a handle. @throws StorageError `VALIDATION`, `LIMIT_EXCEEDED` for an organisation id that isn't acceptable */
export function storageHandle(lease: Lease, orgId: string, actor: Actor): Storage {
  checkText(orgId, "orgId", limits.orgIdBytes);
  const { backend, maxValueBytes, clock } = lease;
  const context: HandleContext = {
    backend,
    orgId,
    actor,
    maxValueBytes,
    clock,
    assertOpen: () => lease.assertOpen(),
  };
  const runner = ownTransactions(context);
  return {
    orgId,
    actor,
    backend: backend.kind,
    memory: memoryDomain(context),
    agentStates: agentStatesDomain(runner),
    projects: projectsDomain(runner),
    projectConfigs: projectConfigsDomain(runner),
    audit: auditDomain(context),
    subscribers: subscribersDomain(runner),
    slackInstallations: slackInstallationsDomain(runner),
    channelConfigs: channelConfigsDomain(runner),
    apiKeys: apiKeysDomain(runner),
    transaction: (work, options) => transaction(context, work, options),
    as: (other) => storageHandle(lease, orgId, Object.freeze(parse(actorSchema, other, "actor"))),
    forOrg: (otherOrgId) => storageHandle(lease, otherOrgId, actor),
    health: async (options) => healthOf(backend, clock, healthTimeout(options?.timeoutMs)),
    close: () => lease.release(),
    [Symbol.asyncDispose]: () => lease.release(),
  };
}

function healthTimeout(timeoutMs: unknown): number {
  if (timeoutMs === undefined) return defaultHealthTimeoutMs;
  if (
    typeof timeoutMs === "number" &&
    Number.isInteger(timeoutMs) &&
    timeoutMs >= 1 &&
    timeoutMs <= 60_000
  )
    return timeoutMs;
  throw invalid("timeoutMs must be a whole number of milliseconds from 1 to 60,000.");
}

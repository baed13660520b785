import type { Health, KeeperStatus, Storage } from "@codespar/core";
import { z } from "zod";
import type { App } from "../app-types.ts";
import { publicResponses } from "../http/responses.ts";
import type { Check } from "../plugins/checked.ts";

const migrations = z.object({ applied: z.int(), pending: z.int() });

const audit = z.object({
  signing: z.boolean().describe("Whether checkpoints of the trails are signed by themselves."),
  unsignedEntries: z
    .int()
    .describe("Entries that this server knows of and no signed checkpoint vouches for yet."),
  unsignedSeconds: z.number().describe("For how long the oldest of them waits."),
  unanchoredEntries: z
    .int()
    .nullable()
    .describe("Entries that some anchor doesn't vouch for yet; null without an anchor."),
  unanchoredSeconds: z
    .number()
    .nullable()
    .describe("For how long the oldest of them waits; null without an anchor."),
});

const report = z
  .object({
    status: z.enum(["ok", "unavailable"]),
    code: z.string().exactOptional().describe("When unavailable: the storage's error code."),
    reason: z.string().exactOptional().describe("When unavailable: what is wrong, and the remedy."),
    version: z.string(),
    uptimeSeconds: z.number(),
    storage: z
      .object({
        backend: z.enum(["file", "postgres"]),
        latencyMs: z.number().describe("One round trip to the backend."),
        durable: z
          .boolean()
          .nullable()
          .describe("Whether an acknowledged write survives a crash and a redeploy."),
        isolation: z
          .enum(["files", "roles", "policies"])
          .nullable()
          .describe("What keeps organisations apart."),
        migrations: migrations.nullable(),
        encryption: z
          .enum(["ready", "missing", "mismatch"])
          .nullable()
          .describe("Whether secrets can be stored."),
        warnings: z
          .array(z.string())
          .readonly()
          .describe("What doesn't stop the service, each with its remedy."),
      })
      .describe("What could not be looked at is null."),
    audit: audit.exactOptional(),
  })
  .meta({ id: "Health" });

/** Body of `/health`. */
export type HealthReport = z.output<typeof report>;

/** What the health routes and the page at `/` need. */
export interface HealthSource {
  readonly storage: Storage;
  /** Until it has passed the storage isn't well, whatever it says of itself. */
  readonly check: Check | undefined;
  readonly version: string;
  /** What makes the storage less than durable besides the backend's own view, with its remedy. */
  readonly durabilityWarning: string | undefined;
  /** How the keeping of checkpoints stands. */
  readonly checkpoints: (() => KeeperStatus | undefined) | undefined;
}

/** How long the backend may take; the answer has to be there within a second. */
const timeoutMs = 800;

/** Asks the storage how it is; callers that ask at the same time share the answer, so that nobody can pile up probes. */
export function healthReporter(source: HealthSource): () => Promise<HealthReport> {
  const startedAt = process.hrtime.bigint();
  let pending: Promise<Health> | undefined;
  return async () => {
    pending ??= source.storage.health({ timeoutMs }).finally(() => {
      pending = undefined;
    });
    const health = withCheck(await pending, source.check);
    const uptimeSeconds = Number((process.hrtime.bigint() - startedAt) / 1_000_000n) / 1000;
    return reportOf(health, source, uptimeSeconds);
  };
}

/** That it is still to be checked, which begins here where it hasn't: whoever waits for it asks again. */
function withCheck(health: Health, check: Check | undefined): Health {
  if (!health.ok || check === undefined || check.hasPassed) return health;
  // What it comes to is the server's own matter: see `StorageCheck.settled`.
  check.run().catch(() => undefined);
  const reason =
    "The storage has just been reached, and is checked before anything of it is served. Ask again.";
  return { ...health, ok: false, code: "UNAVAILABLE", reason };
}

function reportOf(health: Health, source: HealthSource, uptimeSeconds: number): HealthReport {
  const {
    ok,
    backend,
    latencyMs,
    durable,
    isolation,
    migrations: applied,
    encryption,
    warnings,
  } = health;
  const { durabilityWarning: warning, version } = source;
  const checkpoints = source.checkpoints?.();
  return {
    status: ok ? "ok" : "unavailable",
    ...(ok ? {} : { code: health.code, reason: health.reason ?? "The storage can't be used." }),
    version,
    uptimeSeconds,
    storage: {
      backend,
      latencyMs: Math.round(latencyMs * 1000) / 1000,
      durable: warning === undefined ? durable : false,
      isolation,
      migrations: applied,
      encryption,
      warnings: [...warnings, warning, checkpoints?.off].filter(
        (text): text is string => typeof text === "string",
      ),
    },
    ...(checkpoints && { audit: auditOf(checkpoints) }),
  };
}

function auditOf({ off, ...backlog }: KeeperStatus): z.output<typeof audit> {
  return { signing: off === null, ...backlog };
}

/** `/health`, `/livez` and `/readyz`: open to every caller. */
export function healthRoutes(app: App, readHealth: () => Promise<HealthReport>): void {
  const config = { access: "public" } as const;
  const healthy = ["The storage works.", report] as const;
  const unhealthy = ["The storage can't be used; `reason` names the remedy.", report] as const;

  for (const [url, operationId, summary] of [
    ["/health", "getHealth", "How server and storage are"],
    ["/readyz", "getReadiness", "Whether requests can be served: for load balancers"],
  ] as const) {
    app.get(
      url,
      {
        config,
        schema: {
          tags: ["health"],
          operationId,
          summary,
          response: publicResponses({ 200: healthy, 503: unhealthy }),
        },
      },
      async (_request, reply) => {
        const body = await readHealth();
        return reply.code(body.status === "ok" ? 200 : 503).send(body);
      },
    );
  }

  const live = z.object({ status: z.literal("ok") });
  app.get(
    "/livez",
    {
      config,
      schema: {
        tags: ["health"],
        operationId: "getLiveness",
        summary: "Whether the process answers, whatever the storage does",
        response: publicResponses({ 200: ["It does.", live] }),
      },
    },
    () => ({ status: "ok" as const }),
  );
}

import type { KeeperStatus, Storage } from "@codespar/core";
import Fastify, { type FastifyBaseLogger, LogController } from "fastify";
import { validatorCompiler, type ZodTypeProvider } from "fastify-type-provider-zod";
import { openToOrigins } from "./access/cross-origin.ts";
import { dropForwardedPorts } from "./access/forwarded-for.ts";
import { type AccessOptions, guard } from "./access/gate.ts";
import { rateCounters } from "./access/rate-limits.ts";
import { requireDeclarations } from "./access/requirements.ts";
import type { App } from "./app-types.ts";
import { defaultEventLimits, type EventLimits } from "./events/limits.ts";
import { refuseUnreadKeys } from "./http/idempotency.ts";
import { parseJsonBody, refuseEncoded } from "./http/json-body.ts";
import { scopedStorage } from "./http/scope.ts";
import { describeApi, documentRoute } from "./openapi.ts";
import { type Check, holdUntilChecked } from "./plugins/checked.ts";
import { letConnectionsGo } from "./plugins/closing.ts";
import { answerBrokenRequest, answerErrors, sendEarlyProblem } from "./plugins/errors.ts";
import { refuseOtherMethods } from "./plugins/method-not-allowed.ts";
import { accompanyRequests, requestId } from "./plugins/requests.ts";
import {
  httpOptions,
  refuseMalformed,
  refuseUnreadQueries,
  requestTimeoutMs,
} from "./plugins/well-formed.ts";
import { agentActionRoute } from "./routes/agent-action.ts";
import { agentRoutes } from "./routes/agents.ts";
import { auditRoutes } from "./routes/audit.ts";
import { eventRoute } from "./routes/events.ts";
import { healthReporter, healthRoutes } from "./routes/health.ts";
import { homeRoute, iconRoute } from "./routes/home.ts";
import { integrationRoutes } from "./routes/integrations.ts";
import { keyRoutes } from "./routes/keys.ts";
import { memoryRoutes } from "./routes/memory.ts";
import { memoryBatchRoute } from "./routes/memory-batch.ts";
import { organisationRoutes } from "./routes/organisations.ts";
import { projectRoutes } from "./routes/projects.ts";
import { repositoryRoutes } from "./routes/repository.ts";
import { secretsRoutes } from "./routes/secrets.ts";
import { slackInstallationRoutes } from "./routes/slack-installations.ts";
import { version } from "./version.ts";

/** What a server is made of. */
export interface ServerOptions extends AccessOptions {
  /** Stays the caller's: closing the server doesn't close it. */
  readonly storage: Storage;
  /** Whether the storage may be used: until it has passed, nothing is served of it. Default: it may. */
  readonly check?: Check | undefined;
  /** A pino logger. Default: none. */
  readonly logger?: FastifyBaseLogger | undefined;
  /** Why what is stored may be lost in spite of what the backend says, with the remedy; health shows it. */
  readonly durabilityWarning?: string | undefined;
  /** How the keeping of checkpoints stands, for health; nothing where none are kept by themselves. */
  readonly checkpoints?: (() => KeeperStatus | undefined) | undefined;
  /** What bounds the event streams, where it isn't the usual. */
  readonly eventLimits?: Partial<EventLimits> | undefined;
  /**
   * How many proxies of the operator's own each request passes: the caller's address is then the one that the first of them has added to
   * `X-Forwarded-For`. Default 0.
   */
  readonly trustedProxies?: number | undefined;
  /** Milliseconds for a whole request to arrive. Default 60,000. */
  readonly requestTimeoutMs?: number | undefined;
}

/** Largest body unless a route says otherwise, in bytes. */
const bodyLimit = 256 * 1024;
/** Longer than any address that Node accepts: the storage itself refuses ids and keys that are too long, and says why. */
const maxParamLength = 32 * 1024;

/**
 * Builds the HTTP API over a storage, ready for `listen()` or `inject()`. Its errors are problem details, its description is at
 * `/openapi.json`.
 */
export async function buildServer(options: ServerOptions): Promise<App> {
  const {
    storage,
    check,
    logger,
    durabilityWarning,
    checkpoints,
    eventLimits,
    trustedProxies = 0,
  } = options;
  const requestTimeout = options.requestTimeoutMs ?? requestTimeoutMs;
  const app: App = Fastify({
    ...(logger === undefined ? { logger: false } : { loggerInstance: logger }),
    http: httpOptions(requestTimeout),
    bodyLimit,
    requestTimeout,
    routerOptions: { maxParamLength },
    ...(trustedProxies > 0 && { trustProxy: (_: string, hop: number) => hop < trustedProxies }),
    genReqId: requestId,
    // A logger made for each request costs more than naming the request in the one line that it leaves.
    childLoggerFactory: (parent) => parent,
    logController: new LogController({ disableRequestLogging: true }),
    // Requests on connections that are still open finish; the storage is closed after them.
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => void sendEarlyProblem(error, request, reply),
    clientErrorHandler: (error, socket) => answerBrokenRequest(app.log, error, socket),
  }).withTypeProvider<ZodTypeProvider>();

  app.setValidatorCompiler(validatorCompiler);
  // The handlers' types and the tests against the description hold answers to their schemas; checking each would double its cost.
  app.setSerializerCompiler(() => JSON.stringify);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (request, body, done) => {
    try {
      refuseEncoded(request.headers);
      done(null, parseJsonBody(body as Buffer));
    } catch (error) {
      done(error as Error);
    }
  });

  letConnectionsGo(app);
  if (trustedProxies > 0) dropForwardedPorts(app);
  accompanyRequests(app);
  refuseMalformed(app);
  const counters = await rateCounters(app, options.rateLimits);
  await openToOrigins(app, options.corsOrigins ?? [], counters.address);
  requireDeclarations(app);
  if (check !== undefined) holdUntilChecked(app, check);
  const storageOf = scopedStorage(storage);
  const requireScopes = await guard(app, storage, storageOf, counters, options);
  answerErrors(app);
  refuseUnreadQueries(app);
  refuseUnreadKeys(app);
  await describeApi(app, version);
  const refuseOthers = refuseOtherMethods(app);

  const readHealth = healthReporter({ storage, check, version, durabilityWarning, checkpoints });
  healthRoutes(app, readHealth);
  memoryRoutes(app, storageOf);
  memoryBatchRoute(app, storageOf);
  agentRoutes(app, storageOf);
  agentActionRoute(app, storageOf);
  repositoryRoutes(app, storageOf);
  projectRoutes(app, storageOf);
  auditRoutes(app, storageOf);
  eventRoute(app, storageOf, { ...defaultEventLimits, ...eventLimits });
  keyRoutes(app, storageOf, requireScopes);
  organisationRoutes(app, storageOf);
  secretsRoutes(app, storageOf);
  integrationRoutes(app, storageOf);
  slackInstallationRoutes(app, storageOf);
  homeRoute(app, storageOf, readHealth);
  iconRoute(app);
  documentRoute(app);
  refuseOthers();
  await app.ready();
  return app;
}

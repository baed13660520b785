import {
  type ApiKeyScope,
  authenticateApiKey,
  hasApiKeys,
  type Secret,
  type Storage,
} from "@codespar/core";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { StorageOf } from "../http/scope.ts";
import { bearerOf, isSecret } from "./bearer.ts";
import { LiveAnswers } from "./live-answers.ts";
import { isLocal } from "./local.ts";
import { namedOrganisation } from "./organisation.ts";
import { holds, type KeyPrincipal, mayUse, type Principal } from "./principal.ts";
import type { Counters, RateLimits } from "./rate-limits.ts";
import { AccessRecord } from "./record.ts";
import { keyless, lacking, operatorsOnly, otherOrganisation, unknownKey } from "./refusals.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** Who sent it; `null` on public routes, and until that was found out. */
    principal: Principal | null;
    /** The key that it came with, where that has ended. */
    endedKeyId: string | null;
  }
}

/** What is known of the deployment's callers at the start. */
export interface AccessOptions {
  /** Acts for every organisation. With one set, nobody is served without a key. */
  readonly adminKey?: Secret | undefined;
  /** What the command line found beside the files of this server. */
  readonly commandLineToken?: Secret | undefined;
  /** Origins of pages that may ask from elsewhere, such as `https://app.example.com`. Default: none. */
  readonly corsOrigins?: readonly string[] | undefined;
  readonly rateLimits?: Partial<RateLimits> | undefined;
}

/** Lets a caller go on only with these scopes. @throws HttpError `FORBIDDEN`, recorded as every refusal is */
export type RequireScopes = (
  request: FastifyRequest,
  scopes: readonly ApiKeyScope[],
) => Promise<void>;

/**
 * Lets nobody past who isn't known and allowed, before anything of a request's body is read. Without any key in the deployment, only direct
 * requests from this machine are served; with one, those that carry one. Routes that are `public` answer anyone.
 */
export async function guard(
  app: FastifyInstance,
  storage: Storage,
  storageOf: StorageOf,
  counters: Counters,
  options: AccessOptions,
): Promise<RequireScopes> {
  const { adminKey, commandLineToken, corsOrigins = [] } = options;
  app.decorateRequest("principal", null);
  app.decorateRequest("endedKeyId", null);
  const live = new LiveAnswers();
  const record = new AccessRecord(storage, storageOf, counters.refusal);

  async function identify(request: FastifyRequest, local: boolean): Promise<Principal> {
    const token = bearerOf(request);
    if (token === undefined) return unnamed(request, local);
    if (token === null) throw unknownKey();
    // Both are compared whatever the first comparison says.
    const isAdmin = adminKey !== undefined && isSecret(token, adminKey);
    const isCommandLine = commandLineToken !== undefined && isSecret(token, commandLineToken);
    if (isAdmin) return { kind: "operator" };
    if (isCommandLine && local) return { kind: "command-line" };
    const caller = await authenticateApiKey(storage, token, {
      onEnded: (ended, how) => record.ended(request, ended, how),
    });
    if (caller === null) throw unknownKey();
    const { orgId, key } = caller;
    const { id, scopes, expiresAt } = key;
    return { kind: "key", orgId, id, scopes, expiresAt };
  }

  async function unnamed(request: FastifyRequest, local: boolean): Promise<Principal> {
    if (!local) throw keyless(request.socket.localPort);
    const visits = request.routeOptions.config.access === "local";
    try {
      if (adminKey === undefined && !(await hasApiKeys(storage))) return { kind: "local" };
    } catch (error) {
      // Nobody can tell whether it is open, so it isn't.
      if (!visits) throw error;
    }
    if (visits) return { kind: "visitor" };
    throw keyless(request.socket.localPort);
  }

  async function admit(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (request.routeOptions.config.access === "public") return;
    const local = isLocal(request.raw, corsOrigins);
    if (!local) await counters.address(request, reply);
    const principal = await identify(request, local);
    request.principal = principal;
    if (principal.kind !== "key") {
      if (!mayUse(principal, request.routeOptions.config)) throw keyless(request.socket.localPort);
      return;
    }
    if (!local) await counters.key(request, reply);
    await admitKey(request, principal);
    live.watch(reply.raw, async () => {
      const caller = await authenticateApiKey(storage, bearerOf(request) ?? "");
      return caller !== null;
    });
  }

  async function admitKey(request: FastifyRequest, key: KeyPrincipal): Promise<void> {
    if (namesOther(request, key.orgId)) {
      await record.refused(request, key, "organisation");
      throw otherOrganisation();
    }
    const { config } = request.routeOptions;
    if (mayUse(key, config)) return;
    if (isPrivileged(request)) await record.refused(request, key, "scope");
    throw config.scope === undefined ? operatorsOnly() : lacking(config.scope);
  }

  async function requireScopes(request: FastifyRequest, scopes: readonly ApiKeyScope[]) {
    const { principal } = request;
    const lacked = scopes.find((scope) => principal === null || !holds(principal, scope));
    if (lacked === undefined) return;
    if (principal?.kind === "key") await record.refused(request, principal, "scope");
    throw lacking(lacked);
  }

  app.addHook("onRequest", admit);
  app.addHook("preHandler", (request, _reply, done) => {
    if (recordsAccess(request)) record.granted(request).then(() => done(), done);
    else done();
  });
  return requireScopes;
}

function namesOther(request: FastifyRequest, orgId: string): boolean {
  const named = namedOrganisation(request);
  return named !== undefined && named !== orgId;
}

function isAdministration({ routeOptions }: FastifyRequest): boolean {
  const { scope, access } = routeOptions.config;
  return scope === "admin" || access === "operator";
}

/** Changes of administration, and secrets, write entries of their own. */
function recordsAccess(request: FastifyRequest): boolean {
  const isRead = request.method === "GET" || request.method === "HEAD";
  return (
    (isAdministration(request) && isRead) || request.routeOptions.config.recordsAccess === true
  );
}

function isPrivileged(request: FastifyRequest): boolean {
  return isAdministration(request) || request.routeOptions.config.scope === "secrets";
}

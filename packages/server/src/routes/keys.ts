import { type ApiKey, apiKeyScopes, limits, StorageError } from "@codespar/core";
import { z } from "zod";
import type { RequireScopes } from "../access/gate.ts";
import type { Principal } from "../access/principal.ts";
import type { App } from "../app-types.ts";
import { idempotentId, underKey } from "../http/idempotency.ts";
import { responses } from "../http/responses.ts";
import type { StorageOf } from "../http/scope.ts";
import { flag, idParam, instant, pageOf, pageQuery, recordMeta } from "../schemas.ts";

const params = z.object({ id: idParam });

/** {@link ApiKey} */
const apiKey = z
  .object({
    id: z.string(),
    name: z.string(),
    scopes: z.array(z.enum(apiKeyScopes)).readonly(),
    createdBy: z.string().describe("The actor who made it, as `type:id`."),
    expiresAt: instant.nullable(),
    lastUsedAt: instant.nullable().describe("To about a minute."),
    revokedAt: instant.nullable(),
    ...recordMeta,
  })
  .meta({ id: "ApiKey" }) satisfies z.ZodType<ApiKey>;

const end = z.string().exactOptional();

const issued = z
  .object({
    key: apiKey,
    token: z
      .string()
      .describe("Shown here and never again. Sent as `Authorization: Bearer <token>`."),
  })
  .meta({ id: "IssuedApiKey" });

/** `/api/keys`: the organisation's API keys. */
export function keyRoutes(app: App, storageOf: StorageOf, requireScopes: RequireScopes): void {
  listRoute(app, storageOf);
  createRoute(app, storageOf, requireScopes);
  revokeRoute(app, storageOf);
  rotateRoute(app, storageOf, requireScopes);
}

function listRoute(app: App, storageOf: StorageOf): void {
  app.get(
    "/api/keys",
    {
      config: { scope: "admin", documentedHeaders: ["x-org-id"] },
      schema: {
        tags: ["keys"],
        operationId: "listKeys",
        summary: "API keys by id, expired and revoked ones included",
        querystring: z.strictObject({ ...pageQuery, reverse: flag.exactOptional() }),
        response: responses({ 200: ["A page.", pageOf(apiKey)] }),
      },
    },
    async (request) => await storageOf(request).apiKeys.list(request.query),
  );
}

function createRoute(app: App, storageOf: StorageOf, requireScopes: RequireScopes): void {
  app.post(
    "/api/keys",
    {
      config: { scope: "admin", documentedHeaders: ["x-org-id", "idempotency-key"] },
      schema: {
        tags: ["keys"],
        operationId: "createKey",
        summary: "Makes an API key, and shows its token once",
        description:
          "A key can't give scopes that it doesn't have itself, and what it makes ends with it at the latest. The same `Idempotency-Key` again is 409: the token can't be shown a second time.",
        body: z.strictObject({
          name: z.string().describe("For people, to tell keys apart."),
          scopes: z.array(z.enum(apiKeyScopes)).min(1).max(apiKeyScopes.length),
          expiresAt: end.describe(
            "ISO 8601 with a time zone. By default when the key ends that this is sent with, or never.",
          ),
        }),
        response: responses({ 201: ["The key and its token.", issued] }, 409, 415),
      },
    },
    async (request, reply) => {
      await requireScopes(request, request.body.scopes);
      const storage = storageOf(request);
      const id = idempotentId(request, storage.orgId);
      const expiresAt = withinOwnLife(request.principal, request.body.expiresAt);
      const input = {
        ...request.body,
        ...(expiresAt !== undefined && { expiresAt }),
        ...(id && { id }),
      };
      const { key, token } = await underKey(request, storage.apiKeys.create(input));
      return reply.code(201).send({ key, token: token.reveal() });
    },
  );
}

/** Whoever got hold of a key that ends mustn't have one from it that doesn't. @throws StorageError `VALIDATION` */
function withinOwnLife(
  principal: Principal | null,
  expiresAt: string | undefined,
): string | undefined {
  if (principal?.kind !== "key" || principal.expiresAt === null) return expiresAt;
  if (expiresAt === undefined) return principal.expiresAt;
  if (!(Date.parse(expiresAt) > Date.parse(principal.expiresAt))) return expiresAt;
  throw new StorageError(
    "VALIDATION",
    `expiresAt: a key that is made with a key ends with it at the latest, at ${principal.expiresAt}.`,
  );
}

function revokeRoute(app: App, storageOf: StorageOf): void {
  app.delete(
    "/api/keys/:id",
    {
      config: { scope: "admin", documentedHeaders: ["x-org-id"] },
      schema: {
        tags: ["keys"],
        operationId: "revokeKey",
        summary: "Ends a key for good, everywhere within a second",
        params,
        response: responses({ 204: ["It has ended, now or earlier."] }, 404, 409),
      },
    },
    async (request, reply) => {
      await storageOf(request).apiKeys.revoke(request.params.id);
      return reply.code(204).send();
    },
  );
}

function rotateRoute(app: App, storageOf: StorageOf, requireScopes: RequireScopes): void {
  app.post(
    "/api/keys/:id/rotate",
    {
      config: { scope: "admin", documentedHeaders: ["x-org-id"] },
      schema: {
        tags: ["keys"],
        operationId: "rotateKey",
        summary: "Puts a new key with the same name and scopes in the place of this one",
        description:
          "It ends when the earlier one would have, unless another end is given, and with the key that this is sent with at the latest.",
        params,
        body: z.strictObject({
          overlapMs: z
            .int()
            .exactOptional()
            .describe(
              `Milliseconds for which the earlier token still works: 0, the default, to ${limits.keyOverlapMaxMs}.`,
            ),
          expiresAt: end.describe(
            "ISO 8601 with a time zone. By default when the earlier key ends.",
          ),
        }),
        response: responses({ 201: ["The new key and its token.", issued] }, 404, 409, 415),
      },
    },
    async (request, reply) => {
      const { apiKeys } = storageOf(request);
      const { id } = request.params;
      const before = await apiKeys.get(id);
      // The new token does what the earlier one did: whoever gets it must be allowed as much. Of none there is no token, and rotating says so.
      if (before !== null) await requireScopes(request, before.scopes);
      const own = before?.expiresAt ?? null;
      const expiresAt = endInstead(request.principal, own, request.body.expiresAt);
      const { key, token } = await apiKeys.rotate(id, {
        ...request.body,
        ...(expiresAt !== undefined && { expiresAt }),
      });
      return reply.code(201).send({ key, token: token.reveal() });
    },
  );
}

/** The end that a key gets in the place of its own, if any: what is rotated with a key ends with it at the latest. @throws StorageError `VALIDATION` */
function endInstead(
  principal: Principal | null,
  own: string | null,
  expiresAt: string | undefined,
): string | undefined {
  const limit = principal?.kind === "key" ? principal.expiresAt : null;
  const endsInTime = limit === null || (own !== null && Date.parse(own) <= Date.parse(limit));
  return expiresAt === undefined && endsInTime ? undefined : withinOwnLife(principal, expiresAt);
}

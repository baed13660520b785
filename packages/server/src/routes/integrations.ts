import { type DeleteOptions, type Secret, StorageError, type WriteOptions } from "@codespar/core";
import { z } from "zod";
import type { App } from "../app-types.ts";
import { entityTag } from "../http/entity-tags.ts";
import { conditionally, isNotModified } from "../http/preconditions.ts";
import { responses } from "../http/responses.ts";
import type { StorageOf } from "../http/scope.ts";
import {
  flag,
  integration,
  integrationSettings,
  pageOf,
  pageQuery,
  secretValues,
} from "../schemas.ts";

const url = "/api/integrations/:name";
const params = z.object({ name: z.string().describe("`sentry`, `vercel`, `railway`, …") });

/** Largest body, in bytes: credentials of 64 KiB and settings of 256 KiB as JSON that escapes more than it must. */
const configBodyLimit = 1024 * 1024;

/** `/api/integrations` */
export function integrationRoutes(app: App, storageOf: StorageOf): void {
  readRoutes(app, storageOf);
  storeRoute(app, storageOf);
  removeRoute(app, storageOf);
  credentialsRoute(app, storageOf);
}

function readRoutes(app: App, storageOf: StorageOf): void {
  app.get(
    "/api/integrations",
    {
      config: { scope: "read", documentedHeaders: ["x-org-id"] },
      schema: {
        tags: ["integrations"],
        operationId: "listIntegrations",
        summary: "Integrations by name, without their credentials",
        querystring: z.strictObject({ ...pageQuery, reverse: flag.exactOptional() }),
        response: responses({ 200: ["A page.", pageOf(integration)] }),
      },
    },
    async (request) => await storageOf(request).channelConfigs.list(request.query),
  );

  app.get(
    url,
    {
      config: { scope: "read", documentedHeaders: ["x-org-id", "if-none-match"] },
      schema: {
        tags: ["integrations"],
        operationId: "getIntegration",
        summary: "One integration, without its credentials",
        params,
        response: responses(
          {
            200: ["The integration; its version is the ETag.", integration],
            304: ["The caller has this version."],
          },
          404,
          412,
        ),
      },
    },
    async (request, reply) => {
      const config = await storageOf(request).channelConfigs.get(request.params.name);
      if (isNotModified(request, reply, "integration", config?.version ?? null))
        return reply.code(304).send();
      if (config === null) throw missing();
      return reply.code(200).send(config);
    },
  );
}

function storeRoute(app: App, storageOf: StorageOf): void {
  app.put(
    url,
    {
      bodyLimit: configBodyLimit,
      config: { scope: "secrets", documentedHeaders: ["x-org-id", "if-match", "if-none-match"] },
      schema: {
        tags: ["integrations"],
        operationId: "setIntegration",
        summary: "Stores an integration's credentials and settings, replacing both",
        params,
        body: z.strictObject({
          credentials: secretValues.describe("Secrets by name. No answer shows them again."),
          settings: integrationSettings
            .exactOptional()
            .describe("What isn't secret; `{}` by default."),
        }),
        response: responses(
          { 200: ["Replaced.", integration], 201: ["There was none before.", integration] },
          409,
          412,
          415,
        ),
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      const storage = storageOf(request);
      const set = async (preconditions: WriteOptions) => {
        const { value } = await storage.transaction(async ({ channelConfigs }) => {
          const before = await channelConfigs.get(name);
          const stored = await channelConfigs.set(name, request.body, preconditions);
          return { created: before === null, stored };
        });
        return value;
      };
      const { created, stored } = await conditionally(request, {
        what: "integration",
        current: async () => (await storage.channelConfigs.get(name))?.version ?? null,
        write: set,
        writeAbsent: () => set({ ifAbsent: true }),
        checksAbsence: true,
      });
      return reply
        .code(created ? 201 : 200)
        .header("etag", entityTag(stored.version))
        .send(stored);
    },
  );
}

function removeRoute(app: App, storageOf: StorageOf): void {
  app.delete(
    url,
    {
      config: { scope: "secrets", documentedHeaders: ["x-org-id", "if-match"] },
      schema: {
        tags: ["integrations"],
        operationId: "deleteIntegration",
        summary: "Removes an integration with its credentials",
        params,
        response: responses({ 204: ["Removed."] }, 404, 409, 412),
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      const { channelConfigs } = storageOf(request);
      const existed = await conditionally(request, {
        what: "integration",
        current: async () => (await channelConfigs.get(name))?.version ?? null,
        write: (preconditions: DeleteOptions) => channelConfigs.delete(name, preconditions),
        writeAbsent: async () => false,
      });
      if (!existed) throw missing();
      return reply.code(204).send();
    },
  );
}

function credentialsRoute(app: App, storageOf: StorageOf): void {
  app.get(
    `${url}/credentials`,
    {
      // A HEAD would seal an entry of a reading that nobody has made.
      exposeHeadRoute: false,
      config: { scope: "secrets", documentedHeaders: ["x-org-id"] },
      schema: {
        tags: ["integrations"],
        operationId: "readCredentials",
        summary: "An integration's credentials in clear",
        description:
          "Each reading is an entry `secret.read` of the trail, sealed before the answer. It says so when there was nothing to read.",
        params,
        response: responses(
          { 200: ["The credentials.", z.object({ credentials: secretValues })] },
          404,
        ),
      },
    },
    async (request) => {
      const credentials = await storageOf(request).channelConfigs.getCredentials(
        request.params.name,
      );
      if (credentials === null) throw missing();
      return { credentials: revealed(credentials) };
    },
  );
}

/** Secrets for an answer. */
export function revealed(secrets: Readonly<Record<string, Secret>>): Record<string, string> {
  const inClear = Object.entries(secrets).map(([name, secret]) => [name, secret.reveal()]);
  return Object.fromEntries(inClear);
}

function missing(): StorageError {
  return new StorageError("NOT_FOUND", "There is no such integration. PUT stores one.");
}

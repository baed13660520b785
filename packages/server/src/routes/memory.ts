import { type Preconditions, StorageError } from "@codespar/core";
import { z } from "zod";
import type { App } from "../app-types.ts";
import { entityTag } from "../http/entity-tags.ts";
import { conditionally, isNotModified } from "../http/preconditions.ts";
import { responses } from "../http/responses.ts";
import type { StorageOf } from "../http/scope.ts";
import {
  expiryFields,
  flag,
  idParam,
  keyParam,
  memoryEntry,
  memoryEntryMeta,
  pageOf,
  pageQuery,
} from "../schemas.ts";

/** Largest body of a route that takes values, in bytes: a transaction's 4 MiB as JSON that escapes more than it must. */
export const valueBodyLimit = 8 * 1024 * 1024;

const params = z.object({ agentId: idParam, key: keyParam });
const record = z
  .boolean()
  .exactOptional()
  .describe("Writes an audit entry in the same transaction.");

/** `/api/agents/:agentId/memory/:key` and the listing. */
export function memoryRoutes(app: App, storageOf: StorageOf): void {
  readRoutes(app, storageOf);
  writeRoutes(app, storageOf);
}

function readRoutes(app: App, storageOf: StorageOf): void {
  app.get(
    "/api/agents/:agentId/memory/:key",
    {
      config: { scope: "read", documentedHeaders: ["x-org-id", "if-none-match"] },
      schema: {
        tags: ["memory"],
        operationId: "getMemory",
        summary: "One entry with its value",
        params,
        response: responses(
          {
            200: ["The entry; its version is the ETag.", memoryEntry],
            304: ["The caller has this version."],
          },
          404,
          412,
        ),
      },
    },
    async (request, reply) => {
      const { agentId, key } = request.params;
      const entry = await storageOf(request).memory.getEntry(agentId, key);
      if (isNotModified(request, reply, "memory entry", entry?.version ?? null))
        return reply.code(304).send();
      if (entry === null) throw missing();
      return reply.code(200).send(entry);
    },
  );

  app.get(
    "/api/agents/:agentId/memory",
    {
      config: { scope: "read", documentedHeaders: ["x-org-id"] },
      schema: {
        tags: ["memory"],
        operationId: "listMemory",
        summary: "An agent's entries in key order",
        params: z.object({ agentId: idParam }),
        querystring: z.strictObject({
          ...pageQuery,
          prefix: z
            .string()
            .exactOptional()
            .describe("Only keys that begin with exactly this text."),
          reverse: flag.exactOptional(),
        }),
        response: responses({ 200: ["A page.", pageOf(memoryEntry)] }),
      },
    },
    async (request) => await storageOf(request).memory.list(request.params.agentId, request.query),
  );
}

function writeRoutes(app: App, storageOf: StorageOf): void {
  app.put(
    "/api/agents/:agentId/memory/:key",
    {
      bodyLimit: valueBodyLimit,
      config: { scope: "write", documentedHeaders: ["x-org-id", "if-match", "if-none-match"] },
      schema: {
        tags: ["memory"],
        operationId: "setMemory",
        summary: "Stores a value, replacing the entry as a whole",
        params,
        body: z.strictObject({ value: z.unknown().describe("Any JSON."), ...expiryFields, record }),
        response: responses(
          { 200: ["Replaced.", memoryEntryMeta], 201: ["There was none before.", memoryEntryMeta] },
          409,
          412,
          415,
        ),
      },
    },
    async (request, reply) => {
      const { agentId, key } = request.params;
      const { value, ...options } = request.body;
      const { memory } = storageOf(request);
      const set = (preconditions: Preconditions) =>
        memory.set(agentId, key, value, { ...options, ...preconditions });
      const result = await conditionally(request, {
        what: "memory entry",
        current: async () => (await memory.getEntry(agentId, key))?.version ?? null,
        write: set,
        writeAbsent: () => set({ ifAbsent: true }),
        checksAbsence: true,
      });
      const { created, ...entry } = result;
      return reply
        .code(created ? 201 : 200)
        .header("etag", entityTag(entry.version))
        .send(entry);
    },
  );

  app.delete(
    "/api/agents/:agentId/memory/:key",
    {
      config: { scope: "write", documentedHeaders: ["x-org-id", "if-match"] },
      schema: {
        tags: ["memory"],
        operationId: "deleteMemory",
        summary: "Deletes an entry",
        params,
        querystring: z.strictObject({ record: flag.exactOptional() }),
        response: responses({ 204: ["Deleted."] }, 404, 409, 412),
      },
    },
    async (request, reply) => {
      const { agentId, key } = request.params;
      const { memory } = storageOf(request);
      const existed = await conditionally(request, {
        what: "memory entry",
        current: async () => (await memory.getEntry(agentId, key))?.version ?? null,
        write: (preconditions) =>
          memory.delete(agentId, key, { ...request.query, ...preconditions }),
        writeAbsent: async () => false,
      });
      if (!existed) throw missing();
      return reply.code(204).send();
    },
  );
}

function missing(): StorageError {
  return new StorageError(
    "NOT_FOUND",
    "There is no such memory entry, or it has expired. PUT creates it.",
  );
}

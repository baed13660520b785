import { type AgentState, agentStatuses, autonomyLevels, StorageError } from "@codespar/core";
import { z } from "zod";
import type { App } from "../app-types.ts";
import { entityTag } from "../http/entity-tags.ts";
import { conditionally, isNotModified } from "../http/preconditions.ts";
import { responses } from "../http/responses.ts";
import type { StorageOf } from "../http/scope.ts";
import { agent, flag, idParam, pageOf, pageQuery } from "../schemas.ts";

const params = z.object({ agentId: idParam });

const newAgent = z.strictObject({
  id: z.string().describe("The agent's id, chosen by the caller."),
  type: z.string().exactOptional(),
  name: z.string().exactOptional(),
  status: z.enum(agentStatuses).exactOptional(),
  autonomyLevel: z.int().min(autonomyLevels.min).max(autonomyLevels.max).exactOptional(),
  projectId: z.string().nullable().exactOptional(),
  lastActivityAt: z.string().nullable().exactOptional(),
});

/** `/api/agents` and `/api/agents/:agentId` */
export function agentRoutes(app: App, storageOf: StorageOf): void {
  collectionRoutes(app, storageOf);
  itemRoutes(app, storageOf);
}

function collectionRoutes(app: App, storageOf: StorageOf): void {
  app.get(
    "/api/agents",
    {
      config: { scope: "read", documentedHeaders: ["x-org-id"] },
      schema: {
        tags: ["agents"],
        operationId: "listAgents",
        summary: "Agents by id, those known only by their memory included",
        querystring: z.strictObject({
          ...pageQuery,
          status: z.enum(agentStatuses).exactOptional(),
          reverse: flag.exactOptional(),
        }),
        response: responses({ 200: ["A page.", pageOf(agent)] }),
      },
    },
    async (request) => await storageOf(request).agentStates.list(request.query),
  );

  app.post(
    "/api/agents",
    {
      config: {
        scope: "write",
        documentedHeaders: ["x-org-id"],
        answerHeaders: ["ETag", "Location"],
      },
      schema: {
        tags: ["agents"],
        operationId: "createAgent",
        summary: "Registers an agent",
        body: newAgent,
        response: responses({ 201: ["Registered.", agent] }, 409, 415),
      },
    },
    async (request, reply) => {
      const { id, ...state } = request.body;
      const created = await create(() =>
        storageOf(request).agentStates.set(id, state, { ifAbsent: true }),
      );
      return reply
        .code(201)
        .header("location", `/api/agents/${encodeURIComponent(id)}`)
        .header("etag", entityTag(created.version ?? ""))
        .send(created);
    },
  );
}

/** Nobody has asked for a precondition here, so it isn't one that failed. */
async function create(register: () => Promise<AgentState>): Promise<AgentState> {
  try {
    return await register();
  } catch (error) {
    if (!StorageError.is(error, "PRECONDITION_FAILED")) throw error;
    throw new StorageError(
      "ALREADY_EXISTS",
      "An agent with this id is registered. Change that one, or delete it first.",
      {
        cause: error,
      },
    );
  }
}

function itemRoutes(app: App, storageOf: StorageOf): void {
  app.get(
    "/api/agents/:agentId",
    {
      config: { scope: "read", documentedHeaders: ["x-org-id", "if-none-match"] },
      schema: {
        tags: ["agents"],
        operationId: "getAgent",
        summary: "One agent",
        params,
        response: responses(
          {
            200: ["The agent; its version is the ETag.", agent],
            304: ["The caller has this version."],
          },
          404,
          412,
        ),
      },
    },
    async (request, reply) => {
      const found = await storageOf(request).agentStates.get(request.params.agentId);
      if (isNotModified(request, reply, "agent", found?.version ?? null))
        return reply.code(304).send();
      if (found === null) throw missingAgent();
      return reply.code(200).send(found);
    },
  );

  app.delete(
    "/api/agents/:agentId",
    {
      config: { scope: "write", documentedHeaders: ["x-org-id", "if-match"] },
      schema: {
        tags: ["agents"],
        operationId: "deleteAgent",
        summary: "Removes an agent's registration; its memory and repository link stay",
        params,
        response: responses({ 204: ["Removed."] }, 404, 409, 412),
      },
    },
    async (request, reply) => {
      const { agentId } = request.params;
      const { agentStates } = storageOf(request);
      const existed = await conditionally(request, {
        what: "agent",
        current: async () => (await agentStates.get(agentId))?.version ?? null,
        write: (preconditions) => agentStates.delete(agentId, preconditions),
        writeAbsent: async () => false,
      });
      if (!existed) throw missingAgent();
      return reply.code(204).send();
    },
  );
}

/** What a request about an unknown agent gets. */
export function missingAgent(): StorageError {
  return new StorageError(
    "NOT_FOUND",
    "No such agent is registered. POST /api/agents registers one.",
  );
}

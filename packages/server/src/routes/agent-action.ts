import {
  type AgentInput,
  type AgentState,
  autonomyLevels,
  type DeleteOptions,
  PreconditionFailedError,
  type Storage,
  StorageError,
} from "@codespar/core";
import { z } from "zod";
import type { App } from "../app-types.ts";
import { entityTag } from "../http/entity-tags.ts";
import { conditionally } from "../http/preconditions.ts";
import { responses } from "../http/responses.ts";
import type { StorageOf } from "../http/scope.ts";
import { agent, idParam } from "../schemas.ts";
import { missingAgent } from "./agents.ts";

const action = z.discriminatedUnion("action", [
  z.strictObject({
    action: z.enum(["suspend", "resume", "restart"]),
    params: z.strictObject({}).exactOptional(),
  }),
  z.strictObject({
    action: z.literal("set_autonomy"),
    params: z.strictObject({ level: z.int().min(autonomyLevels.min).max(autonomyLevels.max) }),
  }),
]);

type Action = z.output<typeof action>;

/** `POST /api/agents/:agentId/action` */
export function agentActionRoute(app: App, storageOf: StorageOf): void {
  app.post(
    "/api/agents/:agentId/action",
    {
      config: {
        scope: "write",
        documentedHeaders: ["x-org-id", "if-match"],
        answerHeaders: ["ETag"],
      },
      schema: {
        tags: ["agents"],
        operationId: "actOnAgent",
        summary: "Suspends, resumes or restarts an agent, or sets how much it may do by itself",
        description:
          "`suspend`: the status becomes `suspended`. `resume`: a suspended agent becomes `idle`; any other stays as it is. " +
          "`restart`: the status becomes `idle`, an error included. `set_autonomy`: `params.level` from 0 (asks before everything) to 5 (acts alone).",
        params: z.object({ agentId: idParam }),
        body: action,
        response: responses({ 200: ["The agent as it is now.", agent] }, 404, 409, 412, 415),
      },
    },
    async (request, reply) => {
      const storage = storageOf(request);
      const { agentStates } = storage;
      const { agentId } = request.params;
      const acting = conditionally(request, {
        what: "agent",
        current: async () => (await agentStates.get(agentId))?.version ?? null,
        write: (preconditions) => act(storage, agentId, request.body, preconditions),
        writeAbsent: () => Promise.reject(missingAgent()),
      });
      const after = await acting.catch((error: unknown) => {
        // The storage's own message names the library's call.
        throw StorageError.is(error, "NOT_FOUND") ? missingAgent() : error;
      });
      if (after.version !== null) void reply.header("etag", entityTag(after.version));
      return reply.code(200).send(after);
    },
  );
}

async function act(
  storage: Storage,
  agentId: string,
  { action: name, params }: Action,
  options: DeleteOptions,
): Promise<AgentState> {
  const update = (patch: AgentInput) => storage.agentStates.update(agentId, patch, options);
  switch (name) {
    case "suspend":
      return await update({ status: "suspended" });
    case "restart":
      return await update({ status: "idle" });
    case "set_autonomy":
      return await update({ autonomyLevel: params.level });
    case "resume":
      return await resume(storage, agentId, options);
  }
}

/** What it does depends on the status it finds, so that must not change in between. */
async function resume(
  storage: Storage,
  agentId: string,
  { ifVersion }: DeleteOptions,
): Promise<AgentState> {
  const { value } = await storage.transaction(async ({ agentStates }) => {
    const found = await agentStates.get(agentId);
    if (ifVersion !== undefined && found?.version !== ifVersion) {
      throw new PreconditionFailedError("agent", found?.version ?? null);
    }
    return found?.status === "suspended"
      ? await agentStates.update(agentId, { status: "idle" })
      : found;
  });
  // An agent known only by its memory is idle, and no business of a transaction.
  const state = value ?? (await storage.agentStates.get(agentId));
  if (state === null) throw missingAgent();
  return state;
}

import { auditOutcomes } from "@codespar/core";
import { z } from "zod";
import { checkClaimedActor } from "../../access/claims.ts";
import type { App } from "../../app-types.ts";
import { named, underKey } from "../../http/idempotency.ts";
import { responses } from "../../http/responses.ts";
import type { StorageOf } from "../../http/scope.ts";
import { actor, auditEntry } from "../../schemas.ts";
import { action, correlationId, entryBodyLimit, newId, said } from "./shapes.ts";

/** `/api/audit/intents`: what is said before something irreversible is done, and what became of it. */
export function intentRoutes(app: App, storageOf: StorageOf): void {
  intentRoute(app, storageOf);
  outcomeRoute(app, storageOf);
}

function intentRoute(app: App, storageOf: StorageOf): void {
  app.post(
    "/api/audit/intents",
    {
      bodyLimit: entryBodyLimit,
      config: {
        scope: "write",
        documentedHeaders: ["x-org-id", "idempotency-key"],
        answerHeaders: ["Location"],
      },
      schema: {
        tags: ["audit"],
        operationId: "appendIntent",
        summary: "Seals that something irreversible is about to be done",
        description:
          "The entry has the outcome `pending` and a correlation id. Until its outcome is said, `GET /api/audit?unresolved=true` lists it.",
        body: z.strictObject({ id: newId, actor, action, correlationId, ...said }),
        response: responses(
          { 201: ["The intent, or the one that the first request sealed.", auditEntry] },
          409,
          415,
        ),
      },
    },
    async (request, reply) => {
      checkClaimedActor(request, request.body.actor);
      const { audit, orgId } = storageOf(request);
      const entry = await underKey(request, audit.intent(named(request, orgId, request.body)));
      return reply.code(201).header("location", `/api/audit/${entry.seq}`).send(entry);
    },
  );
}

function outcomeRoute(app: App, storageOf: StorageOf): void {
  app.post(
    "/api/audit/intents/:id/outcome",
    {
      bodyLimit: entryBodyLimit,
      config: {
        scope: "write",
        documentedHeaders: ["x-org-id", "idempotency-key"],
        answerHeaders: ["Location"],
      },
      schema: {
        tags: ["audit"],
        operationId: "appendOutcome",
        summary: "Seals what became of an intent",
        description:
          "Under the intent's correlation id. What isn't given is the intent's. The first outcome resolves it; a later one, a contradicting one too, is an entry like any other.",
        params: z.object({ id: z.uuid().describe("Of the intent.") }),
        body: z.strictObject({
          id: newId,
          outcome: z.enum(auditOutcomes).exclude(["pending"]),
          actor: actor.exactOptional(),
          action: action.exactOptional(),
          ...said,
        }),
        response: responses(
          { 201: ["The outcome, or the one that the first request sealed.", auditEntry] },
          404,
          409,
          415,
        ),
      },
    },
    async (request, reply) => {
      checkClaimedActor(request, request.body.actor);
      const { audit, orgId } = storageOf(request);
      const { outcome, ...entry } = named(request, orgId, request.body);
      const sealed = await underKey(request, audit.outcome(request.params.id, outcome, entry));
      return reply.code(201).header("location", `/api/audit/${sealed.seq}`).send(sealed);
    },
  );
}

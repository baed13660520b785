import { auditOutcomes } from "@codespar/core";
import { z } from "zod";
import { checkClaimedActor } from "../../access/claims.ts";
import type { App } from "../../app-types.ts";
import { named, underKey } from "../../http/idempotency.ts";
import { responses } from "../../http/responses.ts";
import type { StorageOf } from "../../http/scope.ts";
import { actor, auditEntry, pageOf, pageQuery } from "../../schemas.ts";
import {
  action,
  correlationId,
  entryBodyLimit,
  filter,
  newId,
  noSuchEntry,
  position,
  said,
  seqParams,
} from "./shapes.ts";

/** `/api/audit` and `/api/audit/:seq` */
export function entryRoutes(app: App, storageOf: StorageOf): void {
  listRoute(app, storageOf);
  appendRoute(app, storageOf);
  getRoute(app, storageOf);
}

function listRoute(app: App, storageOf: StorageOf): void {
  app.get(
    "/api/audit",
    {
      config: { scope: "audit:read", documentedHeaders: ["x-org-id"] },
      schema: {
        tags: ["audit"],
        operationId: "listAudit",
        summary: "Entries by filter, newest first",
        querystring: z.strictObject({
          ...pageQuery,
          ...filter,
          order: z
            .enum(["asc", "desc"])
            .exactOptional()
            .describe("`desc`, newest first, by default."),
        }),
        response: responses({ 200: ["A page.", pageOf(auditEntry)] }),
      },
    },
    async (request) => await storageOf(request).audit.list(request.query),
  );
}

function appendRoute(app: App, storageOf: StorageOf): void {
  app.post(
    "/api/audit",
    {
      bodyLimit: entryBodyLimit,
      config: {
        scope: "write",
        documentedHeaders: ["x-org-id", "idempotency-key"],
        answerHeaders: ["Location"],
      },
      schema: {
        tags: ["audit"],
        operationId: "appendAudit",
        summary: "Seals an entry at the end of the trail",
        description:
          "Repeat a request whose answer got lost with the same `id` or `Idempotency-Key`: nothing is sealed twice.",
        body: z.strictObject({
          id: newId,
          actor,
          action,
          outcome: z.enum(auditOutcomes),
          correlationId,
          ...said,
        }),
        response: responses(
          { 201: ["The sealed entry, or the one that the first request sealed.", auditEntry] },
          409,
          415,
        ),
      },
    },
    async (request, reply) => {
      checkClaimedActor(request, request.body.actor);
      const { audit, orgId } = storageOf(request);
      const entry = await underKey(request, audit.append(named(request, orgId, request.body)));
      return reply.code(201).header("location", `/api/audit/${entry.seq}`).send(entry);
    },
  );
}

function getRoute(app: App, storageOf: StorageOf): void {
  app.get(
    "/api/audit/:seq",
    {
      config: { scope: "audit:read", documentedHeaders: ["x-org-id"] },
      schema: {
        tags: ["audit"],
        operationId: "getAudit",
        summary: "The entry at a position of the trail",
        params: seqParams,
        response: responses({ 200: ["The entry.", auditEntry] }, 404),
      },
    },
    async (request) => {
      const seq = position(request.params);
      const entry = await storageOf(request).audit.get(seq);
      if (entry === null) throw noSuchEntry(seq);
      return entry;
    },
  );
}

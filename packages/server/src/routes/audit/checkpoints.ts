import { z } from "zod";
import type { App } from "../../app-types.ts";
import { wantsJson } from "../../http/negotiation.ts";
import { responses } from "../../http/responses.ts";
import type { StorageOf } from "../../http/scope.ts";
import {
  auditCheckpoint,
  auditConsistency,
  auditProof,
  pageOf,
  pageQuery,
  wholeNumber,
} from "../../schemas.ts";
import { position, seqParams } from "./shapes.ts";

/** The media type of signed notes and receipts, which are lines of UTF-8. */
const text = "text/plain; charset=utf-8";

/** `/api/audit/checkpoint`, `/checkpoints`, `/consistency` and `/:seq/proof` */
export function checkpointRoutes(app: App, storageOf: StorageOf): void {
  checkpointRoute(app, storageOf);
  checkpointsRoute(app, storageOf);
  consistencyRoute(app, storageOf);
  proofRoute(app, storageOf);
}

function checkpointRoute(app: App, storageOf: StorageOf): void {
  app.get(
    "/api/audit/checkpoint",
    {
      config: { scope: "audit:read", documentedHeaders: ["x-org-id"], answerHeaders: ["Vary"] },
      schema: {
        tags: ["audit"],
        operationId: "getCheckpoint",
        summary: "A signed statement of what the trail holds now",
        description:
          "Keep it somewhere else: held against it, a trail that was cut or rewritten can't pass for whole.",
        response: responses(
          {
            200: [
              "The checkpoint: a C2SP signed note, or JSON.",
              { "text/plain": z.string(), "application/json": auditCheckpoint },
            ],
          },
          404,
          // Others may be signing the same.
          409,
        ),
      },
    },
    async (request, reply) => {
      const json = wantsJson(request, reply);
      const checkpoint = await storageOf(request).audit.checkpoint();
      return json ? reply.send(checkpoint) : reply.type(text).send(checkpoint.note);
    },
  );
}

function checkpointsRoute(app: App, storageOf: StorageOf): void {
  app.get(
    "/api/audit/checkpoints",
    {
      config: { scope: "audit:read", documentedHeaders: ["x-org-id"] },
      schema: {
        tags: ["audit"],
        operationId: "listCheckpoints",
        summary: "Checkpoints that were signed, newest first",
        querystring: z.strictObject(pageQuery),
        response: responses({ 200: ["A page.", pageOf(auditCheckpoint)] }),
      },
    },
    async (request) => await storageOf(request).audit.checkpoints(request.query),
  );
}

function consistencyRoute(app: App, storageOf: StorageOf): void {
  app.get(
    "/api/audit/consistency",
    {
      config: { scope: "audit:read", documentedHeaders: ["x-org-id"] },
      schema: {
        tags: ["audit"],
        operationId: "getConsistency",
        summary: "Proves that the trail still begins with what it held earlier",
        description: "RFC 6962 §2.1.2, in O(log n).",
        querystring: z.strictObject({
          from: wholeNumber.describe("How many entries it held earlier."),
          to: wholeNumber
            .exactOptional()
            .describe("How many it holds later; all of them by default."),
        }),
        response: responses({ 200: ["The proof.", auditConsistency] }, 404),
      },
    },
    async (request) => {
      const { from, to } = request.query;
      return await storageOf(request).audit.consistency(from, to);
    },
  );
}

function proofRoute(app: App, storageOf: StorageOf): void {
  app.get(
    "/api/audit/:seq/proof",
    {
      config: { scope: "audit:read", documentedHeaders: ["x-org-id"], answerHeaders: ["Vary"] },
      schema: {
        tags: ["audit"],
        operationId: "getProof",
        summary: "Proves that an entry is in the trail that a checkpoint vouches for",
        description: "RFC 6962 §2.1.1, in O(log n). Anybody can check the receipt offline.",
        params: seqParams,
        querystring: z.strictObject({
          size: wholeNumber
            .exactOptional()
            .describe("Of the checkpoint to prove it against; the latest by default."),
        }),
        response: responses(
          {
            200: [
              "The proof: a C2SP tlog-proof receipt, or JSON.",
              { "text/plain": z.string(), "application/json": auditProof },
            ],
          },
          404,
          409,
        ),
      },
    },
    async (request, reply) => {
      const json = wantsJson(request, reply);
      const proof = await storageOf(request).audit.prove(position(request.params), request.query);
      return json ? reply.send(proof) : reply.type(text).send(proof.receipt);
    },
  );
}

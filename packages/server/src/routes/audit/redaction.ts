import { z } from "zod";
import type { App } from "../../app-types.ts";
import { responses } from "../../http/responses.ts";
import type { StorageOf } from "../../http/scope.ts";
import { auditEntry } from "../../schemas.ts";
import { position, seqParams } from "./shapes.ts";

/** `/api/audit/:seq/redact` */
export function redactionRoute(app: App, storageOf: StorageOf): void {
  app.post(
    "/api/audit/:seq/redact",
    {
      config: { scope: "admin", documentedHeaders: ["x-org-id"], answerHeaders: ["Location"] },
      schema: {
        tags: ["audit"],
        operationId: "redactAudit",
        summary: "Erases an entry's details for good",
        description:
          "Seals an entry that says so; the trail and all proofs stay valid. The same request again changes nothing.",
        params: seqParams,
        body: z.strictObject({ reason: z.string().describe("Why, as details of the new entry.") }),
        response: responses({ 201: ["The entry that says so.", auditEntry] }, 404, 409, 415, 501),
      },
    },
    async (request, reply) => {
      const { reason } = request.body;
      const entry = await storageOf(request).audit.redact(position(request.params), reason);
      return reply.code(201).header("location", `/api/audit/${entry.seq}`).send(entry);
    },
  );
}

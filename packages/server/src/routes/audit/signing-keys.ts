import { z } from "zod";
import type { App } from "../../app-types.ts";
import { responses } from "../../http/responses.ts";
import type { StorageOf } from "../../http/scope.ts";
import { auditKey } from "../../schemas.ts";

/** `/api/audit/keys` */
export function signingKeyRoutes(app: App, storageOf: StorageOf): void {
  app.get(
    "/api/audit/keys",
    {
      config: { scope: "audit:read", documentedHeaders: ["x-org-id"] },
      schema: {
        tags: ["audit"],
        operationId: "listSigningKeys",
        summary: "The public keys of those that sign or signed checkpoints, newest first",
        description:
          "Whoever verifies a trail should have them from somewhere else than the trail.",
        response: responses({
          200: ["All of them.", z.object({ items: z.array(auditKey).readonly() })],
        }),
      },
    },
    async (request) => ({ items: await storageOf(request).audit.keys() }),
  );

  app.post(
    "/api/audit/keys/rotate",
    {
      config: { scope: "admin", documentedHeaders: ["x-org-id"] },
      schema: {
        tags: ["audit"],
        operationId: "rotateSigningKey",
        summary: "Puts a new signing key in the place of the present one",
        description: "Seals an entry that says so, and signs a checkpoint with both keys.",
        response: responses({ 201: ["The new key.", auditKey] }, 409),
      },
    },
    async (request, reply) => reply.code(201).send(await storageOf(request).audit.rotateKey()),
  );
}

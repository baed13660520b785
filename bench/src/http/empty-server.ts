import Fastify, { type FastifyInstance } from "fastify";
import { z } from "zod";

/* The shapes of `GET /api/agents/:agentId/memory/:key`. */
const params = z.object({ agentId: z.string(), key: z.string() });
const entry = z.object({
  key: z.string(),
  version: z.string(),
  createdAt: z.string(),
  updatedAt: z.string(),
  expiresAt: z.string().nullable(),
  value: z.unknown(),
});

/**
 * Fastify with one route and nothing behind it: what HTTP costs at the least. It checks and writes by JSON Schema as Fastify
 * does by itself, which is faster than what most put on top.
 */
export function emptyServer(value: unknown): FastifyInstance {
  const now = new Date().toISOString();
  const version = "01890a5d-ac96-774b-bcce-b302099a8057";
  const app = Fastify();
  const schema = {
    params: z.toJSONSchema(params, { target: "draft-7" }),
    response: { 200: z.toJSONSchema(entry, { target: "draft-7" }) },
  };
  app.get<{ Params: z.output<typeof params> }>(
    "/api/agents/:agentId/memory/:key",
    { schema },
    async (request) => ({
      key: request.params.key,
      version,
      createdAt: now,
      updatedAt: now,
      expiresAt: null,
      value,
    }),
  );
  return app;
}

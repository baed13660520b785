import cors from "@fastify/cors";
import type { FastifyInstance } from "fastify";
import { isLocal } from "./local.ts";
import type { Count } from "./rate-limits.ts";

const minutes = 10;

/**
 * Lets pages of these origins ask, and read the answers; of all others none. They send API keys of their own: no cookie exists here that a
 * browser would add by itself. Call before the routes are added and callers are looked at, since browsers ask first without any key.
 *
 * @param count - counts those first requests, which end here
 */
export async function openToOrigins(
  app: FastifyInstance,
  origins: readonly string[],
  count: Count,
): Promise<void> {
  if (origins.length === 0) return;
  app.addHook("onRequest", async (request, reply) => {
    if (request.method === "OPTIONS" && !isLocal(request.raw, origins)) await count(request, reply);
  });
  await app.register(cors, {
    origin: [...origins],
    methods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    allowedHeaders: [
      "Authorization",
      "Content-Type",
      "Idempotency-Key",
      "If-Match",
      "If-None-Match",
      "Last-Event-ID",
      "X-Org-Id",
      "X-Request-Id",
    ],
    exposedHeaders: [
      "Content-Disposition",
      "ETag",
      "Location",
      "RateLimit",
      "RateLimit-Policy",
      "Retry-After",
      "WWW-Authenticate",
      "X-Audit-Checkpoint",
      "X-Audit-Warning",
      "X-Request-Id",
    ],
    maxAge: minutes * 60,
  });
}

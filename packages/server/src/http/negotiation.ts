import type { FastifyReply, FastifyRequest } from "fastify";
import Negotiator from "negotiator";

/**
 * Whether the caller would rather have JSON than the text that is sent by default. Says to caches that the answer depends on it.
 */
export function wantsJson(request: FastifyRequest, reply: FastifyReply): boolean {
  void reply.header("vary", "accept");
  const { headers } = request;
  return (
    new Negotiator({ headers }).mediaType(["text/plain", "application/json"]) === "application/json"
  );
}

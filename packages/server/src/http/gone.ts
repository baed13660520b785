import type { FastifyReply } from "fastify";

/** Fires when the caller closes the connection before the answer is complete, or the answer is. */
export function goneSignal({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  raw.once("close", () => controller.abort());
  return controller.signal;
}

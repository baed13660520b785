import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { withoutApiKeys } from "@codespar/core";
import type { FastifyInstance } from "fastify";
import { actorOf } from "../access/principal.ts";
import { protective } from "../http/protective.ts";
import { pathOf } from "./errors.ts";

const acceptableId = /^[\w.:/+=-]{1,128}$/;

/** The caller's `x-request-id` where it can stand in a log line as it is, which an API key can't, else a new one. */
export function requestId({ headers }: IncomingMessage): string {
  const given = headers["x-request-id"];
  if (typeof given !== "string" || !acceptableId.test(given)) return randomUUID();
  return withoutApiKeys(given) === given ? given : randomUUID();
}

/**
 * Gives every answer its request id and its protective headers, and logs one line
 * per request, with who sent it from where: never its query, headers or body.
 */
export function accompanyRequests(app: FastifyInstance): void {
  app.addHook("onRequest", (request, reply, done) => {
    void reply.headers(protective).header("x-request-id", request.id);
    done();
  });
  app.addHook("onResponse", (request, reply, done) => {
    request.log.info(
      {
        reqId: request.id,
        method: request.method,
        path: pathOf(request),
        status: reply.statusCode,
        caller: request.principal === null ? undefined : actorOf(request.principal).id,
        address: request.ip,
        ms: Math.round(reply.elapsedTime * 10) / 10,
      },
      "request",
    );
    done();
  });
}

import { maxHeaderSize, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import { withoutApiKeys } from "@codespar/core";
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { HttpError } from "../errors.ts";
import { protective } from "../http/protective.ts";
import { headersOf, problemType, toProblem } from "../problem.ts";

/** Answers every error as problem details, and logs those that are the server's. */
export function answerErrors(app: FastifyInstance): void {
  app.setErrorHandler((error, request, reply) => sendProblem(error, request, reply));
  app.setNotFoundHandler((request, reply) => sendProblem(noSuchRoute(request), request, reply));
}

/** What a request gets whose path isn't served. */
export function noSuchRoute(request: FastifyRequest): HttpError {
  return new HttpError(
    "ROUTE_NOT_FOUND",
    `There is no ${request.method} ${pathOf(request)}. GET /docs lists all routes.`,
  );
}

/** Sends one error. Also for what Fastify refuses before any route is found. */
export function sendProblem(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const problem = toProblem(error, request.id);
  if (problem.status >= 500)
    request.log.error({ reqId: request.id, err: error, code: problem.code }, "request failed");
  return reply
    .code(problem.status)
    .headers(headersOf(error, problem))
    .header("content-type", problemType)
    .serializer(JSON.stringify)
    .send(problem);
}

/** The same where no hook has seen the request, as when its path can't be read. */
export function sendEarlyProblem(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  void reply.headers(protective).header("x-request-id", request.id);
  return sendProblem(error, request, reply);
}

/** Answers what isn't HTTP enough to become a request. */
export function answerBrokenRequest(
  log: FastifyBaseLogger,
  error: NodeJS.ErrnoException,
  socket: Socket,
): void {
  if (error.code === "ECONNRESET" || socket.destroyed) return;
  log.debug({ code: error.code }, "broken request");
  sendBroken(brokenRequest(error), socket);
}

/** Answers on a connection that no request came of, and closes it. */
export function sendBroken(error: HttpError, socket: Socket): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const problem = toProblem(error, "");
  const body = JSON.stringify(problem);
  const headers = {
    ...protective,
    "content-type": problemType,
    "content-length": Buffer.byteLength(body),
    connection: "close",
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const status = `${problem.status} ${STATUS_CODES[problem.status]}`;
  socket.end(`HTTP/1.1 ${status}\r\n${lines.join("")}\r\n${body}`);
}

function brokenRequest({ code }: NodeJS.ErrnoException): HttpError {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") {
    return new HttpError("REQUEST_TIMEOUT", "The request didn't arrive in time. Send it again.");
  }
  if (code === "HPE_HEADER_OVERFLOW") {
    return new HttpError(
      "HEADERS_TOO_LARGE",
      `Address and headers together may have ${maxHeaderSize} bytes.`,
    );
  }
  return new HttpError("MALFORMED_REQUEST", "This is not a well-formed HTTP/1.1 request.");
}

/** The path without its query, whose values don't belong into messages, nor keys that somebody put into an address, however encoded. */
export function pathOf(request: FastifyRequest): string {
  const [path = ""] = request.url.split("?", 1);
  const plain = decoded(path);
  const shown = withoutApiKeys(plain);
  return shown === plain ? path : shown;
}

/** Programs encode what is encoded already. More often than this nobody does by mistake. */
const encodings = 8;

function decoded(path: string): string {
  let plain = path;
  for (let i = 0; i < encodings; i += 1) {
    // ASCII alone: each of these decodes, whatever stands around it.
    const next = plain.replace(/%[0-7][0-9a-f]/gi, decodeURIComponent);
    if (next === plain) return plain;
    plain = next;
  }
  return plain;
}

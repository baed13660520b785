import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { HttpError } from "../errors.ts";
import { protective } from "../http/protective.ts";
import { timesSent } from "../http/repeated.ts";
import { problemType, toProblem } from "../problem.ts";
import { sendBroken } from "./errors.ts";

/** Milliseconds for a whole request to arrive. */
export const requestTimeoutMs = 60_000;
/** Milliseconds for its headers to arrive. */
const headersTimeoutMs = 20_000;
/** Bytes of address and headers together. */
const maxHeaderSize = 16 * 1024;
/** Bytes of a query: a cursor and the longest prefix fit. */
const maxQueryLength = 8 * 1024;

/**
 * How Node's server is set up. Its own check for `Host` answers without a body: {@link refuseMalformed} takes its place.
 *
 * @param timeoutMs - milliseconds for a whole request to arrive
 */
export function httpOptions(timeoutMs: number) {
  return {
    requireHostHeader: false,
    maxHeaderSize,
    headersTimeout: Math.min(headersTimeoutMs, timeoutMs),
    requestTimeout: timeoutMs,
    connectionsCheckingInterval: Math.min(5000, timeoutMs / 4),
  };
}

/** Refuses, as problem details, what Node's parser lets through or would refuse without a word. */
export function refuseMalformed(app: FastifyInstance): void {
  // Node leaves out what comes behind the 2,000th header, where proxies put what tells of them: maxHeaderSize is the bound.
  app.server.maxHeadersCount = 0;
  app.addHook("onRequest", ({ raw, routeOptions }, _reply, done) => {
    if (!namesOneHost(raw)) done(hostless());
    // Nobody reads the query of what is public.
    else done(routeOptions.config.access === "public" ? undefined : wrongIn(queryOf(raw)));
  });
  app.server.on("checkExpectation", (_request: IncomingMessage, response: ServerResponse) => {
    const problem = toProblem(unmetExpectation(), "");
    const headers = { ...protective, "content-type": problemType, connection: "close" };
    response.writeHead(problem.status, headers);
    response.end(JSON.stringify(problem));
  });
  app.server.on("connect", (_request: IncomingMessage, socket: Socket) => {
    socket.on("error", () => undefined);
    sendBroken(new HttpError("METHOD_NOT_ALLOWED", "This server is no proxy."), socket);
  });
}

const noParameters = z.strictObject({});

/** Gives each described route without parameters a query that takes none: what nobody reads is refused instead of ignored. */
export function refuseUnreadQueries(app: FastifyInstance): void {
  app.addHook("onRoute", (route) => {
    if (route.schema?.operationId === undefined || route.config?.access === "public") return;
    route.schema = { querystring: noParameters, ...route.schema };
  });
}

/** As RFC 9112 §3.2 demands of HTTP/1.1: one Host and no second one, which a proxy in front may have read instead. */
function namesOneHost(request: IncomingMessage): boolean {
  const hosts = timesSent(request, "host");
  return request.httpVersion === "1.0" ? hosts <= 1 : hosts === 1 && request.headers.host !== "";
}

/** The query with its question mark; empty where there is none. */
function queryOf({ url = "" }: IncomingMessage): string {
  const begin = url.indexOf("?");
  return begin === -1 ? "" : url.slice(begin);
}

function wrongIn(query: string): HttpError | undefined {
  if (query.length > maxQueryLength) return tooLong();
  return isEncodedText(query) ? undefined : unreadable();
}

/** Whether its escapes are UTF-8. What isn't, Fastify would take as it stands, so that it is looked for in vain. Node's parser lets only ASCII through. */
function isEncodedText(query: string): boolean {
  if (!query.includes("%")) return true;
  try {
    decodeURIComponent(query);
    return true;
  } catch {
    return false;
  }
}

function tooLong(): HttpError {
  return new HttpError("URI_TOO_LONG", `The query may have ${maxQueryLength} bytes.`);
}

function unreadable(): HttpError {
  return new HttpError(
    "MALFORMED_REQUEST",
    "The query isn't well-formed. Percent-encode its names and values as UTF-8: %C3%A9 for é, %25 for %.",
  );
}

function hostless(): HttpError {
  return new HttpError(
    "MALFORMED_REQUEST",
    "An HTTP/1.1 request has one Host header that names the server. Send exactly one.",
  );
}

function unmetExpectation(): HttpError {
  return new HttpError(
    "EXPECTATION_FAILED",
    "The only expectation that this server knows is 100-continue. Leave the Expect header out.",
  );
}

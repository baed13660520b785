import { type IncomingHttpHeaders, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { text } from "node:stream/consumers";
import { type ErrorCode, errorCodes, limits, type Secret, StorageError } from "@codespar/core";
import { CommandFailure, usage } from "../failure.ts";

/** A server, and how to speak to it. */
export interface Server {
  readonly url: string;
  /** An API key, or what the server left beside its files. */
  readonly token?: Secret | undefined;
  /** The organisation to name; without it the key's, or the server's default. */
  readonly orgId?: string | undefined;
}

/** One request to the server. */
export interface Call {
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** Path segments, unescaped. */
  readonly path: readonly string[];
  /** Parameters of the query; what is undefined is left out, and each of several values stands for itself. */
  readonly query?: Readonly<Record<string, Parameter | readonly Parameter[] | undefined>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
  /** How long the server may keep silent, in milliseconds: a minute by default, 0 for as long as it takes. */
  readonly silenceMs?: number;
}

type Parameter = string | number | boolean;

/** What came back. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

/** A file that comes back. */
export interface Download {
  readonly headers: IncomingHttpHeaders;
  /** Its bytes, to be read once. @throws StorageError `UNAVAILABLE` when they break off; `ABORTED` */
  readonly content: AsyncIterable<Uint8Array>;
}

const defaultSilenceMs = 60_000;

/**
 * Calls a CodeSpar server and takes a refusal for the library's error that it stands for.
 *
 * @throws StorageError the server's own, and what {@link exchange} throws
 * @throws CommandFailure when the server wants a key, or another one
 */
export async function callServer(server: Server, call: Call): Promise<Answer> {
  const answer = await exchange(server, call);
  if (answer.status >= 300) throw problem(answer);
  return answer;
}

/**
 * Sends a request and gives its answer, whatever its status. Not with `fetch`, which rewrites the path segments `.` and `..` even
 * when escaped.
 *
 * @throws StorageError `UNAVAILABLE` when the server can't be reached, falls silent or answers something else than
 * JSON; `LIMIT_EXCEEDED` for a body that nests too deep to be written; `ABORTED`
 */
export async function exchange(server: Server, call: Call): Promise<Answer> {
  const body = bodyText(call.body);
  try {
    return await answerOf(await send(server, call, body));
  } catch (cause) {
    throw failureOf(server, call, cause);
  }
}

/**
 * Calls a CodeSpar server for a file, however large, and takes a refusal for the library's error that it stands for.
 *
 * @throws StorageError as {@link callServer}
 */
export async function download(server: Server, call: Call): Promise<Download> {
  try {
    const incoming = await send(server, call, undefined);
    if ((incoming.statusCode ?? 0) >= 300) throw problem(await answerOf(incoming));
    return { headers: incoming.headers, content: chunksOf(incoming, server, call) };
  } catch (cause) {
    throw failureOf(server, call, cause);
  }
}

async function* chunksOf(
  incoming: IncomingMessage,
  server: Server,
  call: Call,
): AsyncGenerator<Uint8Array> {
  try {
    yield* incoming as AsyncIterable<Uint8Array>;
  } catch (cause) {
    throw failureOf(server, call, cause);
  }
}

async function answerOf(incoming: IncomingMessage): Promise<Answer> {
  const answer = await text(incoming);
  return {
    status: incoming.statusCode ?? 0,
    headers: incoming.headers,
    body: answer === "" ? undefined : (JSON.parse(answer) as unknown),
  };
}

function failureOf(server: Server, call: Call, cause: unknown): Error {
  if (StorageError.is(cause) || cause instanceof CommandFailure) return cause;
  if (call.signal?.aborted) {
    const known =
      call.method === "GET"
        ? "Nothing was changed."
        : "Outcome unknown: read again before repeating it.";
    return new StorageError("ABORTED", `Interrupted. ${known}`, { cause });
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new StorageError(
    "UNAVAILABLE",
    `The server at ${server.url} doesn't answer as it should (${reason}). Check it, or stop it and try again.`,
    { cause },
  );
}

function bodyText(body: unknown): string | undefined {
  try {
    return body === undefined ? undefined : JSON.stringify(body);
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new StorageError(
      "LIMIT_EXCEEDED",
      `value must nest at most ${limits.jsonDepth} levels of arrays and objects.`,
      { cause },
    );
  }
}

function send(server: Server, call: Call, body: string | undefined): Promise<IncomingMessage> {
  const { url, token, orgId } = server;
  const headers = {
    accept: "application/json",
    ...(token !== undefined && { authorization: `Bearer ${token.reveal()}` }),
    ...(orgId !== undefined && { "x-org-id": encodeURIComponent(orgId) }),
    ...(body !== undefined && { "content-type": "application/json" }),
    ...call.headers,
  };
  const request = url.startsWith("https:") ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      { method: call.method, path: target(call), headers, agent: false, signal: call.signal },
      resolve,
    );
    outgoing.setTimeout(call.silenceMs ?? defaultSilenceMs, () =>
      outgoing.destroy(new Error("it fell silent")),
    );
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

function target({ path, query = {} }: Call): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of [value].flat()) {
      if (each !== undefined) parameters.append(name, String(each));
    }
  }
  const search = parameters.size === 0 ? "" : `?${parameters}`;
  return `/${path.map(escapeSegment).join("/")}${search}`;
}

function escapeSegment(segment: string): string {
  return encodeURIComponent(segment).replace(/^\.{1,2}$/, (dots) => dots.replaceAll(".", "%2E"));
}

/** The library's error that an `application/problem+json` answer stands for. */
function problem({ status, body }: Answer): Error {
  const { code, detail, title, currentVersion } = Object(body) as Record<string, unknown>;
  const known = typeof code === "string" && Object.hasOwn(errorCodes, code);
  const message = String(detail ?? title ?? `the server answered with status ${status}`);
  if (status === 401) return usage(`Set CODESPAR_API_KEY to a key that works here. ${message}`);
  if (status === 403) return usage(message);
  const error = new StorageError(known ? (code as ErrorCode) : "UNAVAILABLE", message);
  return currentVersion === undefined ? error : Object.assign(error, { currentVersion });
}

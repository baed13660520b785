import type { FastifyContextConfig } from "fastify";

declare module "fastify" {
  interface FastifyContextConfig {
    /** Headers of this route's successful answers, besides the `ETag` of those that take `If-None-Match`. */
    readonly answerHeaders?: readonly AnswerHeader[];
  }
}

/** Response headers by name, with what the document says of them. */
const descriptions = {
  ETag: "The record's version in double quotes, for `If-Match` and `If-None-Match`.",
  Location: "Where the new record is.",
  Vary: "The answer depends on the request's `Accept`.",
  "Content-Disposition": "A name for the file.",
  "X-Audit-Checkpoint":
    "The signed checkpoint to which the export is bound, as base64; missing where none could be signed.",
  "X-Audit-Warning": "What the export can't prove; repeated for each.",
  "X-Request-Id": "The request's own, or one that was made for it. It stands in the log.",
  RateLimit:
    "What is left of the limits (draft-ietf-httpapi-ratelimit-headers-10), for callers from elsewhere.",
  "RateLimit-Policy": "The limits that count this request, for the same.",
  "Retry-After": "Seconds to wait, where the same request can succeed later.",
  "Accept-Encoding": "That bodies are read only as they are.",
  "WWW-Authenticate": "What is asked of an API key (RFC 6750).",
} as const;

/** A response header that the document describes. */
export type AnswerHeader = keyof typeof descriptions;

/** Adds to the described answers of a route the headers that each can have. */
export function describeHeaders(
  answers: Readonly<Record<string, object>>,
  config: FastifyContextConfig,
): Record<string, object> {
  const described = Object.entries(answers).map(([status, answer]): [string, object] => {
    const properties = headersOf(Number(status), config).map((name) => [
      name,
      { type: "string", description: descriptions[name] },
    ]);
    return [status, { ...answer, headers: Object.fromEntries(properties) as object }];
  });
  return Object.fromEntries(described);
}

function headersOf(status: number, config: FastifyContextConfig): AnswerHeader[] {
  const { access, answerHeaders = [], documentedHeaders = [] } = config;
  const isVersioned = documentedHeaders.includes("if-none-match");
  const succeeds = status < 400;
  return [
    ...(succeeds ? answerHeaders : []),
    ...(isVersioned && (succeeds || status === 412) ? (["ETag"] as const) : []),
    ...(status === 401 || status === 403 ? (["WWW-Authenticate"] as const) : []),
    ...(status === 415 ? (["Accept-Encoding"] as const) : []),
    ...(status === 429 || status === 503 ? (["Retry-After"] as const) : []),
    ...(access === "public" ? [] : (["RateLimit", "RateLimit-Policy"] as const)),
    "X-Request-Id",
  ];
}

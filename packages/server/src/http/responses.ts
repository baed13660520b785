import { z } from "zod";
import { problemSchema, problemType } from "../problem.ts";

/** Bodies by media type, where it isn't JSON or the caller chooses. */
export type MediaTypes = Readonly<Record<`${string}/${string}`, z.ZodType>>;

/** One kind of answer: when it is given and with what; without a schema it has no body. */
export type Answer = readonly [description: string, body?: z.ZodType | MediaTypes];

type Answers = Readonly<Record<number, Answer>>;
type Schemas<Given extends Answers> = {
  [Status in keyof Given]: Given[Status] extends readonly [string, infer Body]
    ? Body extends z.ZodType
      ? Body
      : Body[keyof Body]
    : z.ZodUndefined;
};

const problems = {
  400: "`VALIDATION`, `MALFORMED_REQUEST`: something in the request is wrong.",
  401: "`UNAUTHENTICATED`: no API key, or none that works.",
  403: "`FORBIDDEN`: the key lacks the scope, or belongs to another organisation.",
  404: "`NOT_FOUND`: there is no such record.",
  409: "`ALREADY_EXISTS`, or `CONFLICT`: others were faster.",
  412: "`PRECONDITION_FAILED`: `currentVersion` says what is stored.",
  413: "`LIMIT_EXCEEDED`: the body is larger than this route takes.",
  414: "`URI_TOO_LONG`: the address, or its query, is too long.",
  415: "`UNSUPPORTED_MEDIA_TYPE`: the body isn't announced as JSON in UTF-8, or is compressed.",
  422: "`LIMIT_EXCEEDED`: something in the request is over its limit; the detail names both.",
  429: "`RATE_LIMITED`: too many requests in a minute; `Retry-After` says how long to wait.",
  500: "`CORRUPTION`, `SCHEMA_DRIFT`, `INTERNAL`, …: the server's log says more.",
  501: "`UNSUPPORTED`: this backend or database login can't do that; the detail says what can.",
  503: "`UNAVAILABLE`, `SCHEMA_PENDING`, `STORAGE_LOCKED`, …: the storage can't be used now.",
} as const;

type ProblemStatus = keyof typeof problems;

/** What every route but health can meet. */
const always = [400, 401, 403, 413, 414, 415, 422, 429, 500, 503] as const;

/**
 * A route's answers for Fastify and the OpenAPI document: those of success, to whose types the handler is held, and the
 * problems that it can meet besides the usual ones.
 */
export function responses<const Given extends Answers>(
  answers: Given,
  ...others: readonly ProblemStatus[]
): Schemas<Given> {
  return describe(answers, [...always, ...others]);
}

/** The answers of a route that is open to everyone. */
export function publicResponses<const Given extends Answers>(answers: Given): Schemas<Given> {
  return describe(answers, [500]);
}

function describe<Given extends Answers>(
  answers: Given,
  failures: readonly ProblemStatus[],
): Schemas<Given> {
  const described: Record<string, unknown> = {};
  for (const status of failures)
    described[status] = content(problems[status], { [problemType]: problemSchema });
  for (const [status, [description, body]] of Object.entries(answers)) {
    described[status] =
      body === undefined
        ? z.null().describe(description)
        : content(description, isSchema(body) ? { "application/json": body } : body);
  }
  // Fastify takes the described form; its types would lose the handler's payload in it.
  return described as Schemas<Given>;
}

function isSchema(body: z.ZodType | MediaTypes): body is z.ZodType {
  return body instanceof z.ZodType;
}

function content(description: string, bodies: MediaTypes): unknown {
  const byType = Object.entries(bodies).map(([type, schema]) => [type, { schema }]);
  return { description, content: Object.fromEntries(byType) };
}

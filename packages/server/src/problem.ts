import { STATUS_CODES } from "node:http";
import {
  type ErrorCode,
  errorCodes,
  type PreconditionFailedError,
  StorageError,
  withoutApiKeys,
} from "@codespar/core";
import type { FastifyError } from "fastify";
import { z } from "zod";
import { HttpError, type HttpErrorCode, httpErrorCodes } from "./errors.ts";

/** The media type of every error. */
export const problemType = "application/problem+json";

const codes = [...Object.keys(errorCodes), ...Object.keys(httpErrorCodes)];

/** RFC 9457 problem details, as every error of the API is answered. */
export const problemSchema = z
  .object({
    type: z.literal("about:blank"),
    title: z.string(),
    status: z.int(),
    code: z.enum(codes).describe("Stable; what a program should look at."),
    detail: z.string().describe("What is wrong and what to do about it."),
    retryable: z.boolean().describe("Whether the same request can succeed later."),
    requestId: z.string().describe("Names the request in the server's log."),
    currentVersion: z
      .string()
      .nullable()
      .exactOptional()
      .describe(
        "With PRECONDITION_FAILED: the version stored now, or null when there is no such record.",
      ),
    errors: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .exactOptional()
      .describe("With VALIDATION: each part of the request that is wrong."),
  })
  .meta({ id: "Problem" });

/** The problem details of one error. */
export type Problem = z.output<typeof problemSchema>;

interface ProblemParts {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly title?: string;
  readonly retryable?: boolean;
  readonly currentVersion?: string | null;
  readonly errors?: NonNullable<Problem["errors"]>;
}

/** Problem details of anything thrown. What isn't ours tells nothing but where to look: its message may hold a value. */
export function toProblem(error: unknown, requestId: string): Problem {
  const { status, code, detail, title, ...rest } = partsOf(error);
  return {
    type: "about:blank",
    title: title ?? STATUS_CODES[status] ?? "Error",
    status,
    code,
    detail,
    retryable: false,
    requestId,
    ...rest,
  };
}

/** Headers that belong to an error's answer. */
export function headersOf(error: unknown, problem: Problem): Readonly<Record<string, string>> {
  if (error instanceof HttpError) return error.headers;
  return problem.status === 503 && problem.retryable ? { "retry-after": "1" } : {};
}

function partsOf(error: unknown): ProblemParts {
  if (error instanceof HttpError) return httpParts(error.code, error.message);
  if (StorageError.is(error)) return storageParts(error);
  return isFastifyError(error) ? fastifyParts(error) : unexpected();
}

function httpParts(code: HttpErrorCode, detail: string): ProblemParts {
  const { httpStatus: status, title, ...more } = httpErrorCodes[code];
  return { status, code, title, detail, ...more };
}

/** Where the status has no name, or one that fits less. */
const storageTitles: Readonly<Partial<Record<ErrorCode, string>>> = {
  ABORTED: "Client closed the request",
  LIMIT_EXCEEDED: "Limit exceeded",
};

function storageParts(error: StorageError): ProblemParts {
  const { httpStatus, retryable } = errorCodes[error.code];
  const parts = { status: httpStatus, code: error.code, detail: error.message, retryable };
  const title = storageTitles[error.code];
  if (title !== undefined) return { ...parts, title };
  const precondition = error.code === "PRECONDITION_FAILED" && "currentVersion" in error;
  return precondition
    ? { ...parts, currentVersion: (error as PreconditionFailedError).currentVersion }
    : parts;
}

function unexpected(): ProblemParts {
  return httpParts(
    "INTERNAL",
    "The server met an error that it doesn't know. Its log says more under this requestId.",
  );
}

function isFastifyError(error: unknown): error is FastifyError {
  return (
    error instanceof Error &&
    "code" in error &&
    typeof error.code === "string" &&
    "statusCode" in error
  );
}

const byFastifyCode: Readonly<
  Record<string, readonly [code: HttpErrorCode | "LIMIT_EXCEEDED", detail: string]>
> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    "UNSUPPORTED_MEDIA_TYPE",
    "Send the body as JSON, with the header content-type: application/json.",
  ],
  FST_ERR_CTP_BODY_TOO_LARGE: [
    "LIMIT_EXCEEDED",
    "The body is larger than this route takes. Send less, or split it.",
  ],
  FST_ERR_MAX_PARAM_LENGTH: ["URI_TOO_LONG", "An id or key in the address is too long."],
};

function fastifyParts(error: FastifyError): ProblemParts {
  if (error.validation !== undefined) return validationParts(error);
  const known = byFastifyCode[error.code];
  if (known === undefined) {
    const status = error.statusCode ?? 500;
    return status >= 400 && status < 500
      ? httpParts("MALFORMED_REQUEST", clientDetail(error))
      : unexpected();
  }
  const [code, detail] = known;
  return code === "LIMIT_EXCEEDED" ? { status: 413, code, detail } : httpParts(code, detail);
}

/** Fastify's own texts are terse and may quote the request. */
function clientDetail(error: FastifyError): string {
  if (error.code === "FST_ERR_BAD_URL") {
    return "The address is not valid: percent-encode ids and keys as UTF-8.";
  }
  if (error.code.startsWith("FST_ERR_CTP_")) {
    return "The request is malformed: its body doesn't have the length or form that its headers announce.";
  }
  return "The path is not acceptable: it leads outside of what is served here, or names no file. GET /docs lists all routes.";
}

/** Zod says of what is missing that it is undefined, a word that JSON doesn't know; of a missing body, that it is null. */
function describe(path: string, message = "is not acceptable"): string {
  if (path === "body" && message.startsWith("Invalid input: expected object"))
    return "must be a JSON object, with the header content-type: application/json";
  return message.endsWith("received undefined") ? "is required" : message;
}

function validationParts(error: FastifyError): ProblemParts {
  const where = error.validationContext ?? "request";
  const errors = (error.validation ?? []).map(({ instancePath, message }) => {
    // Of the whole the path is "/".
    const path = `${where}${instancePath.replace(/\/$/, "").replaceAll("/", ".")}`;
    // Both may quote the name of a member that isn't known, and keys get into names by mistake.
    return { path: withoutApiKeys(path), message: withoutApiKeys(describe(path, message)) };
  });
  const first = errors[0];
  const detail =
    first === undefined ? "The request is not acceptable." : `${first.path}: ${first.message}.`;
  return { status: 400, code: "VALIDATION", detail, errors };
}

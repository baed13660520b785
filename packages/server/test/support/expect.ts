import { expect } from "vitest";
import type { Answer } from "./http.ts";

/** Expects problem details with this status and code; returns them. */
export function expectProblem(
  answer: Answer,
  status: number,
  code: string,
): Record<string, unknown> {
  expect(answer.json, answer.text).toMatchObject({ status, code, requestId: expect.any(String) });
  expect(answer.status).toBe(status);
  expect(answer.headers["content-type"]).toBe("application/problem+json");
  const problem = answer.json as Record<string, unknown>;
  expect(String(problem["detail"]).length).toBeGreaterThan(15);
  return problem;
}

/** The body as an object. */
export function bodyOf(answer: Answer): Record<string, unknown> {
  return answer.json as Record<string, unknown>;
}

/** The version that an answer's `ETag` names. */
export function etagOf(answer: Answer): string {
  const etag = answer.headers["etag"];
  if (typeof etag !== "string") throw new Error(`no ETag: ${answer.text}`);
  return etag;
}

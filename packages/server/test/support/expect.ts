import { expect, vi } from "vitest";
import { type Answer, send } from "./http.ts";

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

/**
 * Asks for `/health` until the answer is as expected, and returns it: on a busy machine even a database that is well may need more than the
 * 800 ms it is given.
 */
export function healthOnce(origin: string, expected: object): Promise<Answer> {
  const ask = async () => {
    const answer = await send(origin, { path: "/health" });
    expect(answer.json).toMatchObject(expected);
    return answer;
  };
  return vi.waitFor(ask, { timeout: 60_000 });
}

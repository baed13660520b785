import type { Answer } from "./http.ts";
import { freshId, type TestServer } from "./server.ts";

/** What the tests say of an action that doesn't matter. */
export const entry = {
  actor: { type: "user", id: "u-1" },
  action: "deploy.started",
  outcome: "success",
} as const;

/** Requests to the trail of one organisation. */
export function trailOf({ call }: TestServer, org: string) {
  const headers = { "x-org-id": org };
  return {
    get: (path: string, more: Record<string, string> = {}): Promise<Answer> =>
      call({ path: `/api/audit${path}`, headers: { ...headers, ...more } }),
    post: (path: string, body?: unknown, more: Record<string, string> = {}): Promise<Answer> =>
      call({ method: "POST", path: `/api/audit${path}`, headers: { ...headers, ...more }, body }),
  };
}

/** The trail of a new organisation with so many entries, two at least: making the key of the first checkpoint is one of them. */
export async function signedTrail(server: TestServer, size: number) {
  const trail = trailOf(server, freshId("org"));
  await trail.post("", entry);
  await trail.get("/checkpoint");
  for (let seq = 2; seq < size; seq += 1) await trail.post("", { ...entry, details: seq });
  return trail;
}

import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { afterEach, expect, it } from "vitest";
import type { EventLimits } from "../../src/events/limits.ts";
import { files } from "../support/backends.ts";
import { connect } from "../support/events.ts";
import { expectProblem } from "../support/expect.ts";
import { send } from "../support/http.ts";
import { serveOn, type TestServer } from "../support/server.ts";

const entry = { actor: { type: "user", id: "u-1" }, action: "deploy.started" } as const;
const path = "/api/events";

let server: TestServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function serveWithin(eventLimits: Partial<EventLimits>): Promise<TestServer> {
  server = await serveOn(files, { eventLimits });
  return server;
}

/** Connects as soon as there is a place for it. */
async function whenFree(origin: string, headers: Record<string, string>) {
  for (;;) {
    const client = await connect(origin, { headers });
    if (client.incoming.statusCode === 200) return client;
    await client[Symbol.asyncDispose]();
  }
}

it("has room for so many streams, and for so many of one organisation", async () => {
  const { origin, call } = await serveWithin({ streams: 3, streamsPerOrganisation: 2 });
  const asking = (org: string) => ({ headers: { "x-org-id": org } });
  const refused = async (org: string, words: RegExp) => {
    const answer = await call({ path, ...asking(org) });
    const problem = expectProblem(answer, 503, "TOO_MANY_STREAMS");
    expect(problem).toMatchObject({ retryable: true, detail: expect.stringMatching(words) });
    expect(answer.headers["retry-after"]).toBe("10");
  };
  const first = await connect(origin, asking("a"));
  await using _second = await connect(origin, asking("a"));
  await refused("a", /organisation has 2/);
  await using _other = await connect(origin, asking("b"));
  await refused("c", /server has 3/);
  await first[Symbol.asyncDispose]();
  await using again = await whenFree(origin, { "x-org-id": "a" });
  expect(await again.next()).toMatchObject({ event: "ready" });
});

it("counts no request that was refused for something else", async () => {
  const { origin, call } = await serveWithin({ streams: 1 });
  for (let i = 0; i < 3; i += 1) {
    const answer = await call({ path, headers: { "last-event-id": "5" } });
    expectProblem(answer, 400, "VALIDATION");
  }
  await using client = await whenFree(origin, {});
  expect(await client.next()).toMatchObject({ id: "-1" });
});

it("keeps a quiet stream open with comments", async () => {
  const { origin, storage } = await serveWithin({ heartbeatMs: 5 });
  await using client = await connect(origin);
  await client.next();
  await client.comments(3);
  await storage.audit.append(entry);
  expect(await client.next()).toMatchObject({ id: "0" });
});

it("lets go of a reader who doesn't read, who then resumes where it stopped", async () => {
  const { origin, storage } = await serveWithin({ streams: 1, stallMs: 200 });
  // More than what the kernel holds for both ends.
  const details = "x".repeat(60_000);
  const total = 400;
  await Promise.all(
    Array.from({ length: total }, () => storage.audit.append({ ...entry, details })),
  );
  const { hostname, port } = new URL(origin);
  const lazy = connectTcp(Number(port), hostname).pause();
  lazy.on("error", () => undefined);
  lazy.write(`GET ${path}?lastEventId=-1 HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
  await once(lazy, "connect");
  // It has the only place, until it is let go of.
  for (let status = 0; status !== 503; )
    ({ status } = await send(origin, { path, headers: { "last-event-id": "x" } }));
  const received: (string | undefined)[] = [];
  while (received.length < total) {
    await using client = await whenFree(origin, { "last-event-id": received.at(-1) ?? "-1" });
    await client.next();
    // On a busy machine this one may be taken for lazy too.
    for (let event = await client.next(); event !== null; event = await client.next()) {
      received.push(event.id);
      if (received.length === total) break;
    }
  }
  expect(received).toEqual(Array.from({ length: total }, (_, seq) => String(seq)));
  lazy.destroy();
});

it("ends the streams when the server closes, and admits none afterwards", async () => {
  const running = await serveWithin({});
  await using client = await connect(running.origin);
  await client.next();
  await Promise.all([running.close(), expect(client.next()).resolves.toBeNull()]);
  server = undefined;
  expect(client.incoming.complete).toBe(true);
});

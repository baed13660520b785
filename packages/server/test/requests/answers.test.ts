import { Writable } from "node:stream";
import { pino } from "pino";
import { afterAll, beforeAll, expect, it } from "vitest";
import { backends } from "../support/backends.ts";
import { expectProblem } from "../support/expect.ts";
import { send } from "../support/http.ts";
import { serveOn, type TestServer } from "../support/server.ts";

let server: TestServer;
let log = "";
const logged = () =>
  log
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

beforeAll(async () => {
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      log += chunk.toString();
      done();
    },
  });
  const [files] = backends;
  if (files === undefined) throw new Error("no backend");
  server = await serveOn(files, { logger: pino(sink) });
});
afterAll(() => server.close());

it("says which route there isn't, and which method is meant", async () => {
  expectProblem(await server.call({ path: "/api/nothing?token=hunter2" }), 404, "ROUTE_NOT_FOUND");
  expectProblem(
    await server.call({ method: "DELETE", path: "/api/agents/a/memory" }),
    405,
    "METHOD_NOT_ALLOWED",
  );
  const wrong = await server.call({
    method: "POST",
    path: "/health",
    headers: { "content-type": "text/plain" },
    body: "x",
  });
  expectProblem(wrong, 405, "METHOD_NOT_ALLOWED");
  expect(wrong.headers["allow"]).toBe("GET, HEAD");
  expect((await server.call({ method: "OPTIONS", path: "/api/agents" })).headers["allow"]).toBe(
    "GET, HEAD, POST",
  );
  expect(log).not.toContain("hunter2");
});

it.each([
  ["/api/agents", "GET, HEAD, POST"],
  ["/api/agents?limit=1", "GET, HEAD, POST"],
  ["/api/agents/a%2Fb/memory/k", "GET, HEAD, PUT, DELETE"],
  ["/api/audit/verify", "GET, HEAD"],
  ["/api/audit/7", "GET, HEAD"],
  ["/health", "GET, HEAD"],
  ["/", "GET, HEAD"],
])("knows which methods %s has, whatever the method", async (path, allow) => {
  for (const method of ["TRACE", "PROPFIND", "QUERY", "LOCK", "M-SEARCH"]) {
    const answer = await send(server.origin, { method, path });
    expectProblem(answer, 405, "METHOD_NOT_ALLOWED");
    expect(answer.headers["allow"]).toBe(allow);
    const nowhere = await send(server.origin, { method, path: "/api/nothing" });
    expectProblem(nowhere, 404, "ROUTE_NOT_FOUND");
  }
  const via = { via: "1.1 proxy" };
  const unknown = await send(server.origin, { method: "QUERY", path, headers: via });
  expectProblem(unknown, 401, "UNAUTHENTICATED");
});

it("opens itself to no other origin", async () => {
  const { headers } = await server.call({
    path: "/api/agents",
    headers: { origin: "https://evil.example" },
  });
  expect(Object.keys(headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
  expect(headers).toMatchObject({
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
});

it("carries the request id through answer and log, and makes one of its own for what it can't log", async () => {
  const given = await server.call({ path: "/api/none", headers: { "x-request-id": "trace-42" } });
  expect(given.headers["x-request-id"]).toBe("trace-42");
  expect(expectProblem(given, 404, "ROUTE_NOT_FOUND")["requestId"]).toBe("trace-42");
  expect(logged()).toContainEqual(
    expect.objectContaining({
      reqId: "trace-42",
      method: "GET",
      path: "/api/none",
      status: 404,
      address: "127.0.0.1",
    }),
  );
  for (const id of ["a b", "x".repeat(200), '"}{', ""]) {
    const { headers } = await server.call({ path: "/livez", headers: { "x-request-id": id } });
    expect(headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
  }
});

const token = `csk_YWNtZQ_0199a7c2-1b2f-7d3c-8e4f-5a6b7c8d9e0f_${"Q".repeat(43)}`;

it.each([
  ["in clear", token],
  ["with its first letter encoded", `%63${token.slice(1)}`],
  ["with its underscores encoded", token.replaceAll("_", "%5F")],
  ["with its secret encoded", token.replaceAll("Q", "%51")],
  ["encoded twice", `%2563${token.slice(1).replaceAll("Q", "%2551")}`],
  ["encoded five times", `%2525252563${token.slice(1)}`],
])("shows no API key that somebody put into a path, %s", async (_, key) => {
  log = "";
  const unknown = await server.call({ path: `/api/none/${key}/%C3%A9` });
  const malformed = await send(server.origin, { path: `/api/none/${key}/%zz%ff` });
  const text = log + malformed.text + unknown.text;
  // Compared as a truth: a failure's message would show it.
  expect(text.includes(key) || text.includes(token)).toBe(false);
  expect(logged()[0]?.["path"]).toBe("/api/none/csk_[secret]/%C3%A9");
});

it("takes no API key for a request id, and quotes none that is the name of a parameter or a member", async () => {
  log = "";
  const headers = { "x-request-id": token };
  const given = await server.call({ path: "/livez", headers });
  expect(given.headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
  const query = await server.call({ path: `/api/agents?${token}=1` });
  const path = "/api/agents/a/memory/k";
  const body = await server.call({ method: "PUT", path, body: { value: 1, [token]: 1 } });
  for (const answer of [query, body]) {
    expectProblem(answer, 400, "VALIDATION");
    expect(answer.text).toContain("csk_[secret]");
  }
  expect((log + query.text + body.text).includes(token)).toBe(false);
});

it("logs neither bodies nor queries nor headers", async () => {
  const headers = { cookie: "hunter2", "idempotency-key": "hunter2" };
  const authorization = "Bearer hunter2";
  await server.call({ path: "/api/agents", headers: { authorization } });
  await server.call({
    method: "PUT",
    path: "/api/agents/a/memory/k",
    headers,
    body: { value: "hunter2" },
  });
  await server.call({ path: "/api/agents/a/memory?prefix=hunter2" });
  await server.call({
    method: "PUT",
    path: "/api/agents/a/memory/k",
    headers,
    body: '{"value": hunter2}',
  });
  expect(log).not.toContain("hunter2");
  expect(logged().at(-1)).toMatchObject({ status: 400 });
});

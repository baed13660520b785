import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { backends } from "../support/backends.ts";
import { bearer, elsewhere, makeKey } from "../support/callers.ts";
import { expectProblem } from "../support/expect.ts";
import { type Answer, send } from "../support/http.ts";
import { serveOn, type TestServer } from "../support/server.ts";

const [files] = backends;

function serving(options: Parameters<typeof serveOn>[1]): Promise<TestServer> {
  if (files === undefined) throw new Error("no backend");
  return serveOn(files, options);
}

const left = (name: string, remaining: number) =>
  expect.stringMatching(new RegExp(`^"${name}";r=${remaining};t=\\d+$`));
const limitsOf = ({ headers }: Answer) => [headers["ratelimit"], headers["ratelimit-policy"]];

describe("the rate of requests", () => {
  let server: TestServer;
  afterEach(() => server.close());

  it("is limited for each key, and says how much is left", async () => {
    server = await serving({ rateLimits: { perKey: 3 } });
    const one = bearer((await makeKey(server.storage, "acme", ["read"])).token);
    const other = bearer((await makeKey(server.storage, "acme", ["read"])).token);
    const ask = (headers: Record<string, string>) => server.call({ path: "/api/agents", headers });
    for (const remaining of [2, 1, 0]) {
      const answer = await ask(one);
      expect(answer.status).toBe(200);
      expect(limitsOf(answer)).toEqual([left("key", remaining), '"key";q=3;w=60']);
    }
    const refused = await ask(one);
    expectProblem(refused, 429, "RATE_LIMITED");
    const { "retry-after": after, ratelimit } = refused.headers;
    expect(Number(after)).toBeGreaterThan(0);
    expect(Number(after)).toBeLessThanOrEqual(60);
    expect(ratelimit).toBe(`"key";r=0;t=${after}`);
    expect((await ask(other)).status).toBe(200);
    expect((await server.call({ path: "/health", headers: one })).status).toBe(200);
    // From this machine it isn't.
    const { authorization } = one;
    expect((await ask({ authorization })).status).toBe(200);
  });

  it("is limited for each address, whatever it sends", async () => {
    server = await serving({ rateLimits: { perAddress: 3 }, trustedProxies: 1 });
    const { token } = await makeKey(server.storage, "acme", ["read"]);
    const from = (address: string) => ({ ...elsewhere, "x-forwarded-for": address });
    const ask = (headers: Record<string, string>) => server.call({ path: "/api/agents", headers });
    const first = await ask(from("192.0.2.1"));
    expect(first.status).toBe(401);
    expect(limitsOf(first)).toEqual([left("address", 2), '"address";q=3;w=60']);
    // What the caller itself wrote before its address counts for nothing.
    await ask(from("198.51.100.9, 192.0.2.1"));
    await ask({ ...bearer(token), ...from("192.0.2.1") });
    for (const headers of [from("192.0.2.1"), { ...bearer(token), ...from("192.0.2.1") }])
      expectProblem(await ask(headers), 429, "RATE_LIMITED");
    expect((await ask({ ...bearer(token), ...from("192.0.2.2") })).status).toBe(200);
    // Whoever has one IPv6 address has the network around it.
    for (const host of [1, 2, 3]) await ask(from(`2001:db8::${host}`));
    expectProblem(await ask(from("2001:db8::ffff")), 429, "RATE_LIMITED");
    expect((await ask(from("2001:db8:0:1::1"))).status).toBe(401);
    expect((await server.call({ path: "/health", headers: from("192.0.2.1") })).status).toBe(200);
  });

  it.each([
    ["192.0.2.1", "192.0.2.1:1234"],
    ["192.0.2.1:1", "192.0.2.1:65535"],
    ["2001:db8::1", "[2001:db8::2]"],
    ["[2001:db8::1]:443", "[2001:db8::2]:444"],
  ])("is the address's whatever the port: %s and %s", async (one, other) => {
    server = await serving({ rateLimits: { perAddress: 1 }, trustedProxies: 1 });
    const from = (address: string) =>
      server.call({
        path: "/api/agents",
        headers: { ...elsewhere, "x-forwarded-for": `198.51.100.9,${address}` },
      });
    expect((await from(one)).status).toBe(401);
    expectProblem(await from(other), 429, "RATE_LIMITED");
  });

  it("counts what browsers ask first", async () => {
    const origin = "https://app.example.com";
    server = await serving({ rateLimits: { perAddress: 2 }, corsOrigins: [origin] });
    const headers = { ...elsewhere, origin, "access-control-request-method": "GET" };
    const preflight = () =>
      send(server.origin, { method: "OPTIONS", path: "/api/agents", headers });
    const first = await preflight();
    expect(first.status).toBe(204);
    expect(limitsOf(first)).toEqual([left("address", 1), '"address";q=2;w=60']);
    const other = await server.call({ path: "/api/agents", headers: elsewhere });
    expect(limitsOf(other)[0]).toEqual(left("address", 0));
    expectProblem(await preflight(), 429, "RATE_LIMITED");
  });

  it("isn't limited where the limit is 0", async () => {
    server = await serving({ rateLimits: { perKey: 0, perAddress: 0 } });
    const { token } = await makeKey(server.storage, "acme", ["read"]);
    const answer = await server.call({ path: "/api/agents", headers: bearer(token) });
    expect(limitsOf(answer)).toEqual([undefined, undefined]);
  });
});

describe("a request that doesn't arrive", () => {
  it.each([
    ["headers", "GET /livez HTTP/1.1\r\nHost: localhost\r\n"],
    [
      "its body",
      "PUT /api/agents/a/memory/k HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
    ],
  ])("is given up when %s never ends", async (_what, sent) => {
    const server = await serving({ requestTimeoutMs: 200 });
    const socket = connect(Number(new URL(server.origin).port), "127.0.0.1");
    socket.write(sent);
    const answer = await text(socket);
    expect(answer).toContain("HTTP/1.1 408 Request Timeout");
    expect(answer).toContain("REQUEST_TIMEOUT");
    expect((await server.call({ path: "/api/agents/a/memory/k" })).status).toBe(404);
    await server.close();
  });
});

describe("pages of other origins", () => {
  const origin = "https://app.example.com";
  let closed: TestServer;
  let open: TestServer;
  beforeAll(async () => {
    closed = await serving({});
    open = await serving({ corsOrigins: [origin] });
  });
  afterAll(async () => {
    await closed.close();
    await open.close();
  });
  const preflight = (server: TestServer, from: string) =>
    send(server.origin, {
      method: "OPTIONS",
      path: "/api/agents/a/memory/k",
      headers: {
        ...elsewhere,
        origin: from,
        "access-control-request-method": "PUT",
        "access-control-request-headers": "authorization, content-type, x-org-id",
      },
    });
  const corsOf = ({ headers }: Answer) =>
    Object.keys(headers).filter((name) => name.startsWith("access-control-"));

  it("can neither ask nor read by default", async () => {
    expect(corsOf(await preflight(closed, origin))).toEqual([]);
    expect((await preflight(closed, origin)).status).toBe(401);
    const { token } = await makeKey(closed.storage, "acme");
    const headers = { ...bearer(token), origin };
    expect(corsOf(await closed.call({ path: "/api/agents", headers }))).toEqual([]);
  });

  it("can where the operator named the origin, and from nowhere else", async () => {
    const allowed = await preflight(open, origin);
    expect(allowed.status).toBe(204);
    expect(allowed.headers).toMatchObject({
      "access-control-allow-origin": origin,
      "access-control-allow-methods": expect.stringContaining("PUT"),
      "access-control-allow-headers": expect.stringContaining("Authorization"),
      vary: expect.stringContaining("Origin"),
    });
    expect(allowed.headers["access-control-allow-credentials"]).toBeUndefined();
    for (const other of ["https://evil.example", `${origin}.evil.example`, "null"]) {
      const refused = await preflight(open, other);
      expect(refused.headers["access-control-allow-origin"]).toBeUndefined();
    }
    const { token } = await makeKey(open.storage, "acme");
    const read = await open.call({ path: "/api/agents", headers: { ...bearer(token), origin } });
    expect(read.status).toBe(200);
    expect(read.headers["access-control-allow-origin"]).toBe(origin);
    expect(read.headers["access-control-expose-headers"]).toContain("ETag");
    // Also what went wrong.
    const refused = await open.call({ path: "/api/agents", headers: { ...elsewhere, origin } });
    expect(refused.status).toBe(401);
    expect(refused.headers["access-control-allow-origin"]).toBe(origin);
  });
});

describe("every answer", () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await serving({});
  });
  afterAll(() => server.close());

  it.each([
    "/api/agents",
    "/api/agents/none",
    "/health",
    "/no/such/route",
    "/",
    "/docs/",
    "/openapi.json",
    "/api/agents/%zz",
  ])("has protective headers: %s", async (path) => {
    const { headers } = await server.call({ path });
    expect(headers).toMatchObject({
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "referrer-policy": "no-referrer",
      "cross-origin-resource-policy": "same-origin",
      "strict-transport-security": expect.stringContaining("max-age="),
    });
    const policy = String(headers["content-security-policy"]);
    expect(policy).toMatch(/default-src '(none|self)'/);
    expect(policy).not.toMatch(/unsafe-eval|\*/);
    expect(headers["x-request-id"]).toMatch(/./);
    expect(headers["x-powered-by"]).toBeUndefined();
    expect(headers["server"]).toBeUndefined();
  });
});

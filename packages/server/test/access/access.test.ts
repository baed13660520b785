import { networkInterfaces } from "node:os";
import type { Storage } from "@codespar/core";
import { createStorage } from "@codespar/core";
import { buildServer } from "@codespar/server";
import { afterAll, beforeAll, expect, it } from "vitest";
import { backends, type TestStorage } from "../support/backends.ts";
import { expectProblem } from "../support/expect.ts";
import { send } from "../support/http.ts";

const closed = [
  "/",
  "/docs/",
  "/openapi.json",
  "/api/agents",
  "/api/agents/a/memory/k",
  "/api/audit/verify",
  "/no/such/route",
];
const open = ["/health", "/livez", "/readyz"];
const headersOfProxies = [
  "Forwarded",
  "X-Forwarded-For",
  "X-Forwarded-Proto",
  "x-forwarded-anything",
  "Via",
  "X-Real-IP",
  "X-Client-IP",
  "True-Client-IP",
  "CF-Connecting-IP",
];

let kept: TestStorage | undefined;
let origin = "";
let app: Awaited<ReturnType<typeof buildServer>>;

beforeAll(async () => {
  kept = await backends[0]?.open();
  app = await buildServer({ storage: kept?.storage as Storage });
  origin = await app.listen({ host: "0.0.0.0", port: 0 });
  origin = `http://127.0.0.1:${new URL(origin).port}`;
});

afterAll(async () => {
  await app.close();
  await kept?.remove();
});

it.each([...closed, ...open])("serves %s to a direct local request", async (path) => {
  expect((await send(origin, { path })).status).not.toBe(401);
});

it.each(["localhost", "LOCALHOST:3000", "127.0.0.1", "127.1.2.3:80", "[::1]:3000"])(
  "takes the Host %s",
  async (host) => {
    expect((await send(origin, { path: "/api/agents", headers: { host } })).status).toBe(200);
  },
);

it.each([
  "example.com",
  "evil.example:3000",
  "localhost.evil.example",
  "127.0.0.1.evil.example",
  "localhost@evil.example",
  "10.0.0.1",
  "[::2]",
  "128.0.0.1",
  "localhost:3000:1",
])("takes the Host %j for a rebound name", async (host) => {
  for (const path of closed) {
    const problem = expectProblem(
      await send(origin, { path, headers: { host } }),
      401,
      "UNAUTHENTICATED",
    );
    const { port } = new URL(origin);
    expect(problem["detail"]).toContain(`ssh -L ${port}:localhost:${port} HOST`);
  }
  for (const path of open)
    expect((await send(origin, { path, headers: { host } })).status).toBe(200);
});

it.each(["evil.example", "localhost@evil.example", "evil@localhost"])(
  "judges a target that is a whole URL by its own host %j, whatever Host says",
  async (host) => {
    const headers = { host: "localhost" };
    for (const path of closed) {
      const answer = await send(origin, { path: `http://${host}${path}`, headers });
      expectProblem(answer, 401, "UNAUTHENTICATED");
    }
  },
);

it("serves a target that is a whole URL of this machine, whatever Host says", async () => {
  const path = `${origin}/api/agents`;
  for (const host of ["localhost", "evil.example"])
    expect((await send(origin, { path, headers: { host } })).status).toBe(200);
});

it.each(headersOfProxies)("takes a request with %s for a forwarded one", async (name) => {
  for (const path of closed) {
    const answer = await send(origin, { path, headers: { [name]: "127.0.0.1" } });
    expectProblem(answer, 401, "UNAUTHENTICATED");
    expect(answer.headers["www-authenticate"]).toContain("Bearer");
  }
  for (const path of open)
    expect((await send(origin, { path, headers: { [name]: "x" } })).status).toBe(200);
});

it("sees what a proxy says behind thousands of headers", async () => {
  const a = Array.from({ length: 2500 }, () => "");
  const served = await send(origin, { path: "/api/agents", headers: { a } });
  expect(served.status).toBe(200);
  for (const name of headersOfProxies) {
    const headers = { a, [name]: "127.0.0.1" };
    expectProblem(await send(origin, { path: "/api/agents", headers }), 401, "UNAUTHENTICATED");
  }
});

it("reads no body and writes nothing for a caller it doesn't serve", async () => {
  const headers = { via: "1.1 proxy" };
  const put = { method: "PUT", path: "/api/agents/a/memory/refused", headers, body: { value: 1 } };
  expectProblem(await send(origin, put), 401, "UNAUTHENTICATED");
  expectProblem(await send(origin, { ...put, body: "not json" }), 401, "UNAUTHENTICATED");
  expect((await send(origin, { path: put.path })).status).toBe(404);
});

it.each([
  ["127.0.0.1", 200],
  ["127.8.8.8", 200],
  ["::1", 200],
  ["::ffff:127.0.0.1", 200],
  ["10.0.0.5", 401],
  ["::ffff:10.0.0.5", 401],
  ["128.0.0.1", 401],
  ["fe80::1", 401],
  ["::", 401],
])("answers a connection from %s with %i", async (remoteAddress, status) => {
  const answer = await app.inject({
    url: "/api/agents",
    remoteAddress,
    headers: { host: "localhost" },
  });
  expect(answer.statusCode).toBe(status);
  expect((await app.inject({ url: "/health", remoteAddress })).statusCode).toBe(200);
});

it("answers 401 on the machine's own outside address, whatever Host says", async () => {
  const outside = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === "IPv4" && !internal);
  // Where there is no such interface nothing can come in through one.
  const url =
    outside === undefined ? undefined : `http://${outside.address}:${new URL(origin).port}`;
  const statuses =
    url === undefined
      ? [401]
      : [(await send(url, { path: "/api/agents", headers: { host: "localhost" } })).status];
  expect(statuses).toEqual([401]);
});

it("keeps organisations apart, whatever their ids look like", async () => {
  const ids = ["a", "a/b", "a%", "A", "default", "ä", "../a", "a, b"];
  const path = "/api/agents/agent/memory/k";
  const headersOf = (id: string) => ({ "x-org-id": encodeURIComponent(id) });
  for (const id of ids)
    await send(origin, { method: "PUT", path, headers: headersOf(id), body: { value: id } });
  for (const id of ids)
    expect((await send(origin, { path, headers: headersOf(id) })).json).toMatchObject({
      value: id,
    });
  expect((await send(origin, { path })).json).toMatchObject({ value: "default" });
  const inUtf8 = Buffer.from("ä").toString("latin1");
  expect((await send(origin, { path, headers: { "x-org-id": inUtf8 } })).json).toMatchObject({
    value: "ä",
  });
});

it.each(["", "%", "%zz", "%ff", "\xff", "a%00b", "a%ED%A0%80", "x".repeat(129)])(
  "refuses the organisation %j",
  async (header) => {
    const { status, json } = await send(origin, {
      path: "/api/agents",
      headers: { "x-org-id": header },
    });
    expect([status, (json as { code: string }).code]).toEqual(
      header.length > 128 ? [422, "LIMIT_EXCEEDED"] : [400, "VALIDATION"],
    );
  },
);

it("refuses two organisations at once", async () => {
  const answer = await send(origin, { path: "/api/agents", headers: { "x-org-id": ["a", "b"] } });
  expectProblem(answer, 400, "VALIDATION");
});

it("does nothing before it is asked", async () => {
  const unused = createStorage(undefined, { directory: "/no-such-folder/files" });
  const quiet = await buildServer({ storage: unused });
  expect((await quiet.inject("/livez")).statusCode).toBe(200);
  await quiet.close();
  await unused.close();
});

import { request } from "node:http";
import { type ApiKeyScope, createStorage, hasApiKeys, Secret, type Storage } from "@codespar/core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Write } from "../../../core/src/storage/backend.ts";
import { keyRef } from "../../../core/src/storage/domains/api-key-records.ts";
import { contextOf } from "../../../core/src/storage/domains/context.ts";
import { memoryOf, nameOf } from "../../../core/src/storage/domains/key-memory.ts";
import { backends } from "../support/backends.ts";
import { bearer, elsewhere, makeKey } from "../support/callers.ts";
import { expectProblem } from "../support/expect.ts";
import type { Call } from "../support/http.ts";
import { serve, serveOn, type TestServer } from "../support/server.ts";

const adminKey = "an-admin-key-of-thirty-two-characters";
/** In the form of a token, of an organisation and key that don't exist. */
const wrongToken = `csk_YWNtZQ_0199a7c2-1b2f-7d3c-8e4f-5a6b7c8d9e0f_${"A".repeat(43)}`;
const commandLineToken = "what-the-command-line-found";

describe.each(backends)("who is served on $name", (backend) => {
  let server: TestServer;
  let storage: Storage;
  beforeEach(async () => {
    server = await serveOn(backend, { commandLineToken: new Secret(commandLineToken) });
    storage = server.storage;
  });
  afterEach(() => server.close());
  const status = async (call: Partial<Call>) =>
    (await server.call({ path: "/api/agents", ...call })).status;

  it("is this machine, until any organisation has a key", async () => {
    expect(await status({})).toBe(200);
    expect(await status({ headers: { "x-org-id": "acme" } })).toBe(200);
    expect(await status({ headers: elsewhere })).toBe(401);
    const { id, token } = await makeKey(storage, "acme", ["read"]);
    expect(await hasApiKeys(storage)).toBe(true);
    for (const headers of [{}, { "x-org-id": "acme" }, { "x-org-id": "other" }, elsewhere])
      expect(await status({ headers })).toBe(401);
    expect(await status({ headers: { authorization: `Bearer ${token}` } })).toBe(200);
    expect(await status({ headers: bearer(token) })).toBe(200);
    // Ending the only key opens nothing.
    await storage.forOrg("acme").apiKeys.revoke(id);
    expect(await status({})).toBe(401);
  });

  it("may still read the reference here, which tells nothing of anybody", async () => {
    await storage.agentStates.set("agent", { name: "Agent" });
    expect((await server.call({ path: "/" })).text).toContain("agents");
    await makeKey(storage, "acme", ["read"]);
    for (const path of ["/docs/", "/openapi.json"]) {
      expect(await status({ path })).toBe(200);
      expect(await status({ path, headers: elsewhere })).toBe(401);
    }
    const page = await server.call({ path: "/" });
    expect(page.status).toBe(200);
    expect(page.text).not.toContain("agents</span>");
    expect(page.text).not.toContain('href="/api/');
    expect(page.text).toContain("codespar keys create NAME");
    expect(await status({ path: "/no/such/route" })).toBe(401);
  });

  it("is the command line beside the files, from this machine only", async () => {
    await makeKey(storage, "acme", ["read"]);
    const authorization = `Bearer ${commandLineToken}`;
    const put = { method: "PUT", path: "/api/agents/a/memory/k", body: { value: 1, record: true } };
    const made = await server.call({ ...put, headers: { authorization, "x-org-id": "other" } });
    expect(made.status).toBe(201);
    const [entry] = (await storage.forOrg("other").audit.list()).items;
    expect(entry?.actor).toEqual({ type: "system", id: "cli" });
    expect(await status({ headers: { authorization, ...elsewhere } })).toBe(401);
    expect(await status({ headers: { authorization: `${authorization}x` } })).toBe(401);
  });

  it.each([
    ["Basic dXNlcjpwYXNz"],
    ["Bearer"],
    ["Bearer "],
    ["bearer csk_"],
    ["Bearer csk_… of nobody", `Bearer ${wrongToken}`],
    ["Bearer csk_… of a NUL", `Bearer ${wrongToken.replace("YWNtZQ", "YQBi")}`],
    [`Bearer ${"x".repeat(8000)}`],
    ["Token x"],
    [""],
  ])("isn't who says %j, not even here", async (said, authorization = said) => {
    const answer = await server.call({ path: "/api/agents", headers: { authorization } });
    expectProblem(answer, 401, "UNAUTHENTICATED");
    expect(answer.headers["www-authenticate"]).toBe(
      'Bearer realm="codespar", error="invalid_token"',
    );
  });

  it("isn't who sends two keys", async () => {
    const { token } = await makeKey(storage, "acme");
    const authorization = [`Bearer ${token}`, `Bearer ${token}`];
    expect(await status({ headers: { authorization } })).toBe(401);
    expect(await status({ headers: { authorization: `bEaReR  ${token}` } })).toBe(200);
  });

  it("isn't a page of another origin", async () => {
    const headers = (more: Record<string, string>) => ({
      headers: { host: "localhost:3000", ...more },
    });
    expect(await status(headers({ origin: "http://localhost:3000" }))).toBe(200);
    for (const origin of [
      "https://evil.example",
      "http://localhost:3001",
      "https://localhost:3000",
      "null",
    ])
      expect(await status(headers({ origin }))).toBe(401);
    const page = { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" };
    expect(await status(headers(page))).toBe(401);
    expect(await status(headers({ ...page, "sec-fetch-mode": "navigate" }))).toBe(200);
    expect(await status(headers({ ...page, "sec-fetch-site": "same-origin" }))).toBe(200);
  });

  it("is who holds a key, in its organisation and no other", async () => {
    const { token } = await makeKey(storage, "acme");
    await storage.forOrg("other").agentStates.set("agent", { name: "Agent" });
    const path = "/api/agents/agent/memory/k";
    const put = await server.call({
      method: "PUT",
      path,
      headers: bearer(token),
      body: { value: 1 },
    });
    expect(put.status).toBe(201);
    expect(await storage.forOrg("acme").memory.get("agent", "k")).toBe(1);
    const named = (orgId: string) => ({ headers: { ...bearer(token), "x-org-id": orgId } });
    expect(await status(named("acme"))).toBe(200);
    const others = await Promise.all(
      ["other", "nobody", "default", "ACME", "acme%20"].map((orgId) =>
        server.call({ path: "/api/agents", ...named(orgId) }),
      ),
    );
    for (const answer of others) expectProblem(answer, 403, "FORBIDDEN");
    expect(await status(named("%zz"))).toBe(400);
  });

  it("is told no more once the key has ended, not even on a stream that is open", async () => {
    const { id, token } = await makeKey(storage, "acme");
    const headers = bearer(token);
    const streaming = new Promise<string>((resolve, reject) => {
      const outgoing = request(
        `${server.origin}/api/events`,
        { headers, agent: false },
        (incoming) => {
          const chunks: Buffer[] = [];
          incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
          incoming.once("data", () => void storage.forOrg("acme").apiKeys.revoke(id).catch(reject));
          // Cut off, not ended in order.
          incoming.on("error", () => resolve(Buffer.concat(chunks).toString("utf8")));
          incoming.on("end", () => reject(new Error("it ended as if all had been said")));
        },
      );
      outgoing.on("error", reject).end();
    });
    expect(await streaming).toContain("event: ready");
    expect(await status({ headers })).toBe(401);
  });

  it("can't append entries in the name of another key or of the server", async () => {
    const { id, token } = await makeKey(storage, "acme");
    const headers = bearer(token);
    const append = (type: string, actorId: string, path = "/api/audit") => {
      const entry = { actor: { type, id: actorId }, action: "deploy.started" };
      const body = path === "/api/audit" ? { ...entry, outcome: "success" } : entry;
      return server.call({ method: "POST", path, headers, body });
    };
    for (const actorId of [
      "key:other",
      "cli",
      "http",
      "library",
      "admin-key",
      "checkpoints",
      "HTTP",
      "Key:other",
    ])
      for (const path of ["/api/audit", "/api/audit/intents"])
        expectProblem(await append("system", actorId, path), 400, "VALIDATION");
    for (const action of [
      "secret.read",
      "api_key.revoked",
      "access.denied",
      "organisation.erased",
      "audit.exported",
      "agent.registered",
      "memory.set",
    ]) {
      const entry = { actor: { type: "user", id: "ada" }, action };
      for (const [path, body] of [
        ["/api/audit", { ...entry, outcome: "success" }],
        ["/api/audit/intents", entry],
      ] as const)
        expectProblem(
          await server.call({ method: "POST", path, headers, body }),
          400,
          "VALIDATION",
        );
    }
    for (const [type, actorId] of [
      ["user", "ada"],
      ["agent", "key:other"],
      ["system", "ci"],
      ["system", `key:${id}`],
    ] as const)
      expect((await append(type, actorId)).status).toBe(201);
  });

  it("isn't who holds a key whose stored hash can't be one, which harms no other", async () => {
    const { token: right } = await makeKey(storage, "acme");
    const { id, token } = await makeKey(storage, "acme");
    const { backend: port } = contextOf(storage);
    const call = { now: Date.now() };
    const [record] = await port.read("acme", [keyRef(id)], call);
    for (const hash of ["", "zz", "ab", "0".repeat(66)]) {
      const columns = { ...record?.columns, hash };
      const put = { kind: "put", ...keyRef(id), columns, version: `v${hash}`, expiresAt: null };
      await port.commit("acme", { checks: [], writes: [put as Write], appends: [] }, call);
      memoryOf(port).keys.forget(nameOf("acme", id));
      const answer = await server.call({ path: "/api/agents", headers: bearer(token) });
      expectProblem(answer, 401, "UNAUTHENTICATED");
      expect(await status({ headers: bearer(right) })).toBe(200);
    }
  });

  it("may do what the key's scopes allow", async () => {
    const routes: [ApiKeyScope, Call][] = [
      ["read", { path: "/api/agents" }],
      ["write", { method: "PUT", path: "/api/agents/a/memory/k", body: { value: 1 } }],
      ["audit:read", { path: "/api/audit" }],
      ["secrets", { path: "/api/integrations/sentry/credentials" }],
      ["admin", { path: "/api/keys" }],
    ];
    for (const [held] of routes) {
      const { token } = await makeKey(storage, "acme", [held]);
      for (const [scope, call] of routes) {
        const answer = await server.call({ ...call, headers: bearer(token) });
        const allowed = held === scope || (held === "write" && scope === "read");
        if (allowed)
          expect([held, scope, answer.status < 300 || answer.status === 404]).toEqual([
            held,
            scope,
            true,
          ]);
        else {
          expectProblem(answer, 403, "FORBIDDEN");
          expect(answer.headers["www-authenticate"]).toBe(
            `Bearer realm="codespar", error="insufficient_scope", scope="${scope}"`,
          );
        }
      }
    }
  });
});

describe.each(backends)("with CODESPAR_ADMIN_KEY on $name", (backend) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await serveOn(backend, { adminKey: new Secret(adminKey) });
  });
  afterAll(() => server.close());

  it("nobody is served without a key, and the admin key acts for every organisation", async () => {
    expectProblem(await server.call({ path: "/api/agents" }), 401, "UNAUTHENTICATED");
    for (const [name, orgId] of [
      [undefined, "default"],
      ["acme", "acme"],
      ["a%2Fb", "a/b"],
    ] as const) {
      const headers = { ...bearer(adminKey), ...(name && { "x-org-id": name }) };
      const path = "/api/agents/agent/memory/k";
      const put = { method: "PUT", path, headers, body: { value: orgId, record: true } };
      expect((await server.call(put)).status).toBe(201);
      const storage = server.storage.forOrg(orgId);
      expect(await storage.memory.get("agent", "k")).toBe(orgId);
      const [entry] = (await storage.audit.list()).items;
      expect(entry?.actor).toEqual({ type: "system", id: "admin-key" });
    }
    const near = [adminKey.slice(1), `${adminKey}x`, adminKey.toUpperCase(), ""];
    for (const key of near)
      expectProblem(
        await server.call({ path: "/api/agents", headers: bearer(key) }),
        401,
        "UNAUTHENTICATED",
      );
  });

  it("an organisation's key works beside it", async () => {
    const body = { name: "first", scopes: ["read"] };
    const headers = { ...bearer(adminKey), "x-org-id": "first" };
    const made = await server.call({ method: "POST", path: "/api/keys", headers, body });
    const { token } = made.json as { token: string };
    expect((await server.call({ path: "/api/agents", headers: bearer(token) })).status).toBe(200);
  });
});

it("stays closed while nobody can tell whether there are keys", async () => {
  const storage = createStorage(undefined, { databaseUrl: "postgres://user@127.0.0.1:9/db" });
  const server = await serve(storage);
  for (const headers of [{}, { authorization: `Bearer ${wrongToken}` }])
    expectProblem(await server.call({ path: "/api/agents", headers }), 503, "UNAVAILABLE");
  expect((await server.call({ path: "/docs/" })).status).toBe(200);
  expect((await server.call({ path: "/" })).status).toBe(503);
  await server.close();
  await storage.close();
});

import type { ApiKeyScope } from "@codespar/core";
import { expect, it } from "vitest";
import { bearer, makeKey } from "../support/callers.ts";
import { bodyOf, expectProblem } from "../support/expect.ts";
import { describeServed, freshId } from "../support/server.ts";

const path = "/api/keys";

describeServed("API keys over HTTP", (server) => {
  const { call } = server;

  /** An organisation with a key that may do everything. */
  async function organisation(scopes?: readonly ApiKeyScope[]) {
    const orgId = freshId("org");
    const { id, token } = await makeKey(server.storage, orgId, scopes);
    const storage = server.storage.forOrg(orgId);
    return { orgId, id, token, headers: bearer(token), storage };
  }

  it("makes a key whose token works and is shown once", async () => {
    const { headers, storage, id } = await organisation();
    const body = { name: "CI", scopes: ["read"], expiresAt: "2033-01-01T00:00:00+01:00" };
    const made = await call({ method: "POST", path, headers, body });
    expect(made.status).toBe(201);
    const { key, token } = made.json as { key: { id: string }; token: string };
    expect(key).toMatchObject({
      name: "CI",
      scopes: ["read"],
      createdBy: `system:key:${id}`,
      expiresAt: "2032-12-31T23:00:00.000Z",
    });
    expect((await call({ path: "/api/agents", headers: bearer(token) })).status).toBe(200);
    const list = await call({ path, headers });
    expect(bodyOf(list)["items"]).toContainEqual(expect.objectContaining({ id: key.id }));
    expect(list.text).not.toContain("csk_");
    const entries = (await storage.audit.list({ action: "api_key.created" })).items;
    expect(entries[0]).toMatchObject({
      actor: { type: "system", id: `key:${id}` },
      target: { type: "api_key", id: key.id },
    });
  });

  it("refuses what can't be a key", async () => {
    const { headers } = await organisation();
    for (const body of [
      {},
      { name: "x" },
      { name: "x", scopes: [] },
      { name: "x", scopes: ["root"] },
      { name: "x", scopes: ["read"], id: "mine" },
      { name: "", scopes: ["read"] },
      { name: "x", scopes: ["read"], expiresAt: "soon" },
    ])
      expectProblem(await call({ method: "POST", path, headers, body }), 400, "VALIDATION");
    const past = { name: "x", scopes: ["read"], expiresAt: "2001-01-01T00:00:00Z" };
    expectProblem(await call({ method: "POST", path, headers, body: past }), 422, "LIMIT_EXCEEDED");
  });

  it("makes no key that outlives the one that it is made with", async () => {
    const { storage, orgId } = await organisation();
    const { token } = await makeKey(storage, orgId, ["admin", "read"], "2033-01-01T00:00:00.000Z");
    const make = (expiresAt?: string) =>
      call({
        method: "POST",
        path,
        headers: bearer(token),
        body: { name: "n", scopes: ["read"], ...(expiresAt && { expiresAt }) },
      });
    const expiryOf = async (expiresAt?: string) =>
      bodyOf(await make(expiresAt))["key"] as { readonly expiresAt: string };
    expect(await expiryOf()).toMatchObject({ expiresAt: "2033-01-01T00:00:00.000Z" });
    expect(await expiryOf("2032-12-31T00:00:00Z")).toMatchObject({
      expiresAt: "2032-12-31T00:00:00.000Z",
    });
    expectProblem(await make("2033-01-01T00:00:01Z"), 400, "VALIDATION");
  });

  it("rotates no key to one that outlives the one that asks", async () => {
    const { storage, orgId } = await organisation();
    const [sooner, end, later] = [
      "2031-01-01T00:00:00.000Z",
      "2032-01-01T00:00:00.000Z",
      "2033-01-01T00:00:00.000Z",
    ] as const;
    const { id, token } = await makeKey(storage, orgId, ["admin", "read"], end);
    let headers = bearer(token);
    const rotate = (which: string, expiresAt?: string) =>
      call({ method: "POST", path: `${path}/${which}/rotate`, headers, body: { expiresAt } });
    const endOf = async (key: string, expiresAt?: string) => {
      const { id: which } = await makeKey(storage, orgId, ["read"], key || undefined);
      return bodyOf(await rotate(which, expiresAt))["key"];
    };
    for (const own of ["", end, later]) expect(await endOf(own)).toMatchObject({ expiresAt: end });
    expect(await endOf(sooner)).toMatchObject({ expiresAt: sooner });
    expect(await endOf(sooner, end)).toMatchObject({ expiresAt: end });
    expect(await endOf("", sooner)).toMatchObject({ expiresAt: sooner });
    expectProblem(await rotate(id, later), 400, "VALIDATION");
    // Nor does it get on by rotating itself.
    const own = bodyOf(await rotate(id));
    expect(own["key"]).toMatchObject({ expiresAt: end });
    headers = bearer(String(own["token"]));
    expectProblem(await rotate((own["key"] as { id: string }).id, later), 400, "VALIDATION");
  });

  it("makes no second key for the same Idempotency-Key", async () => {
    const { headers } = await organisation();
    const request = {
      ...{ method: "POST", path, body: { name: "CI", scopes: ["read"] } },
      headers: { ...headers, "idempotency-key": "once" },
    };
    expect((await call(request)).status).toBe(201);
    const { detail } = expectProblem(await call(request), 409, "ALREADY_EXISTS");
    expect(detail).toMatch(/Idempotency-Key was used before.*: use a new key\.$/);
    expect(bodyOf(await call({ path, headers }))["items"]).toHaveLength(2);
  });

  it("revokes a key, at once here and for good", async () => {
    const { headers, storage } = await organisation();
    const { id, token } = await makeKey(server.storage, storage.orgId, ["read"]);
    const at = `${path}/${id}`;
    expect((await call({ path: "/api/agents", headers: bearer(token) })).status).toBe(200);
    for (let i = 0; i < 2; i += 1)
      expect((await call({ method: "DELETE", path: at, headers })).status).toBe(204);
    expectProblem(
      await call({ path: "/api/agents", headers: bearer(token) }),
      401,
      "UNAUTHENTICATED",
    );
    expectProblem(
      await call({ method: "DELETE", path: `${path}/none`, headers }),
      404,
      "NOT_FOUND",
    );
  });

  it("rotates a key", async () => {
    const { headers, storage } = await organisation();
    const { id, token } = await makeKey(server.storage, storage.orgId, ["read"]);
    const rotate = { method: "POST", path: `${path}/${id}/rotate`, headers, body: {} };
    const { token: next } = bodyOf(await call(rotate)) as { token: string };
    expectProblem(
      await call({ path: "/api/agents", headers: bearer(token) }),
      401,
      "UNAUTHENTICATED",
    );
    expect((await call({ path: "/api/agents", headers: bearer(next) })).status).toBe(200);
    expectProblem(await call(rotate), 404, "NOT_FOUND");
    for (const [overlapMs, status, code] of [
      [-1, 400, "VALIDATION"],
      [1e12, 422, "LIMIT_EXCEEDED"],
    ] as const)
      expectProblem(await call({ ...rotate, body: { overlapMs } }), status, code);
    expectProblem(await call({ ...rotate, path: `${path}/none/rotate` }), 404, "NOT_FOUND");
  });

  it("lets nobody give away more than one has", async () => {
    const { headers, storage, id } = await organisation(["admin", "write"]);
    const body = (scopes: string[]) => ({ name: "more", scopes });
    const allowed = await call({ method: "POST", path, headers, body: body(["read", "admin"]) });
    expect(allowed.status).toBe(201);
    for (const scope of ["secrets", "audit:read"]) {
      const refused = await call({ method: "POST", path, headers, body: body(["read", scope]) });
      expectProblem(refused, 403, "FORBIDDEN");
      expect(refused.headers["www-authenticate"]).toContain(`scope="${scope}"`);
    }
    const { id: stronger } = await makeKey(server.storage, storage.orgId);
    const rotate = { method: "POST", path: `${path}/${stronger}/rotate`, headers, body: {} };
    expectProblem(await call(rotate), 403, "FORBIDDEN");
    const denied = (await storage.audit.list({ action: "access.denied" })).items;
    expect(denied).toHaveLength(3);
    expect(denied[0]).toMatchObject({
      actor: { type: "system", id: `key:${id}` },
      outcome: "denied",
      target: { type: "route", id: "POST /api/keys/:id/rotate" },
    });
    // Ending a key takes nothing but administration.
    const revoked = await call({ method: "DELETE", path: `${path}/${stronger}`, headers });
    expect(revoked.status).toBe(204);
  });
});

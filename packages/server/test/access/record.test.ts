import type { AuditEntry, Storage } from "@codespar/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { backends, type TestStorage } from "../support/backends.ts";
import { bearer, makeKey } from "../support/callers.ts";
import { serve, type TestServer } from "../support/server.ts";

describe.each(backends)("what the trail says of access on $name", (backend) => {
  let nowMs: number;
  let kept: TestStorage;
  let storage: Storage;
  let server: TestServer;
  beforeEach(async () => {
    nowMs = Date.now();
    kept = await backend.open({ clock: () => nowMs });
    storage = kept.storage;
    server = await serve(storage);
  });
  afterEach(async () => {
    await server.close();
    await kept.remove();
  });

  async function said(orgId = "acme"): Promise<readonly AuditEntry[]> {
    const { items } = await storage.forOrg(orgId).audit.list({ action: "access.*", order: "asc" });
    return items;
  }

  it("names who looked at what administration keeps, before it is shown", async () => {
    const { id, token } = await makeKey(storage, "acme");
    await server.call({ path: "/api/keys", headers: bearer(token) });
    expect(await said()).toEqual([
      expect.objectContaining({
        actor: { type: "system", id: `key:${id}` },
        action: "access.granted",
        outcome: "success",
        target: { type: "route", id: "GET /api/keys" },
      }),
    ]);
    // What isn't a request for it is none.
    await server.call({ path: "/api/keys?limit=many", headers: bearer(token) });
    expect(await said()).toHaveLength(1);
  });

  it("names which key was refused secrets, administration, or another organisation", async () => {
    const { id, token } = await makeKey(storage, "acme", ["read"]);
    const headers = bearer(token);
    await server.call({ path: "/api/keys", headers });
    await server.call({ path: "/api/integrations/sentry/credentials", headers });
    await server.call({ path: "/api/agents", headers: { ...headers, "x-org-id": "other" } });
    const entries = await said();
    expect(entries.map(({ target, details }) => [target?.id, details])).toEqual([
      ["GET /api/keys", { why: "scope", scope: "admin" }],
      ["GET /api/integrations/:name/credentials", { why: "scope", scope: "secrets" }],
      ["GET /api/agents", { why: "organisation", scope: "read" }],
    ]);
    for (const { actor, outcome } of entries)
      expect([actor.id, outcome]).toEqual([`key:${id}`, "denied"]);
    expect(await said("other")).toEqual([]);
    // Too small a scope for anything else is a mistake, not an attempt at more.
    await server.call({ path: "/api/audit", headers });
    expect(await said()).toHaveLength(3);
  });

  it("names keys that have ended and are still used", async () => {
    const expiring = await makeKey(storage, "acme", ["read"], new Date(nowMs + 1000).toISOString());
    const revoked = await makeKey(storage, "acme", ["read"]);
    await storage.forOrg("acme").apiKeys.revoke(revoked.id);
    nowMs += 1000;
    for (const { token } of [expiring, revoked])
      await server.call({ path: "/api/agents", headers: bearer(token) });
    await expect.poll(() => said().then((entries) => entries.length)).toBe(2);
    const reasons = (await said()).map(({ actor, details }) => [actor.id, details]);
    expect(reasons.sort()).toEqual(
      [
        [`key:${expiring.id}`, { why: "expired", scope: "read" }],
        [`key:${revoked.id}`, { why: "revoked", scope: "read" }],
      ].sort(),
    );
  });

  it("can't be filled by who has no key, nor much by who has one", async () => {
    const { token } = await makeKey(storage, "acme", ["read"]);
    const before = (await storage.forOrg("acme").audit.list()).items.length;
    const guess = token.slice(0, -43) + "A".repeat(43);
    for (const headers of [bearer(guess), bearer("csk_"), { via: "1.1 proxy" }])
      for (let i = 0; i < 20; i += 1) await server.call({ path: "/api/keys", headers });
    expect((await storage.forOrg("acme").audit.list()).items).toHaveLength(before);
    for (let i = 0; i < 30; i += 1)
      await server.call({ path: "/api/keys", headers: bearer(token) });
    expect(await said()).toHaveLength(10);
  });
});

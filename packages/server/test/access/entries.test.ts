import { type AuditEntry, deploymentOrgId, Secret, type Storage } from "@codespar/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testKey, testSecret } from "../../../../tooling/secrets.ts";
import { backends, type TestStorage } from "../support/backends.ts";
import { bearer, makeKey } from "../support/callers.ts";
import type { Operation } from "../support/contract.ts";
import type { Call } from "../support/http.ts";
import { bodySchemaOf, sampleOf } from "../support/samples.ts";
import { serve, type TestServer } from "../support/server.ts";

/*
 * Every route of the document that secrets or administration are behind, with a caller that may: each request is an entry, whether it finds
 * anything or not.
 */

/** Requests that leave another number of entries than one where what they name is missing, is there, or is asked for again; and why. */
const others: Readonly<Record<string, { readonly why: string; readonly entries: object }>> = {
  exportOrganisation: {
    why: "the deployment's trail says who asked, and the organisation's own that it was handed over",
    entries: { there: 2, again: 2 },
  },
  eraseOrganisation: {
    why: "an erasure is an intent and its outcome",
    entries: { there: 2 },
  },
  rotateKey: {
    why: "one key ends and another one begins",
    entries: { there: 2 },
  },
};

type Route = readonly [path: string, method: string, operation: Operation];

const adminKey = testKey();
const privileged = ["secrets", "admin", "operator"];

/** What a request names. */
interface Named {
  readonly orgId: string;
  readonly channel: string;
  readonly team: string;
  readonly keyId: string;
  readonly seq: number;
}

function nothingIn(orgId: string): Named {
  const keyId = "0199a7c2-1b2f-7d3c-8e4f-5a6b7c8d9e0f";
  return { orgId, channel: "missing", team: "missing", keyId, seq: 999 };
}

async function fill(storage: Storage): Promise<Named> {
  const { orgId, channelConfigs, slackInstallations, audit } = storage;
  const team = `T-${orgId}`;
  await channelConfigs.set("sentry", { credentials: { token: testSecret() } });
  await slackInstallations.set({ teamId: team, tokens: { bot: testSecret() } });
  const { id: keyId } = await makeKey(storage, orgId, ["read"]);
  const { seq } = await audit.append({ action: "deploy.started", details: { why: "a test" } });
  await audit.checkpoint();
  return { orgId, channel: "sentry", team, keyId, seq };
}

function requestFor({ description }: TestServer, route: Route, named: Named): Call {
  const [path, method, operation] = route;
  const value = (name: string): string => {
    if (name === "orgId") return named.orgId;
    if (name === "seq") return String(named.seq);
    if (name === "name") return named.channel;
    if (name === "id" && path.startsWith("/api/keys")) return named.keyId;
    throw new TypeError(`${path}: say here what {${name}} is`);
  };
  const query = new URLSearchParams();
  for (const { name } of operation.parameters ?? []) {
    if (name === "teamId") query.set(name, named.team);
    if (name === "confirm") query.set(name, named.orgId);
  }
  const schema = bodySchemaOf(operation);
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => value(name));
  return {
    method: method.toUpperCase(),
    path: query.size === 0 ? filled : `${filled}?${query.toString()}`,
    ...(schema !== undefined && { body: sampleOf(description, schema) }),
  };
}

describe.each(backends)("secrets and administration on $name", (backend) => {
  let kept: TestStorage;
  let server: TestServer;
  let routes: Route[] = [];
  beforeAll(async () => {
    kept = await backend.open();
    const options = { adminKey: new Secret(adminKey), rateLimits: { perAddress: 0, perKey: 0 } };
    server = await serve(kept.storage, options);
    routes = Object.entries(server.description.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]): Route => [path, method, operation]),
    );
    // A deployment's trail begins with what is said in it.
    await server.call({ path: "/api/orgs", headers: bearer(adminKey) });
  });
  afterAll(async () => {
    await server.close();
    await kept.remove();
  });

  const scopeOf = ([, , { security }]: Route) => security[0]?.apiKey[0] ?? "";

  async function entriesOf(orgIds: readonly string[]): Promise<AuditEntry[]> {
    const trails = orgIds.map((orgId) =>
      kept.storage.forOrg(orgId).audit.list({ limit: 1000, order: "asc" }),
    );
    return (await Promise.all(trails)).flatMap(({ items }) => items);
  }

  /** Sends a request. @returns the entries that it added to the trails of all whom it may concern */
  async function added(route: Route, named: Named, orgId: string): Promise<AuditEntry[]> {
    const isOperators = scopeOf(route) === "operator";
    const token = isOperators ? adminKey : (await makeKey(kept.storage, orgId)).token;
    const concerned = [...new Set([orgId, named.orgId, deploymentOrgId])];
    const before = new Set((await entriesOf(concerned)).map(({ id }) => id));
    const request = requestFor(server, route, named);
    const { status } = await server.call({ ...request, headers: bearer(token) });
    const what = `${request.method} ${request.path}: ${status}`;
    expect(status < 300 || status === 404, what).toBe(true);
    const entries = (await entriesOf(concerned)).filter(
      // One for each organisation, where anything of it was sealed anew.
      ({ id, action }) => !before.has(id) && action !== "secrets.rotated",
    );
    const own = entries.filter(({ action }) => action !== "access.granted");
    if (status === 404)
      for (const { outcome } of own) expect([what, outcome]).toEqual([what, "failure"]);
    return entries;
  }

  it("leave an entry for each request that is let through, found or not", async () => {
    const asked = routes.filter((route) => privileged.includes(scopeOf(route)));
    expect(asked.length).toBeGreaterThan(15);
    const told: Record<string, object> = {};
    const expected: Record<string, object> = {};
    for (const [i, route] of asked.entries()) {
      const { operationId } = route[2];
      const orgId = `org-${i}`;
      const missing = await added(route, nothingIn(`none-${i}`), `none-${i}`);
      const named = await fill(kept.storage.forOrg(orgId));
      const there = await added(route, named, orgId);
      const again = await added(route, named, orgId);
      told[operationId] = {
        missing: missing.length,
        there: there.length,
        again: again.length,
      };
      const one = { missing: 1, there: 1, again: 1 };
      expected[operationId] = { ...one, ...others[operationId]?.entries };
    }
    expect(told).toEqual(expected);
    expect(Object.keys(told)).toEqual(expect.arrayContaining(Object.keys(others)));
  });

  it("say of what isn't there the same whether another organisation has it", async () => {
    const theirs = await fill(kept.storage.forOrg("theirs"));
    const { token, id } = await makeKey(kept.storage, "ours");
    const { audit } = kept.storage.forOrg("ours");
    const ask = async (named: Named) => {
      const { size } = await audit.verify();
      for (const [method, path] of [
        ["GET", `/api/integrations/${named.channel}/credentials`],
        ["DELETE", `/api/integrations/${named.channel}`],
        ["GET", `/api/slack/installations/tokens?teamId=${named.team}`],
        ["DELETE", `/api/slack/installations?teamId=${named.team}`],
        ["DELETE", `/api/keys/${named.keyId}`],
      ] as const)
        expect((await server.call({ method, path, headers: bearer(token) })).status).toBe(404);
      const rotate = { method: "POST", path: `/api/keys/${named.keyId}/rotate`, body: {} };
      expect((await server.call({ ...rotate, headers: bearer(token) })).status).toBe(404);
      const { items } = await audit.list({ order: "asc", limit: 100 });
      return items.slice(size).map(({ actor, action, outcome, target, details }) => ({
        said: [actor.id, action, outcome, target?.type, details],
        target: target?.id,
      }));
    };
    const there = await ask(theirs);
    const nowhere = await ask(nothingIn("ours"));
    expect(there.map(({ said }) => said)).toEqual(nowhere.map(({ said }) => said));
    const why = { why: "not_found" };
    expect(nowhere).toEqual(
      [
        ["secret.read", "integration", "missing"],
        ["integration.removed", "integration", "missing"],
        ["secret.read", "slack_installation", "team:missing"],
        ["slack.uninstalled", "slack_installation", "team:missing"],
        ["api_key.revoked", "api_key", nothingIn("").keyId],
        ["api_key.rotated", "api_key", nothingIn("").keyId],
      ].map(([action, type, target]) => ({
        said: [`key:${id}`, action, "failure", type, why],
        target,
      })),
    );
    expect(await kept.storage.forOrg("theirs").apiKeys.get(theirs.keyId)).toMatchObject({
      revokedAt: null,
    });
  });
});

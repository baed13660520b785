import { type ApiKeyScope, apiKeyScopes, type Storage } from "@codespar/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { testSecret } from "../../../../tooling/secrets.ts";
import { backends, type TestStorage } from "../support/backends.ts";
import { bearer, elsewhere, makeKey } from "../support/callers.ts";
import type { Operation } from "../support/contract.ts";
import type { Answer, Call } from "../support/http.ts";
import { bodySchemaOf, sampleOf } from "../support/samples.ts";
import { serve, type TestServer } from "../support/server.ts";

/*
 * Every route of the document, with every kind of caller that must not get what it gives. The names of organisations and ids have one
 * length, so that answers of a different length differ.
 */

const ours = "ours-org";
const theirs = "them-org";
const nobody = "none-org";
/** Entries of their trail: more than ours gets here. */
const trailLength = 300;

/** What names a record of theirs, or none: parameters by name, for each resource. */
interface Ids {
  readonly mark: string;
  /** Of an intent. */
  readonly uuid: string;
  /** Of an API key. */
  readonly keyId: string;
  readonly seq: number;
}

/** Fills one organisation with a record of each kind, all of them marked. @returns the id of its intent */
async function fill(storage: Storage, mark: string): Promise<string> {
  await storage.memory.set(`${mark}-agent`, `${mark}-key`, `${mark}-value`);
  await storage.agentStates.set(`${mark}-agent`, { name: `${mark}-value` });
  await storage.projects.create({
    id: `${mark}-project`,
    name: `${mark}-value`,
    slug: `${mark}-slug`,
  });
  await storage.projectConfigs.link(`${mark}-agent`, { repository: `${mark}-value/app` });
  await storage.channelConfigs.set(`${mark}-channel`, {
    credentials: { token: testSecret(`${mark}-value`) },
    settings: { text: `${mark}-value` },
  });
  await storage.slackInstallations.set({
    teamId: `${mark}-team`,
    tokens: { bot: testSecret(`${mark}-value`) },
  });
  const intent = await storage.audit.intent({ action: "deploy.started", details: `${mark}-value` });
  return intent.id;
}

async function everythingOf(storage: Storage): Promise<string> {
  const { memory, agentStates, projects, projectConfigs, channelConfigs, slackInstallations } =
    storage;
  const lists = await Promise.all([
    memory.list("q-theirs-agent"),
    agentStates.list(),
    projects.list(),
    projectConfigs.list(),
    channelConfigs.list(),
    slackInstallations.list(),
    storage.apiKeys.list(),
    storage.audit.list({ limit: 1 }),
  ]);
  return JSON.stringify(lists);
}

/** A request for an operation, about the records that `ids` name. */
function requestFor(server: TestServer, [path, method, operation]: Route, ids: Ids): Call {
  const { description } = server;
  const value = (name: string): string => {
    if (name === "seq") return String(ids.seq);
    if (name === "agentId") return `${ids.mark}-agent`;
    if (name === "key") return `${ids.mark}-key`;
    if (name === "teamId") return `${ids.mark}-team`;
    if (path.startsWith("/api/integrations")) return `${ids.mark}-channel`;
    if (path.startsWith("/api/projects")) return `${ids.mark}-project`;
    return path.startsWith("/api/keys") ? ids.keyId : ids.uuid;
  };
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => value(name));
  const takesTeam = operation.parameters?.some(({ name }) => name === "teamId") === true;
  const schema = bodySchemaOf(operation);
  return {
    method: method.toUpperCase(),
    path: takesTeam ? `${filled}?teamId=${value("teamId")}` : filled,
    ...(schema !== undefined && { body: sampleOf(description, schema) }),
  };
}

type Route = readonly [path: string, method: string, operation: Operation];

/** What of an answer may tell callers apart; `ids` are what the caller itself has sent. */
function shown({ status, headers, text }: Answer, ids: Ids): unknown {
  const { date, etag, "x-request-id": requestId, ...others } = headers;
  const told = (content: string) =>
    content
      .replaceAll(String(requestId), "<request>")
      .replaceAll(ids.mark, "<mark>")
      .replaceAll(ids.uuid, "<uuid>")
      .replaceAll(ids.keyId, "<key>")
      .replaceAll(String(ids.seq), "<seq>")
      // Of a record that the request has made.
      .replace(/("(?:version|createdAt|updatedAt|linkedAt)":")[^"]*/g, "$1");
  return { status, headers: JSON.parse(told(JSON.stringify(others))), text: told(text) };
}

describe.each(backends)("every route on $name", (backend) => {
  let kept: TestStorage;
  let server: TestServer;
  let routes: Route[] = [];
  let right = "";
  let before = "";
  let nowMs = Date.now();
  let refused: Readonly<Record<string, Record<string, string>>> = {};
  const of: Record<string, Ids> = {};
  const callWith = (route: Route, headers: Record<string, string>, ids: Ids) =>
    server.call({ ...requestFor(server, route, ids), headers });

  beforeAll(async () => {
    kept = await backend.open({ clock: () => nowMs });
    const { storage } = kept;
    await fill(storage.forOrg(ours), "ours");
    const uuid = await fill(storage.forOrg(theirs), "q-theirs");
    const entry = { action: "test.filled" };
    for (let i = 0; i < trailLength; i += 100)
      await Promise.all(
        Array.from({ length: 100 }, () => storage.forOrg(theirs).audit.append(entry)),
      );
    const theirKey = await makeKey(storage, theirs);
    const [unknown, noKey] = [
      "0199a7c2-1b2f-7d3c-8e4f-5a6b7c8d9e0f",
      "0199a7c2-1b2f-7d3c-8e4f-5a6b7c8d9e10",
    ];
    of["theirs"] = { mark: "q-theirs", uuid, keyId: theirKey.id, seq: trailLength - 1 };
    of["nobody"] = { mark: "q-nobody", uuid: unknown, keyId: noKey, seq: 999 };
    server = await serve(storage, { rateLimits: { perAddress: 0, perKey: 0 } });
    right = (await makeKey(storage, ours)).token;
    const soon = new Date(nowMs + 1000).toISOString();
    const expired = (await makeKey(storage, ours, apiKeyScopes, soon)).token;
    const revoked = await makeKey(storage, ours);
    await storage.forOrg(ours).apiKeys.revoke(revoked.id);
    nowMs += 1000;
    const orgIn = (token: string, orgId: string) =>
      token.replace(/^csk_[^_]+/, `csk_${Buffer.from(orgId).toString("base64url")}`);
    refused = {
      "a wrong secret": bearer(right.slice(0, -43) + theirKey.token.slice(-43)),
      "a key of another organisation under this one's name": bearer(orgIn(theirKey.token, ours)),
      "a key under the name of an organisation that has others": bearer(orgIn(right, theirs)),
      "a key under the name of no organisation": bearer(orgIn(right, nobody)),
      "a key that doesn't exist": bearer(right.replace(/_[0-9a-f]{8}-/, "_00000000-")),
      "an expired key": bearer(expired),
      "a revoked key": bearer(revoked.token),
      "no key at all": bearer("none"),
    };
    routes = Object.entries(server.description.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]): Route => [path, method, operation]),
    );
    before = await everythingOf(storage.forOrg(theirs));
  });
  afterAll(async () => {
    // None of it has touched the other organisation.
    expect(await everythingOf(kept.storage.forOrg(theirs))).toBe(before);
    await server.close();
    await kept.remove();
  });

  const scopeOf = ([, , { security }]: Route) => security[0]?.apiKey[0];
  const closed = () => routes.filter((route) => scopeOf(route) !== undefined);
  const ids = (whose: "theirs" | "nobody"): Ids => of[whose] as Ids;

  it("says which scope it asks, but for health", () => {
    const open = routes.filter((route) => scopeOf(route) === undefined).map(([path]) => path);
    expect(open.sort()).toEqual(["/health", "/livez", "/readyz"]);
    expect(closed().length).toBeGreaterThan(35);
    const scopes = new Set(closed().map(scopeOf));
    expect([...apiKeyScopes, "operator"]).toEqual(expect.arrayContaining([...scopes]));
  });

  it("is 401 without a key", async () => {
    for (const route of closed()) {
      const answers = [
        await callWith(route, elsewhere, ids("theirs")),
        await callWith(route, {}, ids("theirs")),
        await callWith(route, { ...elsewhere, "x-org-id": theirs }, ids("theirs")),
        await callWith(route, { ...elsewhere, "x-org-id": nobody }, ids("nobody")),
      ];
      for (const answer of answers) {
        expect([route[0], answer.status]).toEqual([route[0], 401]);
        expect(shown(answer, ids("theirs"))).toEqual(shown(answers[0] as Answer, ids("theirs")));
      }
    }
  });

  it("is the same 401 for every key that doesn't work", async () => {
    for (const route of closed()) {
      const answers = [];
      for (const headers of Object.values(refused))
        answers.push(shown(await callWith(route, headers, ids("theirs")), ids("theirs")));
      expect(answers[0]).toMatchObject({ status: 401 });
      expect(new Set(answers.map((answer) => JSON.stringify(answer))).size, route[0]).toBe(1);
    }
  });

  it("is 403 with too small a scope", async () => {
    for (const route of closed()) {
      const scope = scopeOf(route) as ApiKeyScope;
      const tooSmall = apiKeyScopes.filter(
        (each) => each !== scope && !(scope === "read" && each === "write"),
      );
      const { token } = await makeKey(kept.storage, ours, tooSmall);
      const answer = await callWith(route, bearer(token), ids("theirs"));
      expect([route[0], answer.status]).toEqual([route[0], 403]);
      expect(answer.text).not.toContain("value");
    }
  });

  it("is the same 403 for any other organisation, whether it exists or not", async () => {
    for (const route of closed()) {
      const asked = async (orgId: string, whose: Ids) =>
        shown(await callWith(route, { ...bearer(right), "x-org-id": orgId }, whose), whose);
      const existing = await asked(theirs, ids("theirs"));
      expect(existing).toMatchObject({ status: 403 });
      expect(existing).toEqual(await asked(nobody, ids("nobody")));
    }
  });

  it("answers about another organisation's ids as about ids that nobody has", async () => {
    const about = closed().filter(
      ([path, , { parameters }]) =>
        path.includes("{") || parameters?.some(({ name }) => name === "teamId"),
    );
    expect(about.length).toBeGreaterThan(20);
    const statuses: number[] = [];
    for (const route of about) {
      const ask = async (whose: Ids) => {
        const answer = await callWith(route, bearer(right), whose);
        expect(answer.text, route[0]).not.toContain("q-theirs-value");
        return { status: answer.status, shown: shown(answer, whose) };
      };
      const existing = await ask(ids("theirs"));
      expect(existing.shown, route[0]).toEqual((await ask(ids("nobody"))).shown);
      statuses.push(existing.status);
    }
    // What makes a record makes one of ours; nearly all else finds none.
    expect(statuses.filter((status) => status === 404).length).toBeGreaterThan(12);
    expect(statuses.filter((status) => status >= 500)).toEqual([]);
  });
});

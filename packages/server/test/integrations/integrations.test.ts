import { expect, it } from "vitest";
import { testSecret } from "../../../../tooling/secrets.ts";
import { bodyOf, etagOf, expectProblem } from "../support/expect.ts";
import { describeServed, freshId } from "../support/server.ts";

const token = testSecret("clear");

describeServed("integrations", (server) => {
  const { call } = server;
  const inOrg = (org: string) => ({ "x-org-id": org });
  const put = (org: string, name: string, body: unknown, headers: Record<string, string> = {}) =>
    call({
      method: "PUT",
      path: `/api/integrations/${name}`,
      headers: { ...inOrg(org), ...headers },
      body,
    });
  const actions = async (org: string) => {
    const { items } = await server.storage.forOrg(org).audit.list({ order: "asc" });
    return items.map(({ action, target }) => `${action} ${target?.id}`);
  };

  it("take credentials and never show them again", async () => {
    const org = freshId("org");
    const settings = { organisation: "acme", nested: [1, null] };
    const stored = await put(org, "sentry", { credentials: { token, dsn: token }, settings });
    expect(stored.status).toBe(201);
    expect(stored.json).toEqual({
      integration: "sentry",
      settings,
      credentialNames: ["dsn", "token"],
      version: expect.any(String),
      createdAt: expect.any(String),
      updatedAt: bodyOf(stored)["createdAt"],
    });
    const one = await call({ path: "/api/integrations/sentry", headers: inOrg(org) });
    expect(one.json).toEqual(stored.json);
    expect(etagOf(one)).toBe(`"${bodyOf(stored)["version"]}"`);
    const all = await call({ path: "/api/integrations", headers: inOrg(org) });
    expect(all.json).toEqual({ items: [stored.json], nextCursor: null });
    const trail = await call({ path: "/api/audit", headers: inOrg(org) });
    for (const { text, headers } of [stored, one, all, trail])
      expect(text + JSON.stringify(headers)).not.toContain(token);
    expect(await actions(org)).toEqual(["integration.configured sentry"]);
  });

  it("are replaced as a whole, under preconditions", async () => {
    const org = freshId("org");
    const first = await put(org, "vercel", { credentials: { a: token }, settings: { x: 1 } });
    const path = "/api/integrations/vercel";
    const absent = { "if-none-match": "*" };
    expectProblem(
      await put(org, "vercel", { credentials: {} }, absent),
      412,
      "PRECONDITION_FAILED",
    );
    const second = await put(
      org,
      "vercel",
      { credentials: { b: token } },
      { "if-match": etagOf(first) },
    );
    expect(second.status).toBe(200);
    expect(second.json).toMatchObject({ settings: {}, credentialNames: ["b"] });
    expectProblem(
      await put(org, "vercel", { credentials: {} }, { "if-match": etagOf(first) }),
      412,
      "PRECONDITION_FAILED",
    );
    const fresh = { ...inOrg(org), "if-none-match": etagOf(second) };
    expect((await call({ path, headers: fresh })).status).toBe(304);
    const remove = (headers: Record<string, string>) =>
      call({ method: "DELETE", path, headers: { ...inOrg(org), ...headers } });
    expectProblem(await remove({ "if-match": etagOf(first) }), 412, "PRECONDITION_FAILED");
    expect((await remove({ "if-match": etagOf(second) })).status).toBe(204);
    expectProblem(await remove({}), 404, "NOT_FOUND");
    expectProblem(await call({ path, headers: inOrg(org) }), 404, "NOT_FOUND");
  });

  it("give their credentials in clear on a route of its own, which the trail records", async () => {
    const org = freshId("org");
    const path = "/api/integrations/sentry/credentials";
    expectProblem(await call({ path, headers: inOrg(org) }), 404, "NOT_FOUND");
    const credentials = JSON.parse(`{"token":"${token}","__proto__":"\\u0000😀"}`) as object;
    await put(org, "sentry", JSON.stringify({ credentials }), {
      "content-type": "application/json",
    });
    const read = await call({ path, headers: inOrg(org) });
    expect(read.text).toBe(JSON.stringify({ credentials }));
    expect(read.headers).toMatchObject({ "cache-control": "no-store" });
    expect(await actions(org)).toEqual([
      "secret.read sentry",
      "integration.configured sentry",
      "secret.read sentry",
    ]);
    const { audit } = server.storage.forOrg(org);
    expect(await audit.get(0)).toMatchObject({
      outcome: "failure",
      details: { why: "not_found" },
    });
    expect(await audit.get(2)).toMatchObject({
      outcome: "success",
      details: { credentials: ["__proto__", "token"] },
    });
    expect((await call({ method: "HEAD", path, headers: inOrg(org) })).status).toBe(405);
    expect(await actions(org)).toHaveLength(3);
  });

  it("of another organisation look as if there were none", async () => {
    const [org, other] = [freshId("org"), freshId("org")];
    await put(org, "railway", { credentials: { token } });
    for (const path of ["/api/integrations/railway", "/api/integrations/railway/credentials"]) {
      expectProblem(await call({ path, headers: inOrg(other) }), 404, "NOT_FOUND");
    }
    const all = await call({ path: "/api/integrations", headers: inOrg(other) });
    expect(all.json).toEqual({ items: [], nextCursor: null });
    expect(await actions(other)).toEqual(["secret.read railway"]);
  });

  it("that aren't acceptable are refused without being repeated", async () => {
    const org = freshId("org");
    for (const body of [
      {},
      { credentials: null },
      { credentials: token },
      { credentials: { token: 5 } },
      { credentials: [token] },
      { credentials: { "": token } },
      { credentials: { token: `${token}\ud800` } },
      { credentials: { token }, settings: null },
      { credentials: { token }, settings: [1] },
      { credentials: { token }, settings: "x" },
      { credentials: { token }, other: token },
      [],
      token,
    ]) {
      const answer = await put(org, "sentry", JSON.stringify(body), {
        "content-type": "application/json",
      });
      expectProblem(answer, 400, "VALIDATION");
      expect(answer.text).not.toContain(token);
    }
    expectProblem(await put(org, "Sentry", { credentials: { token } }), 400, "VALIDATION");
    const large = { credentials: { token: token.repeat(4000) } };
    expectProblem(await put(org, "sentry", large), 422, "LIMIT_EXCEEDED");
    expect(await actions(org)).toEqual([]);
  });
});

describeServed("Slack installations", (server) => {
  const { call } = server;
  const url = "/api/slack/installations";

  it("are listed without their tokens, read in clear with an entry, and removed", async () => {
    const org = freshId("org");
    const headers = { "x-org-id": org };
    const storage = server.storage.forOrg(org);
    const teamId = freshId("T");
    const enterpriseId = freshId("E");
    const { version } = await storage.slackInstallations.set({
      teamId,
      teamName: "Acme",
      scopes: ["chat:write"],
      tokens: { botToken: token },
    });
    await storage.slackInstallations.set({
      enterpriseId,
      isEnterpriseInstall: true,
      tokens: { botToken: token },
    });
    const list = await call({ path: `${url}?reverse=true`, headers });
    expect(list.text).not.toContain(token);
    expect(list.json).toMatchObject({
      items: [
        { teamId, teamName: "Acme", scopes: ["chat:write"], tokenNames: ["botToken"], version },
        { enterpriseId, isEnterpriseInstall: true },
      ],
      nextCursor: null,
    });
    const read = await call({ path: `${url}/tokens?teamId=${teamId}`, headers });
    expect(read.json).toEqual({ tokens: { botToken: token } });
    expect((await storage.audit.list({ limit: 1 })).items[0]).toMatchObject({
      action: "secret.read",
      target: { type: "slack_installation", id: `team:${teamId}` },
    });
    const remove = (query: string, more: Record<string, string> = {}) =>
      call({ method: "DELETE", path: `${url}${query}`, headers: { ...headers, ...more } });
    for (const query of ["", `?teamId=${teamId}&enterpriseId=${enterpriseId}`, "?teamId=", "?x=1"])
      expectProblem(await remove(query), 400, "VALIDATION");
    expectProblem(
      await remove(`?teamId=${teamId}`, { "if-match": '"other"' }),
      412,
      "PRECONDITION_FAILED",
    );
    expect((await remove(`?teamId=${teamId}`, { "if-match": `"${version}"` })).status).toBe(204);
    expectProblem(await remove(`?teamId=${teamId}`), 404, "NOT_FOUND");
    expectProblem(
      await call({ path: `${url}/tokens?teamId=${teamId}`, headers }),
      404,
      "NOT_FOUND",
    );
    expect((await remove(`?enterpriseId=${enterpriseId}`)).status).toBe(204);
    expect((await call({ path: url, headers })).json).toEqual({ items: [], nextCursor: null });
  });

  it("of another organisation look as if there were none", async () => {
    const teamId = freshId("T");
    const holder = server.storage.forOrg(freshId("org"));
    await holder.slackInstallations.set({ teamId, tokens: { botToken: token } });
    const headers = { "x-org-id": freshId("org") };
    expectProblem(
      await call({ path: `${url}/tokens?teamId=${teamId}`, headers }),
      404,
      "NOT_FOUND",
    );
    const removal = await call({ method: "DELETE", path: `${url}?teamId=${teamId}`, headers });
    expectProblem(removal, 404, "NOT_FOUND");
    expect(await holder.slackInstallations.get({ teamId })).not.toBeNull();
  });
});

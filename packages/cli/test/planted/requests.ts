import { expect } from "vitest";
import type { Call, Client } from "./client.ts";
import { apiKey, type Token, type Tokens } from "./tokens.ts";

type Headers = Readonly<Record<string, string>>;

/**
 * Uses a server in the ways in which secrets pass it, rightly and wrongly.
 *
 * @param keys - API keys that others have made
 * @returns the keys that were made
 */
export async function exercise(
  client: Client,
  orgId: string,
  planted: Tokens,
  keys: readonly Token[],
): Promise<Token[]> {
  const admin = { authorization: `Bearer ${planted.admin.text}`, "x-org-id": orgId };
  const made = await makeKeys(client, admin);
  const current = made.at(-1)?.text ?? "";
  const own = { authorization: `Bearer ${current}` };
  await useRightly(client, own, planted);
  await readEverything(client, admin, orgId);
  for (const { text } of [...made, ...keys, planted.admin]) await inWrongPlaces(client, own, text);
  for (const { text } of [planted.viaHttp, planted.credential, planted.slack, ...keys])
    await inWrongBodies(client, own, text);
  const { ended } = await client.follow(own);
  const ending = { method: "DELETE", path: `/api/keys/${idOf(current)}`, headers: admin };
  expect((await client.send(ending)).status).toBe(204);
  await ended;
  expect((await client.send({ path: "/api/agents", headers: own })).status).toBe(401);
  return made;
}

/** By contract the answers to making and rotating a key, and only these, show it. */
async function makeKeys(client: Client, headers: Headers): Promise<Token[]> {
  const made: Token[] = [];
  const handsOut = (body: string) => {
    const { token } = JSON.parse(body) as { token: string };
    made.push(apiKey(`API key ${made.length + 1} over HTTP`, token));
    return made.slice(-1);
  };
  const scopes = ["read", "write", "audit:read", "secrets", "admin"];
  const create = { method: "POST", path: "/api/keys", body: { name: "http", scopes } };
  expect((await client.send({ ...create, headers, handsOut })).status).toBe(201);
  const path = `/api/keys/${idOf(made[0]?.text)}/rotate`;
  const rotate = { method: "POST", path, body: { overlapMs: 0 } };
  expect((await client.send({ ...rotate, headers, handsOut })).status).toBe(201);
  return made;
}

/** The id in a token's middle: those before it and after it may have the underscores that separate them. */
const idOf = (token = "") => token.slice(-80, -44);

async function useRightly(client: Client, headers: Headers, planted: Tokens): Promise<void> {
  const { canary, credential, viaHttp, slack } = planted;
  const entry = { path: `/api/agents/${canary.text}/memory/${canary.text}`, headers };
  expect((await client.send(entry)).body).toContain(canary.text);
  const body = { credentials: { token: viaHttp.text } };
  const store = { method: "PUT", path: "/api/integrations/vercel", headers, body };
  expect((await client.send(store)).status).toBe(201);
  expect((await client.send(store)).status).toBe(200);
  // By contract these answers show secrets, and only these: docs/reference/http.md, "Integrations and Slack".
  for (const [path, token] of [
    ["/api/integrations/sentry/credentials", credential],
    ["/api/integrations/vercel/credentials", viaHttp],
    ["/api/slack/installations/tokens?teamId=T1", slack],
  ] as const) {
    const answer = await client.send({ path, headers, handsOut: () => [token] });
    expect(answer.body).toContain(JSON.stringify(token.text));
  }
}

/** Calls every route that reads, in its document's words. */
async function readEverything(client: Client, headers: Headers, orgId: string): Promise<void> {
  const { body } = await client.send({ path: "/openapi.json", headers });
  const { paths } = JSON.parse(body) as { paths: Record<string, Record<string, unknown>> };
  const values: Readonly<Record<string, string>> = { name: "sentry", orgId, seq: "0" };
  const handingOut = /\/(?:credentials|tokens)$|\/events$/;
  let taken = 0;
  for (const [path, operations] of Object.entries(paths)) {
    if (operations["get"] === undefined || handingOut.test(path)) continue;
    const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? "nothing");
    for (const accept of ["application/json", "*/*"]) {
      const { status } = await client.send({ path: filled, headers: { ...headers, accept } });
      if (status === 200) taken += 1;
    }
  }
  expect(taken).toBeGreaterThan(30);
  for (const format of ["jsonl", "csv"])
    await client.send({ path: `/api/audit/export?format=${format}`, headers });
  for (const path of ["/", "/docs", "/health"]) await client.send({ path, headers });
}

/** A key where it doesn't belong, or that is none. What is refused must not come back, nor be written. */
async function inWrongPlaces(client: Client, own: Headers, secret: string): Promise<void> {
  const path = "/api/agents";
  const authorizations = [
    `Bearer ${secret}x`,
    `Bearer ${secret} ${secret}`,
    `Token ${secret}`,
    `Basic ${Buffer.from(`user:${secret}`).toString("base64")}`,
    secret,
  ];
  const calls: Call[] = [
    ...authorizations.map((authorization) => ({ path, headers: { authorization } })),
    { path: "/api/orgs", headers: { authorization: `Bearer ${secret}x`, via: "1.1 proxy" } },
    { path, headers: { authorization: [`Bearer ${secret}`, `Bearer ${secret}`] } },
    { path, headers: { ...own, "x-org-id": secret } },
    { path, headers: { ...own, "x-org-id": `%${secret}` } },
    { path: "/api/events", headers: { ...own, "last-event-id": secret } },
    { path: `${path}?token=${encodeURIComponent(secret)}`, headers: own },
    { path: `${path}?cursor=${encodeURIComponent(secret)}`, headers: own },
    { path: `${path}?limit=${encodeURIComponent(secret)}`, headers: own },
    { path: `/nothing?key=${encodeURIComponent(secret)}`, headers: own },
    { method: "PUT", path, headers: { ...own, "content-type": secret }, body: "{}" },
    { method: "POST", path, headers: { ...own, expect: secret }, body: {} },
    {
      method: "PUT",
      path: "/api/integrations/sentry",
      headers: { ...own, "if-match": secret },
      body: { credentials: {} },
    },
    { path: "/api/audit/verify?checkpoint=x", headers: { ...own, cookie: `key=${secret}` } },
  ];
  // What is written as a key is not shown in a path either. Of anything else there nobody can know that it is a secret.
  if (secret.startsWith("csk_")) {
    calls.push(
      { method: "DELETE", path: `/api/keys/${secret}`, headers: own },
      { method: "PATCH", path: `/api/keys/${secret}`, headers: own },
      { path: `/api/nothing/${secret}`, headers: own },
      { path: `/${secret}` },
    );
  }
  for (const call of calls) {
    const { status, body } = await client.send(call);
    expect(status, `${call.path.slice(0, 30)} ${body}`).toBeGreaterThanOrEqual(400);
  }
  await client.sendRaw(`GET / HTTP/1.1\r\nAuthorization: Bearer ${secret}\r\n\r\n`);
  await client.sendRaw(`${secret}\r\n\r\n`);
  await client.sendRaw(`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${secret.repeat(400)}\r\n\r\n`);
  await client.sendRaw(`GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization : ${secret}\r\n\r\n`);
}

/** A secret in bodies that can't be taken. */
async function inWrongBodies(client: Client, headers: Headers, secret: string): Promise<void> {
  const integration = { method: "PUT", path: "/api/integrations/sentry" };
  const text = JSON.stringify(secret);
  const calls: Call[] = [
    ...[
      secret,
      text,
      `{"credentials":{"token":${text}`,
      `{"credentials":{"token":${text},"token":${text}}}`,
      `{"credentials":{"token":${text.slice(0, -1)}}}`,
      { credentials: secret },
      { credentials: { token: [secret] } },
      { credentials: { token: secret.padEnd(70_000, "x") } },
      { credentials: { token: secret }, settings: secret },
    ].map((body) => ({ ...integration, body })),
    { method: "PUT", path: "/api/integrations/No%20Name", body: { credentials: { t: secret } } },
    {
      ...integration,
      body: { credentials: { t: secret } },
      headers: { "content-type": "text/plain" },
    },
    { method: "POST", path: "/api/keys", body: { name: 1, scopes: [secret] } },
    { method: "POST", path: "/api/keys", body: { name: "n", scopes: ["read"], expiresAt: secret } },
    { method: "POST", path: "/api/agents", body: { id: "a", status: secret } },
    { method: "POST", path: "/api/agents/a/action", body: { action: secret } },
    { method: "POST", path: "/api/audit", body: { actor: secret, action: secret } },
    { method: "POST", path: "/api/projects", body: { name: "n", repository: [secret] } },
    { method: "PUT", path: "/api/agents/a/memory/k", body: { value: secret, ttlMs: secret } },
    {
      method: "PUT",
      path: "/api/agents/a/repository",
      body: { repository: `https://user:${secret}@` },
    },
  ];
  for (const call of calls) {
    const { status, body } = await client.send({
      ...call,
      headers: { ...headers, ...call.headers },
    });
    expect(status, `${call.path} ${body}`).toBeGreaterThanOrEqual(400);
  }
}

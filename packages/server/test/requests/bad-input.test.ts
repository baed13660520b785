import { request } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { expectProblem } from "../support/expect.ts";
import { describeServed, freshId } from "../support/server.ts";

const json = { "content-type": "application/json" };

const notJson: readonly [name: string, body: string | Uint8Array][] = [
  ["no JSON", "value"],
  ["cut JSON", '{"value":'],
  ["a trailing comma", '{"value":1,}'],
  ["two values", '{"value":1}{}'],
  ["single quotes", "{'value':1}"],
  ["NaN", '{"value":NaN}'],
  ["a raw control character", '{"value":"\u0001"}'],
  ["a byte order mark", '\ufeff{"value":1}'],
  ["bytes that aren't UTF-8", Uint8Array.from([0x22, 0xff, 0x22])],
  ["an encoded surrogate", Uint8Array.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
  ["a member twice", '{"value":1,"value":2}'],
  ["a member twice, further down", '{"value":[{"a:b":1,"\\u0061:b":2}]}'],
  ["100,000 open brackets", "[".repeat(100_000)],
];

const wrongBodies: readonly unknown[] = [
  null,
  [],
  "text",
  7,
  {},
  { value: 1, extra: 1 },
  JSON.parse('{"value":1,"__proto__":{}}'),
  { value: 1, ttlMs: "5000" },
  { value: 1, ttlMs: 1.5 },
  { value: 1, ttlMs: 1e300 },
  { value: 1, ttlMs: null },
  { value: 1, expiresAt: 5 },
  { value: 1, record: "yes" },
];

describeServed("bad input", (server) => {
  const { call } = server;
  const path = () => `/api/agents/${freshId("agent")}/memory/k`;

  it.each(notJson)("refuses %s and keeps it to itself", async (_name, body) => {
    const at = path();
    const answer = await call({ method: "PUT", path: at, headers: json, body });
    const { detail } = expectProblem(answer, 400, "VALIDATION");
    expect(detail).toContain("JSON");
    expect((await call({ path: at })).status).toBe(404);
  });

  it.each([
    "9007199254740993",
    "-9007199254740993",
    "12345678901234567890",
    `[1, {"a": "1", "b":[12345678901234567890]}]`,
    "9".repeat(310),
  ])("refuses %s, which would be rounded", async (value) => {
    const at = path();
    const body = `{"value":${value}}`;
    const answer = await call({ method: "PUT", path: at, headers: json, body });
    const { detail } = expectProblem(answer, 400, "VALIDATION");
    const position = body.search(/[129]\d{15}/);
    expect(detail).toContain(`the integer at position ${position} has more digits than`);
    expect((await call({ path: at })).status).toBe(404);
  });

  it.each([
    "9007199254740991",
    "-9007199254740992",
    "9007199254740994",
    // 2^66, and how JavaScript writes it.
    "73786976294838206464",
    "73786976294838210000",
    "0.12345678901234567890",
    "1234567890123456789e3",
    '"12345678901234567890"',
  ])("takes %s", async (value) => {
    const at = path();
    const body = `{"value":${value}}`;
    expect((await call({ method: "PUT", path: at, headers: json, body })).status).toBe(201);
    const { json: entry } = await call({ path: at });
    expect(entry).toMatchObject({ value: JSON.parse(value) as unknown });
    expect(
      (
        await call({
          method: "PUT",
          path: at,
          body: { value: (entry as { value: unknown }).value },
        })
      ).status,
    ).toBe(200);
  });

  it.each(wrongBodies)("refuses the body %j", async (body) => {
    const at = path();
    const problem = expectProblem(
      await call({ method: "PUT", path: at, body: JSON.stringify(body), headers: json }),
      400,
      "VALIDATION",
    );
    expect(problem["errors"]).toEqual([
      expect.objectContaining({ path: expect.stringMatching(/^body/) }),
    ]);
    expect((await call({ path: at })).status).toBe(404);
  });

  it("never repeats in an error what the body held", async () => {
    const body = '{"value":"hunter2" oops}';
    const answer = await call({ method: "PUT", path: path(), headers: json, body });
    expect(answer.text).not.toContain("hunter2");
  });

  it.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonx",
    "nonsense",
  ])("refuses the content type %s", async (type) => {
    const headers = { "content-type": type };
    const answer = await call({ method: "PUT", path: path(), headers, body: '{"value":1}' });
    expectProblem(answer, 415, "UNSUPPORTED_MEDIA_TYPE");
  });

  it.each([
    { "content-encoding": "gzip" },
    { "content-encoding": "identity, br" },
    { "content-type": "application/json; charset=utf-16" },
    { "content-type": 'application/json; charset="latin1"' },
  ])("refuses the encoding %o, and does what it says no other way", async (extra) => {
    const at = path();
    const headers = { ...json, ...extra };
    const answer = await call({ method: "PUT", path: at, headers, body: '{"value":1}' });
    expectProblem(answer, 415, "UNSUPPORTED_MEDIA_TYPE");
    expect((await call({ path: at })).status).toBe(404);
  });

  it.each([
    { "content-encoding": "identity" },
    { "content-type": "application/json; charset=UTF-8" },
  ])("takes %o", async (extra) => {
    const headers = { ...json, ...extra };
    const answer = await call({ method: "PUT", path: path(), headers, body: '{"value":1}' });
    expect(answer.status).toBe(201);
  });

  it("refuses a missing body, and ignores an empty one where none is needed", async () => {
    const { detail } = expectProblem(
      await call({ method: "PUT", path: path() }),
      400,
      "VALIDATION",
    );
    expect(detail).toMatch(/^body: must be a JSON object, .*application\/json\.$/);
    expectProblem(
      await call({ method: "PUT", path: path(), headers: json, body: "" }),
      400,
      "VALIDATION",
    );
    const at = path();
    await call({ method: "PUT", path: at, body: { value: 1 } });
    expect((await call({ method: "DELETE", path: at, headers: json })).status).toBe(204);
  });

  it.each(["%00", "a%0Ab", "%7F", "%C2%85"])("refuses the control character in %s", async (key) => {
    const answer = await call({ path: `/api/agents/a/memory/${key}` });
    expectProblem(answer, 400, "VALIDATION");
  });

  it.each(["%ff", "%E0%80%80", "%ED%A0%80", "%", "%zz"])(
    "refuses the path escape %s",
    async (key) => {
      const answer = await call({ path: `/api/agents/a/memory/${key}` });
      expectProblem(answer, 400, "MALFORMED_REQUEST");
    },
  );

  describe.each(["%ff", "a%C3", "%E0%80%80", "%ED%A0%80", "100%", "%zz", "%u00e9"])(
    "refuses the query %s",
    (text) => {
      it.each([
        "/api/audit?actorId=",
        "/api/audit?limit=1&",
        "/api/audit/verify?trustedKey=",
        "/api/agents/a/memory?prefix=",
        "/api/events?after=",
      ])("of %s", async (at) => {
        const { detail } = expectProblem(
          await call({ path: `${at}${text}` }),
          400,
          "MALFORMED_REQUEST",
        );
        expect(detail).toMatch(/^The query isn't well-formed\./);
      });
    },
  );

  it.each([
    ["%C3%A9", "é"],
    ["%e2%82%ac%20%F0%9F%98%80", "€ 😀"],
    ["a+b%2Bc", "a b+c"],
    ["100%25", "100%"],
    ["x'(~)!*", "x'(~)!*"],
  ])("reads %s in a query", async (query, key) => {
    const agent = "/api/agents/queried/memory";
    const at = `${agent}/${encodeURIComponent(key)}`;
    expect((await call({ method: "PUT", path: at, body: { value: 1 } })).status).toBe(201);
    const { json: page } = await call({ path: `${agent}?prefix=${query}` });
    expect(page).toMatchObject({ items: [{ key }] });
  });

  it.each(["/docs/static/../../x", "/docs/static/%2e%2e/x", "/docs/static/a%00b"])(
    "says that the path is what is wrong with %s",
    async (at) => {
      const { detail } = expectProblem(await call({ path: at }), 400, "MALFORMED_REQUEST");
      expect(detail).toMatch(/path/);
      expect(detail).not.toContain("body");
    },
  );

  it("says where a member or parameter stands that it doesn't know", async () => {
    const put = await call({ method: "PUT", path: path(), body: { value: 1, extra: 1 } });
    const ofBody = { path: "body", message: 'Unrecognized key: "extra"' };
    expect(put.json).toMatchObject({ detail: `body: ${ofBody.message}.`, errors: [ofBody] });
    const ofQuery = { ...ofBody, path: "querystring" };
    const list = await call({ path: "/api/agents?extra=1" });
    expect(list.json).toMatchObject({
      detail: `querystring: ${ofBody.message}.`,
      errors: [ofQuery],
    });
  });

  it.each([
    ["GET", "/api/audit/verify?from=1"],
    ["GET", "/api/audit/0?x="],
    ["HEAD", "/api/agents/a/memory/k?x=1"],
    ["PUT", "/api/agents/a/memory/k?ttlMs=1000"],
    ["DELETE", "/api/agents/a?record=true"],
  ])("refuses the parameter, which nobody reads, of %s %s", async (method, at) => {
    const body = method === "PUT" ? { value: 1 } : undefined;
    const answer = await call({ method, path: at, ...(body && { body }) });
    expect(answer.status).toBe(400);
    if (method === "GET") expect(answer.text).toContain("querystring: Unrecognized key");
  });

  it.each(["/api/agents", "/api/agents/a/memory", "/api/agents/a/action", "/api/audit/0/redact"])(
    "refuses an Idempotency-Key, which nobody reads, on POST %s",
    async (at) => {
      const headers = { "idempotency-key": "once" };
      const answer = await call({ method: "POST", path: at, headers, body: {} });
      const { detail } = expectProblem(answer, 400, "VALIDATION");
      expect(detail).toContain("POST /api/audit, POST /api/audit/intents");
    },
  );

  it("lets health checks add parameters", async () => {
    for (const query of ["t=1", "t=%ff"])
      expect((await call({ path: `/livez?${query}` })).status).toBe(200);
  });

  it("refuses empty ids and keys", async () => {
    expect((await call({ path: "/api/agents/a/memory/" })).status).toBe(400);
    expect((await call({ path: "/api/agents//memory/k" })).status).toBe(400);
  });

  it("refuses an address or headers that are too long", async () => {
    const long = await call({ path: `/api/agents/a/memory/${"k".repeat(10_000)}` });
    expectProblem(long, 422, "LIMIT_EXCEEDED");
    const query = await call({ path: `/api/agents/a/memory?prefix=${"k".repeat(9000)}` });
    expectProblem(query, 414, "URI_TOO_LONG");
    const headers = { "x-padding": "x".repeat(20_000) };
    expect(await call({ path: "/health", headers })).toMatchObject({
      status: 431,
      json: { code: "HEADERS_TOO_LARGE" },
    });
  });

  it.each([
    ["this is not HTTP", "400 Bad Request", "MALFORMED_REQUEST"],
    ["FETCH /livez HTTP/1.1\r\nHost: localhost", "400 Bad Request", "MALFORMED_REQUEST"],
    ["PRI * HTTP/2.0\r\n\r\nSM", "400 Bad Request", "MALFORMED_REQUEST"],
    ["GET /livez HTTP/1.1", "400 Bad Request", "MALFORMED_REQUEST"],
    ["GET /livez HTTP/1.1\r\nHost:", "400 Bad Request", "MALFORMED_REQUEST"],
    ["GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: a", "400 Bad Request", "MALFORMED_REQUEST"],
    ["GET /livez HTTP/1.1\r\nHost: localhost\r\nX: \u0001", "400 Bad Request", "MALFORMED_REQUEST"],
    ["GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: x", "400 Bad Request", "MALFORMED_REQUEST"],
    ["GET /livez HTTP/1.1\r\nHost: a\r\nExpect: x", "417 Expectation Failed", "EXPECTATION_FAILED"],
    ["CONNECT a:80 HTTP/1.1\r\nHost: a:80", "405 Method Not Allowed", "METHOD_NOT_ALLOWED"],
  ])("answers %j with a problem, and goes on", async (head, status, code) => {
    const socket = connect(Number(new URL(server.origin).port), "127.0.0.1");
    socket.end(`${head}\r\n\r\n`);
    const answer = await text(socket);
    expect(answer).toContain(`HTTP/1.1 ${status}\r\n`);
    expect(answer).toMatch(/^content-type: application\/problem\+json\r$/im);
    expect(answer).toMatch(/^cache-control: no-store\r$/im);
    expect(answer).toMatch(/^x-content-type-options: nosniff\r$/im);
    const [, body = ""] = answer.split("\r\n\r\n");
    expect(JSON.parse(/\{.*\}/.exec(body)?.[0] ?? body)).toMatchObject({ code });
    expect((await call({ path: "/livez" })).status).toBe(200);
  });

  it("needs no Host in HTTP/1.0", async () => {
    const socket = connect(Number(new URL(server.origin).port), "127.0.0.1");
    socket.end("GET /livez HTTP/1.0\r\n\r\n");
    expect(await text(socket)).toContain("HTTP/1.1 200 OK\r\n");
  });

  it("survives bodies that are cut off", async () => {
    for (let i = 0; i < 20; i += 1) {
      const outgoing = request(server.origin, {
        method: "PUT",
        path: path(),
        headers: { ...json, "content-length": 1000 },
      });
      outgoing.on("error", () => undefined);
      outgoing.write('{"value":');
      await new Promise((resolve) => setTimeout(resolve, 2));
      outgoing.destroy();
    }
    expect((await call({ path: "/health" })).status).toBe(200);
  });
});

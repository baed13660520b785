import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Secret } from "@codespar/core";
import { afterEach, describe, expect, it } from "vitest";
import { type Call, callServer, download } from "../../src/store/http-client.ts";

let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

async function serving(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
}

const get: Call = { method: "GET", path: ["x"] };

describe("a call to the server", () => {
  it("carries segments, parameters and the organisation so that nothing of them changes", async () => {
    const url = await serving((request, response) => {
      const { authorization, "x-org-id": organisation } = request.headers;
      response.end(JSON.stringify([request.url, organisation, authorization]));
    });
    const { body } = await callServer(
      { url, orgId: "größe/%", token: new Secret("csk_token") },
      {
        method: "GET",
        path: ["a", ".", "..", "a/b?c#d", "%2e", "..."],
        query: { prefix: "a&b=ü", limit: 1, none: undefined, key: ["k+1", "k 2"] },
      },
    );
    expect(body).toEqual([
      "/a/%2E/%2E%2E/a%2Fb%3Fc%23d/%252e/...?prefix=a%26b%3D%C3%BC&limit=1&key=k%2B1&key=k+2",
      "gr%C3%B6%C3%9Fe%2F%25",
      "Bearer csk_token",
    ]);
  });

  it("turns problem details into the library's error", async () => {
    const url = await serving((_request, response) => {
      response.writeHead(412, { "content-type": "application/problem+json" });
      response.end(
        JSON.stringify({ code: "PRECONDITION_FAILED", detail: "what to do", currentVersion: "v1" }),
      );
    });
    await expect(callServer({ url }, get)).rejects.toMatchObject({
      code: "PRECONDITION_FAILED",
      message: "what to do",
      currentVersion: "v1",
    });
  });

  it.each([
    ["an unknown code", 429, '{"code":"RATE_LIMITED","detail":"wait a moment"}', /wait a/],
    ["no problem details", 502, '"bad gateway"', /status 502/],
    ["no body", 500, "", /status 500/],
    ["a redirect", 302, "", /status 302/],
    ["something else than JSON", 200, "<html>", /doesn't answer as it should/],
  ])("is UNAVAILABLE for %s", async (_what, status, body, message) => {
    const url = await serving((_request, response) => response.writeHead(status).end(body));
    await expect(callServer({ url }, get)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringMatching(message),
    });
  });

  it.each([
    [401, /^Set CODESPAR_API_KEY to a key that works here. what to do$/],
    [403, /^what to do$/],
  ])("takes a %i for a wrong key: the configuration's fault", async (status, message) => {
    const url = await serving((_request, response) =>
      response.writeHead(status).end('{"code":"UNAUTHENTICATED","detail":"what to do"}'),
    );
    await expect(callServer({ url }, get)).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringMatching(message),
    });
  });

  it("is UNAVAILABLE when nobody listens, or the server falls silent or breaks off", async () => {
    await expect(callServer({ url: "http://127.0.0.1:1" }, get)).rejects.toMatchObject({
      code: "UNAVAILABLE",
    });
    const silent = await serving(() => undefined);
    await expect(callServer({ url: silent }, { ...get, silenceMs: 50 })).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("silent"),
    });
    server?.close();
    const breaking = await serving((_request, response) => {
      response.writeHead(200, { "content-length": "10" }).write("{");
      setTimeout(() => response.destroy(), 20);
    });
    await expect(callServer({ url: breaking }, get)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("is ABORTED by its signal, with the outcome unknown for a write", async () => {
    const url = await serving(() => undefined);
    for (const method of ["GET", "PUT"] as const) {
      const controller = new AbortController();
      const call = callServer({ url }, { method, path: ["x"], signal: controller.signal });
      setTimeout(() => controller.abort(), 20);
      const message = method === "GET" ? /Nothing was changed/ : /Outcome unknown/;
      await expect(call).rejects.toMatchObject({
        code: "ABORTED",
        message: expect.stringMatching(message),
      });
    }
  });
});

describe("a download", () => {
  const text = async (content: AsyncIterable<Uint8Array>) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of content) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };

  it("gives headers and bytes as they come", async () => {
    const url = await serving((_request, response) => {
      response.writeHead(200, { "x-audit-checkpoint": "bm90ZQ==" }).write("first, ");
      setImmediate(() => response.end("second"));
    });
    const { headers, content } = await download({ url }, get);
    expect(headers["x-audit-checkpoint"]).toBe("bm90ZQ==");
    expect(await text(content)).toBe("first, second");
  });

  it("is the server's error when it is refused", async () => {
    const url = await serving((_request, response) =>
      response.writeHead(503).end('{"code":"ENCRYPTION_KEY_MISSING","detail":"set the key"}'),
    );
    await expect(download({ url }, get)).rejects.toMatchObject({
      code: "ENCRYPTION_KEY_MISSING",
      message: "set the key",
    });
  });

  it("that breaks off in the middle is UNAVAILABLE, never a shorter file", async () => {
    const url = await serving((_request, response) => {
      response.write("first, ");
      setImmediate(() => response.destroy());
    });
    const { content } = await download({ url }, get);
    await expect(text(content)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("ends with its signal", async () => {
    const url = await serving((_request, response) => void response.write("first, "));
    const controller = new AbortController();
    const { content } = await download({ url }, { ...get, signal: controller.signal });
    const reading = text(content);
    controller.abort();
    await expect(reading).rejects.toMatchObject({ code: "ABORTED" });
  });
});

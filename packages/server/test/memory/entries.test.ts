import { expect, it } from "vitest";
import { bodyOf, etagOf, expectProblem } from "../support/expect.ts";
import { describeServed, freshId } from "../support/server.ts";

describeServed("memory entries", ({ call }) => {
  it("creates, replaces, gives and deletes an entry", async () => {
    const path = `/api/agents/${freshId("agent")}/memory/greeting`;
    const created = await call({ method: "PUT", path, body: { value: { text: "hello" } } });
    expect(created.status).toBe(201);
    expect(created.json).toEqual({
      key: "greeting",
      version: expect.any(String),
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updatedAt: bodyOf(created)["createdAt"],
      expiresAt: null,
    });
    expect(etagOf(created)).toBe(`"${bodyOf(created)["version"]}"`);

    const replaced = await call({ method: "PUT", path, body: { value: [1, null] } });
    expect(replaced.status).toBe(200);
    expect(bodyOf(replaced)).toMatchObject({ createdAt: bodyOf(created)["createdAt"] });
    expect(bodyOf(replaced)["version"]).not.toBe(bodyOf(created)["version"]);

    const found = await call({ path });
    expect(found.status).toBe(200);
    expect(found.json).toEqual({ ...bodyOf(replaced), value: [1, null] });
    expect(etagOf(found)).toBe(etagOf(replaced));

    expect(await call({ method: "DELETE", path })).toMatchObject({ status: 204, text: "" });
    expectProblem(await call({ path }), 404, "NOT_FOUND");
    expectProblem(await call({ method: "DELETE", path }), 404, "NOT_FOUND");
  });

  it("tells a stored null from nothing", async () => {
    const path = `/api/agents/${freshId("agent")}/memory/null`;
    expectProblem(await call({ path }), 404, "NOT_FOUND");
    await call({ method: "PUT", path, body: { value: null } });
    expect((await call({ path })).json).toMatchObject({ value: null });
  });

  it("answers HEAD as GET without the body", async () => {
    const path = `/api/agents/${freshId("agent")}/memory/k`;
    const { headers } = await call({ method: "PUT", path, body: { value: 1 } });
    const head = await call({ method: "HEAD", path });
    expect(head).toMatchObject({ status: 200, text: "" });
    expect(head.headers["etag"]).toBe(headers["etag"]);
  });

  it("keeps the time to live of the latest write only", async () => {
    const path = `/api/agents/${freshId("agent")}/memory/k`;
    const before = Date.now();
    const { json } = await call({ method: "PUT", path, body: { value: 1, ttlMs: 60_000 } });
    const expiresAt = Date.parse(String((json as Record<string, unknown>)["expiresAt"]));
    expect(expiresAt).toBeGreaterThanOrEqual(before + 60_000);
    const at = new Date(Date.now() + 3_600_000).toISOString();
    expect(
      (await call({ method: "PUT", path, body: { value: 1, expiresAt: at } })).json,
    ).toMatchObject({ expiresAt: at });
    expect((await call({ method: "PUT", path, body: { value: 1 } })).json).toMatchObject({
      expiresAt: null,
    });
    const short = await call({ method: "PUT", path, body: { value: 1, ttlMs: 5 } });
    expect(expectProblem(short, 422, "LIMIT_EXCEEDED")["title"]).toBe("Limit exceeded");
    expectProblem(
      await call({ method: "PUT", path, body: { value: 1, ttlMs: 5000, expiresAt: at } }),
      400,
      "VALIDATION",
    );
    expectProblem(
      await call({ method: "PUT", path, body: { value: 1, expiresAt: "soon" } }),
      400,
      "VALIDATION",
    );
  });

  it("records a write and a delete where the caller asks for it", async () => {
    const agentId = freshId("agent");
    const path = `/api/agents/${agentId}/memory/k`;
    await call({ method: "PUT", path, body: { value: 1 } });
    await call({ method: "PUT", path, body: { value: "secret-value", record: true } });
    await call({ method: "DELETE", path: `${path}?record=true` });
    const { json, text } = await call({ path: `/api/audit?agentId=${agentId}&order=asc` });
    const items = (json as { items: { action: string; actor: object }[] }).items;
    expect(items.map(({ action }) => action)).toEqual(["memory.set", "memory.deleted"]);
    expect(items[0]?.actor).toEqual({ type: "system", id: "http" });
    expect(text).not.toContain("secret-value");
  });

  it("lists by prefix, in both directions, page by page", async () => {
    const base = `/api/agents/${freshId("agent")}/memory`;
    for (const key of ["a%3A1", "a%3A2", "a%3A3", "b%25"]) {
      await call({ method: "PUT", path: `${base}/${key}`, body: { value: key } });
    }
    const keys = async (query: string) => {
      const { json } = await call({ path: `${base}${query}` });
      const { items, nextCursor } = json as { items: { key: string }[]; nextCursor: string | null };
      return { keys: items.map(({ key }) => key), nextCursor };
    };
    expect(await keys("")).toEqual({ keys: ["a:1", "a:2", "a:3", "b%"], nextCursor: null });
    expect((await keys("?prefix=a%3A")).keys).toEqual(["a:1", "a:2", "a:3"]);
    expect((await keys("?prefix=%25")).keys).toEqual([]);
    expect((await keys("?reverse=true")).keys).toEqual(["b%", "a:3", "a:2", "a:1"]);
    const first = await keys("?limit=3");
    expect(first.keys).toEqual(["a:1", "a:2", "a:3"]);
    const cursor = encodeURIComponent(String(first.nextCursor));
    expect(await keys(`?limit=3&cursor=${cursor}`)).toEqual({ keys: ["b%"], nextCursor: null });
    const otherPrefix = await call({ path: `${base}?prefix=a&cursor=${cursor}` });
    expectProblem(otherPrefix, 400, "VALIDATION");
    expectProblem(await call({ path: `${base}?cursor=nonsense` }), 400, "VALIDATION");
    for (const query of ["?reverse=yes", "?unknown=1"]) {
      expectProblem(await call({ path: `${base}${query}` }), 400, "VALIDATION");
    }
  });

  it.each([
    ["0", 400, "VALIDATION", /whole number from 1 to 1000/],
    ["-1", 400, "VALIDATION", /whole number from 1 to 1000/],
    ["1001", 422, "LIMIT_EXCEEDED", /at most 1000, not 1001/],
    ["x", 400, "VALIDATION", /must be a whole number/],
    ["", 400, "VALIDATION", /must be a whole number/],
    ["1.5", 400, "VALIDATION", /must be a whole number/],
    ["0x10", 400, "VALIDATION", /must be a whole number/],
    ["1&limit=2", 400, "VALIDATION", /more than once/],
  ])("says what is wrong with ?limit=%s", async (limit, status, code, reason) => {
    for (const path of ["/api/agents/a/memory", "/api/agents", "/api/projects", "/api/audit"]) {
      const problem = expectProblem(await call({ path: `${path}?limit=${limit}` }), status, code);
      expect(problem["detail"]).toMatch(reason);
    }
  });

  it("refuses a number that JSON.parse makes infinite", async () => {
    const path = `/api/agents/${freshId("agent")}/memory/k`;
    const headers = { "content-type": "application/json" };
    const put = { method: "PUT", path, headers, body: '{"value":[1,-1e400]}' };
    const { detail } = expectProblem(await call(put), 400, "VALIDATION");
    expect(detail).toContain("Infinity");
    expectProblem(await call({ path }), 404, "NOT_FOUND");
  });
});

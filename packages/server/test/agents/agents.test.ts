import { expect, it } from "vitest";
import { bodyOf, etagOf, expectProblem } from "../support/expect.ts";
import { describeServed, freshId } from "../support/server.ts";

describeServed("agents", ({ call }) => {
  const create = (body: object) => call({ method: "POST", path: "/api/agents", body });
  const act = (id: string, body: object, headers: Record<string, string> = {}) =>
    call({ method: "POST", path: `/api/agents/${id}/action`, body, headers });

  it("registers an agent once", async () => {
    const id = freshId("agent/with slash");
    const created = await create({ id, type: "reviewer", autonomyLevel: 3, projectId: "p" });
    expect(created).toMatchObject({
      status: 201,
      headers: { location: `/api/agents/${encodeURIComponent(id)}` },
    });
    expect(created.json).toMatchObject({
      id,
      type: "reviewer",
      name: id,
      status: "idle",
      autonomyLevel: 3,
      registered: true,
    });
    expect((await call({ path: String(created.headers["location"]) })).json).toEqual(created.json);
    expectProblem(await create({ id }), 409, "ALREADY_EXISTS");
  });

  it("shows an agent known only by its memory, and registers it by an action", async () => {
    const id = freshId("agent");
    expectProblem(await call({ path: `/api/agents/${id}` }), 404, "NOT_FOUND");
    await call({ method: "PUT", path: `/api/agents/${id}/memory/k`, body: { value: 1 } });
    const known = await call({ path: `/api/agents/${id}` });
    expect(known.json).toMatchObject({ registered: false, version: null });
    expect(known.headers["etag"]).toBeUndefined();
    expect((await act(id, { action: "resume" })).json).toMatchObject({
      registered: false,
      status: "idle",
    });
    expect((await act(id, { action: "suspend" })).json).toMatchObject({
      registered: true,
      status: "suspended",
    });
  });

  it("suspends, resumes and restarts", async () => {
    const id = freshId("agent");
    await create({ id, status: "active" });
    const statusAfter = async (action: string) => bodyOf(await act(id, { action }))["status"];
    expect(await statusAfter("resume")).toBe("active");
    expect(await statusAfter("suspend")).toBe("suspended");
    expect(await statusAfter("suspend")).toBe("suspended");
    expect(await statusAfter("resume")).toBe("idle");
    expect(await statusAfter("restart")).toBe("idle");
    const broken = freshId("agent");
    await create({ id: broken, status: "error" });
    expect((await act(broken, { action: "resume" })).json).toMatchObject({ status: "error" });
    expect((await act(broken, { action: "restart", params: {} })).json).toMatchObject({
      status: "idle",
    });
  });

  it("sets the autonomy level within its range, and the trail says so", async () => {
    const id = freshId("agent");
    await create({ id });
    for (const level of [0, 5]) {
      const { json } = await act(id, { action: "set_autonomy", params: { level } });
      expect(json).toMatchObject({ autonomyLevel: level });
    }
    for (const level of [-1, 6, 1.5, "3", null]) {
      expectProblem(
        await act(id, { action: "set_autonomy", params: { level } }),
        400,
        "VALIDATION",
      );
    }
    expectProblem(await act(id, { action: "set_autonomy" }), 400, "VALIDATION");
    expectProblem(await act(id, { action: "explode" }), 400, "VALIDATION");
    const { json } = await call({ path: `/api/audit?agentId=${id}` });
    const actions = (json as { items: { action: string }[] }).items.map(({ action }) => action);
    expect(actions).toEqual([
      "agent.autonomy_changed",
      "agent.autonomy_changed",
      "agent.registered",
    ]);
  });

  it("acts under If-Match only on the version named", async () => {
    const id = freshId("agent");
    const etag = etagOf(await create({ id }));
    const first = await act(id, { action: "suspend" }, { "if-match": etag });
    expect(first.status).toBe(200);
    for (const action of ["suspend", "resume", "restart"]) {
      expectProblem(await act(id, { action }, { "if-match": etag }), 412, "PRECONDITION_FAILED");
    }
    expect((await act(id, { action: "resume" }, { "if-match": etagOf(first) })).json).toMatchObject(
      { status: "idle" },
    );
  });

  it("removes a registration and leaves the memory", async () => {
    const id = freshId("agent");
    const etag = etagOf(await create({ id }));
    await call({ method: "PUT", path: `/api/agents/${id}/memory/k`, body: { value: 1 } });
    const remove = (headers: Record<string, string> = {}) =>
      call({ method: "DELETE", path: `/api/agents/${id}`, headers });
    expectProblem(await remove({ "if-match": '"x"' }), 412, "PRECONDITION_FAILED");
    expect((await remove({ "if-match": etag })).status).toBe(204);
    expectProblem(await remove(), 404, "NOT_FOUND");
    expect((await call({ path: `/api/agents/${id}` })).json).toMatchObject({ registered: false });
    const unknown = freshId("nobody");
    for (const action of ["suspend", "resume", "restart"]) {
      const { detail } = expectProblem(await act(unknown, { action }), 404, "NOT_FOUND");
      expect(detail).toContain("POST /api/agents ");
    }
  });

  it("lists by status, page by page", async () => {
    const headers = { "x-org-id": freshId("org") };
    for (const id of ["c", "a", "b"]) {
      const status = id === "b" ? "active" : "suspended";
      await call({ method: "POST", path: "/api/agents", headers, body: { id, status } });
    }
    const list = async (query: string) => {
      const { json } = await call({ path: `/api/agents${query}`, headers });
      const { items, nextCursor } = json as { items: { id: string }[]; nextCursor: string | null };
      return { ids: items.map(({ id }) => id), nextCursor };
    };
    expect((await list("")).ids).toEqual(["a", "b", "c"]);
    expect((await list("?status=suspended&reverse=true")).ids).toEqual(["c", "a"]);
    const { ids, nextCursor } = await list("?limit=2");
    expect(ids).toEqual(["a", "b"]);
    expect(await list(`?limit=2&cursor=${encodeURIComponent(String(nextCursor))}`)).toEqual({
      ids: ["c"],
      nextCursor: null,
    });
    expectProblem(await call({ path: "/api/agents?status=asleep", headers }), 400, "VALIDATION");
  });
});

import { expect, it } from "vitest";
import { bodyOf, etagOf, expectProblem } from "../support/expect.ts";
import { describeServed, freshId } from "../support/server.ts";

describeServed("projects", ({ call }) => {
  const create = (body: object, headers: Record<string, string> = {}) =>
    call({ method: "POST", path: "/api/projects", body, headers });

  it("creates one project for one Idempotency-Key", async () => {
    const name = freshId("Once");
    const headers = { "idempotency-key": name };
    const first = await create({ name }, headers);
    const again = await create({ name }, headers);
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(again.json).toEqual(first.json);
    expect(again.headers["location"]).toBe(first.headers["location"]);
    const other = await create({ name: freshId("Once") }, { "idempotency-key": `${name}-2` });
    expect(bodyOf(other)["id"]).not.toBe(bodyOf(first)["id"]);
    // Without the key, or with a slug of another project, it is what it would be otherwise.
    expectProblem(await create({ name }), 409, "ALREADY_EXISTS");
    const clash = { "idempotency-key": `${name}-3` };
    expectProblem(await create({ name }, clash), 409, "ALREADY_EXISTS");
    expectProblem(await create({ id: "mine", name }, headers), 400, "VALIDATION");
  });

  it("creates, gives, changes and removes a project", async () => {
    const name = freshId("Project");
    const created = await create({ name, repository: "github/docs" });
    expect(created.status).toBe(201);
    const path = String(created.headers["location"]);
    expect(path).toBe(`/api/projects/${bodyOf(created)["id"]}`);
    expect(created.json).toMatchObject({
      name,
      slug: name.toLowerCase(),
      repository: "https://github.com/github/docs",
      agentId: null,
    });
    expect((await call({ path })).json).toEqual(created.json);

    const change = (body: object, headers: Record<string, string> = {}) =>
      call({ method: "PATCH", path, body, headers });
    const renamed = await change(
      { name: "Another", agentId: "a" },
      { "if-match": etagOf(created) },
    );
    expect(renamed.json).toMatchObject({ name: "Another", agentId: "a", slug: name.toLowerCase() });
    expectProblem(
      await change({ name: "Third" }, { "if-match": etagOf(created) }),
      412,
      "PRECONDITION_FAILED",
    );
    expect((await change({ repository: null })).json).toMatchObject({
      repository: null,
      agentId: "a",
    });
    expect((await call({ path, headers: { "if-none-match": etagOf(created) } })).status).toBe(200);

    expectProblem(
      await call({ method: "DELETE", path, headers: { "if-match": etagOf(created) } }),
      412,
      "PRECONDITION_FAILED",
    );
    expect((await call({ method: "DELETE", path })).status).toBe(204);
    expectProblem(await call({ method: "DELETE", path }), 404, "NOT_FOUND");
    expectProblem(await call({ path }), 404, "NOT_FOUND");
    expectProblem(await change({ name: "x" }), 404, "NOT_FOUND");
    expectProblem(await change({ name: "x" }, { "if-none-match": "*" }), 404, "NOT_FOUND");
  });

  it("keeps ids and slugs unique in an organisation", async () => {
    const [id, slug] = [freshId("id"), freshId("slug")];
    await create({ id, slug, name: "First" });
    expectProblem(await create({ id, name: freshId("name") }), 409, "ALREADY_EXISTS");
    expectProblem(await create({ slug, name: "Second" }), 409, "ALREADY_EXISTS");
    const other = { "x-org-id": freshId("org") };
    expect((await create({ id, slug, name: "First" }, other)).status).toBe(201);
    const racing = freshId("race");
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => create({ slug: racing, name: "x" })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([
      201,
      ...Array.from({ length: 7 }, () => 409),
    ]);
  });

  it("refuses what isn't a project", async () => {
    for (const body of [
      {},
      { name: "" },
      { name: 1 },
      { name: "x", slug: "Not A Slug" },
      { name: "x", owner: "me" },
      [],
      "x",
    ]) {
      expectProblem(await create(body as object), 400, "VALIDATION");
    }
  });

  it("lists page by page", async () => {
    const headers = { "x-org-id": freshId("org") };
    for (const id of ["b", "a", "c"]) await create({ id, name: id }, headers);
    const { json } = await call({ path: "/api/projects?limit=2", headers });
    const { items, nextCursor } = json as { items: { id: string }[]; nextCursor: string };
    expect(items.map(({ id }) => id)).toEqual(["a", "b"]);
    const rest = await call({
      path: `/api/projects?limit=2&cursor=${encodeURIComponent(nextCursor)}`,
      headers,
    });
    expect(rest.json).toMatchObject({ items: [{ id: "c" }], nextCursor: null });
    const elsewhere = await call({
      path: `/api/projects?cursor=${encodeURIComponent(nextCursor)}`,
    });
    expectProblem(elsewhere, 400, "VALIDATION");
  });
});

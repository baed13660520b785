import { expect, it } from "vitest";
import { bodyOf, etagOf, expectProblem } from "../support/expect.ts";
import { describeServed, freshId } from "../support/server.ts";

describeServed("the linked repository", ({ call }) => {
  it("is linked once, changed, and unlinked", async () => {
    const path = `/api/agents/${freshId("agent")}/repository`;
    expectProblem(await call({ path }), 404, "NOT_FOUND");
    const linked = await call({
      method: "PUT",
      path,
      body: { repository: "git@gitlab.com:group/sub/name.git" },
    });
    expect(linked.status).toBe(201);
    expect(linked.json).toMatchObject({
      repositoryUrl: "https://gitlab.com/group/sub/name",
      owner: "group/sub",
      name: "name",
      defaultBranch: "main",
      webhookConfigured: false,
      linkedBy: "http",
    });
    expectProblem(
      await call({ method: "PUT", path, body: { repository: "a/b" } }),
      409,
      "ALREADY_EXISTS",
    );
    const ifNone = { "if-none-match": "*" };
    expectProblem(
      await call({ method: "PUT", path, headers: ifNone, body: { repository: "a/b" } }),
      412,
      "PRECONDITION_FAILED",
    );
    const change = (headers: Record<string, string>, body: object) =>
      call({ method: "PATCH", path, headers, body });
    const changed = await change(
      { "if-match": etagOf(linked) },
      { webhookConfigured: true, webhookId: "42" },
    );
    expect(changed.json).toMatchObject({
      webhookConfigured: true,
      webhookId: "42",
      defaultBranch: "main",
    });
    expectProblem(
      await change({ "if-match": etagOf(linked) }, { defaultBranch: "dev" }),
      412,
      "PRECONDITION_FAILED",
    );
    expectProblem(await change({}, { repository: "a/b" }), 400, "VALIDATION");
    const etag = etagOf(await call({ path }));
    expect(etag).toBe(etagOf(changed));
    expect((await call({ path, headers: { "if-none-match": etag } })).status).toBe(304);
    expect((await call({ method: "DELETE", path, headers: { "if-match": etag } })).status).toBe(
      204,
    );
    expectProblem(await call({ method: "DELETE", path }), 404, "NOT_FOUND");
    expectProblem(await change({}, { defaultBranch: "dev" }), 404, "NOT_FOUND");
  });

  it("links under If-Match nothing, and says which condition it was", async () => {
    const path = `/api/agents/${freshId("agent")}/repository`;
    const put = (etag: string) =>
      call({ method: "PUT", path, headers: { "if-match": etag }, body: { repository: "a/b" } });
    expectProblem(await put('"x"'), 412, "PRECONDITION_FAILED");
    expectProblem(await put("*"), 412, "PRECONDITION_FAILED");
    const etag = etagOf(await call({ method: "PUT", path, body: { repository: "a/b" } }));
    expectProblem(await put('"x"'), 412, "PRECONDITION_FAILED");
    expectProblem(await put(etag), 409, "ALREADY_EXISTS");
    expectProblem(await put("*"), 409, "ALREADY_EXISTS");
  });

  it("never keeps a password that stood in the URL", async () => {
    const path = `/api/agents/${freshId("agent")}/repository`;
    const repository = "https://user:hunter2@github.com/o/n";
    const { text } = await call({ method: "PUT", path, body: { repository } });
    expect(text).not.toContain("hunter2");
  });

  it.each(["", "nothing", "https://example.com/a/b", "a/b/c", "../..", 7, null])(
    "refuses %j",
    async (repository) => {
      const path = `/api/agents/${freshId("agent")}/repository`;
      expectProblem(await call({ method: "PUT", path, body: { repository } }), 400, "VALIDATION");
      expect(bodyOf(await call({ path }))["code"]).toBe("NOT_FOUND");
    },
  );
});

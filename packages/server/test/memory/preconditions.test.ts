import { expect, it } from "vitest";
import { etagOf, expectProblem } from "../support/expect.ts";
import { describeServed, freshId } from "../support/server.ts";

describeServed("preconditions", ({ call }) => {
  const entry = async () => {
    const path = `/api/agents/${freshId("agent")}/memory/k`;
    const etag = etagOf(await call({ method: "PUT", path, body: { value: 0 } }));
    const put = (headers: Record<string, string>, value: unknown = 1) =>
      call({ method: "PUT", path, headers, body: { value } });
    return { path, etag, put };
  };

  it("writes under If-Match only to the version named", async () => {
    const { etag, put } = await entry();
    const second = await put({ "if-match": etag });
    expect(second.status).toBe(200);
    const problem = expectProblem(await put({ "if-match": etag }), 412, "PRECONDITION_FAILED");
    expect(problem["currentVersion"]).toBe(etagOf(second).slice(1, -1));
    expect(problem["retryable"]).toBe(false);
  });

  it("takes lists, and never a weak tag for a strong one", async () => {
    const { etag, put } = await entry();
    expectProblem(await put({ "if-match": `W/${etag}` }), 412, "PRECONDITION_FAILED");
    expectProblem(await put({ "if-match": '"a", "b"' }), 412, "PRECONDITION_FAILED");
    expect((await put({ "if-match": `"other" ,, W/"x",${etag}` })).status).toBe(200);
  });

  it("takes * for any version, and none for none", async () => {
    const { path, put } = await entry();
    expect((await put({ "if-match": "*" })).status).toBe(200);
    expectProblem(await put({ "if-none-match": "*" }), 412, "PRECONDITION_FAILED");
    await call({ method: "DELETE", path });
    const problem = expectProblem(await put({ "if-match": "*" }), 412, "PRECONDITION_FAILED");
    expect(problem["currentVersion"]).toBeNull();
    expectProblem(await put({ "if-match": '"gone"' }), 412, "PRECONDITION_FAILED");
    expect((await put({ "if-none-match": "*" })).status).toBe(201);
  });

  it("writes under If-None-Match unless the version is one of those named, weak or not", async () => {
    const { etag, put } = await entry();
    expectProblem(await put({ "if-none-match": etag }), 412, "PRECONDITION_FAILED");
    expectProblem(await put({ "if-none-match": `"x", W/${etag}` }), 412, "PRECONDITION_FAILED");
    expect((await put({ "if-none-match": '"x"', "if-match": etag })).status).toBe(200);
  });

  it("deletes under If-Match only the version named", async () => {
    const { path, etag } = await entry();
    const remove = (headers: Record<string, string>) => call({ method: "DELETE", path, headers });
    expectProblem(await remove({ "if-match": '"other"' }), 412, "PRECONDITION_FAILED");
    expectProblem(await remove({ "if-none-match": "*" }), 412, "PRECONDITION_FAILED");
    expect((await remove({ "if-match": `${etag}, "other"` })).status).toBe(204);
    expectProblem(await remove({ "if-match": etag }), 412, "PRECONDITION_FAILED");
    expectProblem(await remove({ "if-match": "*" }), 412, "PRECONDITION_FAILED");
    expectProblem(await remove({ "if-none-match": "*" }), 404, "NOT_FOUND");
  });

  it("answers a read with 304 where the caller has the version", async () => {
    const { path, etag } = await entry();
    const get = (headers: Record<string, string>) => call({ path, headers });
    for (const tags of [etag, `W/${etag}`, `"x", ${etag}`, "*"]) {
      const answer = await get({ "if-none-match": tags });
      expect(answer).toMatchObject({ status: 304, text: "" });
      expect(etagOf(answer)).toBe(etag);
    }
    expect((await get({ "if-none-match": '"x"' })).status).toBe(200);
    expect((await get({ "if-match": etag })).status).toBe(200);
    expectProblem(await get({ "if-match": '"x"' }), 412, "PRECONDITION_FAILED");
  });

  it.each(["abc", '"abc', '"a" "b"', '*, "a"', '"a"b', "", " , "])(
    "refuses the header %j",
    async (header) => {
      const { path, put } = await entry();
      for (const name of ["if-match", "if-none-match"]) {
        expectProblem(await put({ [name]: header }), 400, "VALIDATION");
        expectProblem(await call({ path, headers: { [name]: header } }), 400, "VALIDATION");
      }
    },
  );

  it("loses none of 32 parallel increments", async () => {
    const { path } = await entry();
    const increment = async (): Promise<void> => {
      const found = await call({ path });
      const { value } = found.json as { value: number };
      const headers = { "if-match": etagOf(found) };
      const { status } = await call({ method: "PUT", path, headers, body: { value: value + 1 } });
      if (status !== 200) await increment();
    };
    await Promise.all(Array.from({ length: 32 }, increment));
    expect((await call({ path })).json).toMatchObject({ value: 32 });
  });

  it("lets exactly one of 16 parallel creations win", async () => {
    const path = `/api/agents/${freshId("agent")}/memory/k`;
    const create = () =>
      call({ method: "PUT", path, headers: { "if-none-match": "*" }, body: { value: 1 } });
    const statuses = (await Promise.all(Array.from({ length: 16 }, create))).map(
      ({ status }) => status,
    );
    expect(statuses.sort()).toEqual([201, ...Array.from({ length: 15 }, () => 412)]);
  });

  it("loses none of 8 parallel writes that name any version", async () => {
    const { path, put } = await entry();
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, i) => put({ "if-match": "*" }, i)),
    );
    const versions = answers.filter(({ status }) => status === 200).map(etagOf);
    const refused = answers.filter(({ status }) => status !== 200);
    for (const answer of refused) expectProblem(answer, 409, "CONFLICT");
    expect(new Set(versions).size).toBe(versions.length);
    expect(versions).toContain(etagOf(await call({ path })));
  });
});

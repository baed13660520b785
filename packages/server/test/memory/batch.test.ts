import { expect, it } from "vitest";
import { expectProblem } from "../support/expect.ts";
import { describeServed, freshId } from "../support/server.ts";

describeServed("the memory batch", ({ call }) => {
  const batchOf =
    (agentId: string) =>
    (operations: unknown, more: object = {}) =>
      call({
        method: "POST",
        path: `/api/agents/${agentId}/memory`,
        body: { operations, ...more },
      });
  const keysOf = async (agentId: string) => {
    const { json } = await call({ path: `/api/agents/${agentId}/memory` });
    return (json as { items: { key: string }[] }).items.map(({ key }) => key);
  };

  it("runs operations in order, and reads what it wrote", async () => {
    const batch = batchOf(freshId("agent"));
    const { status, json } = await batch([
      { op: "get", key: "a" },
      { op: "set", key: "a", value: { n: 1 } },
      { op: "get", key: "a" },
      { op: "get", key: "b" },
      { op: "delete", key: "b" },
      { op: "set", key: "c", value: null, ttlMs: 5000 },
    ]);
    expect(status).toBe(200);
    const { results } = json as { results: { version?: string }[] };
    expect(results).toMatchObject([
      { op: "get", key: "a", entry: null },
      { op: "set", key: "a", version: expect.any(String) },
      { op: "get", key: "a", entry: { value: { n: 1 }, version: results[1]?.version } },
      { op: "get", key: "b", entry: null },
      { op: "delete", key: "b", existed: false },
      { op: "set", key: "c", version: expect.any(String) },
    ]);
    const gets = await batch([
      { op: "get", key: "c" },
      { op: "get", key: "a" },
      { op: "get", key: "c" },
    ]);
    expect(gets.json).toMatchObject({
      results: [
        { entry: { value: null } },
        { entry: { value: { n: 1 } } },
        { entry: { key: "c" } },
      ],
    });
  });

  it("writes nothing when one precondition fails", async () => {
    const agentId = freshId("agent");
    const batch = batchOf(agentId);
    await batch([{ op: "set", key: "there", value: 1 }]);
    const answer = await batch([
      { op: "set", key: "new", value: 1 },
      { op: "delete", key: "there" },
      { op: "set", key: "there", value: 2, ifAbsent: true },
    ]);
    expect(answer.status, answer.text).toBe(200);
    const failed = await batch([
      { op: "set", key: "lost", value: 1 },
      { op: "set", key: "there", value: 3, ifVersion: "never" },
    ]);
    expectProblem(failed, 412, "PRECONDITION_FAILED");
    expect(await keysOf(agentId)).toEqual(["new", "there"]);
  });

  it("writes nothing when one operation is not acceptable", async () => {
    const agentId = freshId("agent");
    const batch = batchOf(agentId);
    const good = { op: "set", key: "good", value: 1 };
    expectProblem(await batch([good, { op: "set", key: "", value: 1 }]), 400, "VALIDATION");
    expectProblem(await batch([good, { op: "set", key: "nul\0", value: 1 }]), 400, "VALIDATION");
    expectProblem(
      await batch([good, { op: "set", key: "big", value: "x".repeat(300_000) }]),
      422,
      "LIMIT_EXCEEDED",
    );
    expectProblem(await batch([good, { op: "set", key: "k" }]), 400, "VALIDATION");
    expectProblem(await batch([good, { op: "increment", key: "k" }]), 400, "VALIDATION");
    expectProblem(await batch([good, { op: "get", key: "k", value: 1 }]), 400, "VALIDATION");
    expectProblem(await batch([]), 400, "VALIDATION");
    expectProblem(await batch("get"), 400, "VALIDATION");
    expectProblem(await batch(Array.from({ length: 129 }, () => good)), 400, "VALIDATION");
    expect(await keysOf(agentId)).toEqual([]);
  });

  it("takes as much as a transaction holds, and no more", async () => {
    const agentId = freshId("agent");
    const batch = batchOf(agentId);
    const large = (count: number) =>
      Array.from({ length: count }, (_, i) => ({
        op: "set",
        key: `k${i}`,
        value: "x".repeat(250_000),
      }));
    expectProblem(await batch(large(17)), 422, "LIMIT_EXCEEDED");
    expect((await batch(large(16))).status).toBe(200);
    expect(await keysOf(agentId)).toHaveLength(16);
  });

  it("records each change where the caller asks for it", async () => {
    const agentId = freshId("agent");
    await batchOf(agentId)(
      [
        { op: "set", key: "a", value: 1 },
        { op: "set", key: "b", value: 1 },
      ],
      { record: true },
    );
    const { json } = await call({ path: `/api/audit?agentId=${agentId}` });
    expect((json as { items: unknown[] }).items).toHaveLength(2);
  });

  it("transfers between two keys without losing any of it under contention", async () => {
    const agentId = freshId("agent");
    const batch = batchOf(agentId);
    await batch([
      { op: "set", key: "from", value: 20 },
      { op: "set", key: "to", value: 0 },
    ]);
    const transfer = async (): Promise<void> => {
      const { json } = await batch([
        { op: "get", key: "from" },
        { op: "get", key: "to" },
      ]);
      const [from, to] = (json as { results: { entry: { value: number; version: string } }[] })
        .results;
      if (from === undefined || to === undefined) throw new Error("nothing there");
      const { status } = await batch([
        { op: "set", key: "from", value: from.entry.value - 1, ifVersion: from.entry.version },
        { op: "set", key: "to", value: to.entry.value + 1, ifVersion: to.entry.version },
      ]);
      if (status !== 200) await transfer();
    };
    await Promise.all(Array.from({ length: 12 }, transfer));
    const { json } = await batch([
      { op: "get", key: "from" },
      { op: "get", key: "to" },
    ]);
    expect(json).toMatchObject({ results: [{ entry: { value: 8 } }, { entry: { value: 12 } }] });
  });
});

import { expect, it } from "vitest";
import { bodyOf, expectProblem } from "../support/expect.ts";
import { describeServed, freshId } from "../support/server.ts";

const entry = { actor: { type: "user", id: "u-1" }, action: "deploy.started", outcome: "success" };

describeServed("the audit trail", ({ call }) => {
  const appendTo =
    (org: string) =>
    (body: object, headers: Record<string, string | string[]> = {}) =>
      call({ method: "POST", path: "/api/audit", headers: { "x-org-id": org, ...headers }, body });

  it("seals entries one after the other, and gives them by position", async () => {
    const org = freshId("org");
    const append = appendTo(org);
    const headers = { "x-org-id": org };
    const first = await append({
      ...entry,
      target: { type: "service", id: "api" },
      agent: { id: "a", run: "r", model: "m" },
      project: "p",
      risk: "high",
      correlationId: "c",
      occurredAt: "2026-01-02T03:04:05+01:00",
      details: { "\u0000": ["\ud800", null] },
    });
    expect(first).toMatchObject({ status: 201, headers: { location: "/api/audit/0" } });
    expect(first.json).toMatchObject({
      seq: 0,
      prev: "0".repeat(64),
      target: { type: "service", id: "api" },
      agent: { id: "a", run: "r", model: "m" },
      risk: "high",
      occurredAt: "2026-01-02T02:04:05.000Z",
      details: { "\u0000": ["\ud800", null] },
    });
    const second = await append(entry);
    expect(second.json).toMatchObject({
      seq: 1,
      prev: bodyOf(first)["hash"],
      details: null,
      target: null,
    });
    expect((await call({ path: "/api/audit/0", headers })).json).toEqual(first.json);
    expectProblem(await call({ path: "/api/audit/2", headers }), 404, "NOT_FOUND");
    expectProblem(await call({ path: "/api/audit/9999999999999999", headers }), 404, "NOT_FOUND");
    const verified = await call({ path: "/api/audit/verify", headers });
    expect(verified.json).toMatchObject({
      verdict: "unanchored",
      size: 2,
      head: bodyOf(second)["hash"],
      firstFailure: null,
    });
  });

  it.each(["x", "-1", "1.5", "01", "1e3", "99999999999999999999"])(
    "refuses the position %s",
    async (seq) => {
      expectProblem(await call({ path: `/api/audit/${seq}` }), 400, "VALIDATION");
    },
  );

  it("filters, and pages in both directions", async () => {
    const org = freshId("org");
    const append = appendTo(org);
    for (const [action, outcome] of [
      ["deploy.started", "success"],
      ["deploy.ended", "failure"],
      ["login", "denied"],
    ]) {
      await append({ ...entry, action, outcome });
    }
    const list = async (query: string) => {
      const answer = await call({ path: `/api/audit${query}`, headers: { "x-org-id": org } });
      const { items, nextCursor } = answer.json as {
        items: { seq: number }[];
        nextCursor: string | null;
      };
      return { seqs: items.map(({ seq }) => seq), nextCursor };
    };
    expect((await list("")).seqs).toEqual([2, 1, 0]);
    expect((await list("?order=asc")).seqs).toEqual([0, 1, 2]);
    expect((await list("?action=deploy.*")).seqs).toEqual([1, 0]);
    expect((await list("?outcome=denied")).seqs).toEqual([2]);
    expect((await list("?actorType=user&actorId=u-1&limit=1000")).seqs).toHaveLength(3);
    expect((await list("?actorId=someone-else")).seqs).toEqual([]);
    expect((await list("?from=2100-01-01T00:00:00Z")).seqs).toEqual([]);
    const { seqs, nextCursor } = await list("?limit=2");
    expect(seqs).toEqual([2, 1]);
    const cursor = encodeURIComponent(String(nextCursor));
    expect(await list(`?limit=2&cursor=${cursor}`)).toEqual({ seqs: [0], nextCursor: null });
    for (const query of [
      "?from=yesterday",
      "?outcome=maybe",
      "?order=up",
      `?order=asc&cursor=${cursor}`,
    ]) {
      expectProblem(
        await call({ path: `/api/audit${query}`, headers: { "x-org-id": org } }),
        400,
        "VALIDATION",
      );
    }
  });

  it("seals a repeated request once, by id or by Idempotency-Key", async () => {
    const org = freshId("org");
    const append = appendTo(org);
    const id = "0190b3f4-7c1a-7abc-8def-0123456789ab";
    const byId = await append({ ...entry, id });
    expect((await append({ ...entry, id: id.toUpperCase() })).json).toEqual(byId.json);
    const reused = await append({ ...entry, id, action: "other" });
    expect(expectProblem(reused, 409, "ALREADY_EXISTS")["detail"]).toMatch(/: use a new id\.$/);

    const keyed = (body: object, key: string | string[] = "retry-1") =>
      append(body, { "idempotency-key": key });
    const answers = await Promise.all(Array.from({ length: 8 }, () => keyed(entry)));
    for (const answer of answers)
      expect(answer).toMatchObject({ status: 201, text: answers[0]?.text });
    expect((await keyed(entry, '"retry-1"')).text).toBe(answers[0]?.text);
    expect(bodyOf(await keyed(entry, "retry-2"))["seq"]).toBe(2);
    const other = await keyed({ ...entry, outcome: "failure" });
    expect(expectProblem(other, 409, "ALREADY_EXISTS")["detail"]).toMatch(/: use a new key\.$/);
    expectProblem(await keyed({ ...entry, id }), 400, "VALIDATION");
    for (const key of ["", '""', "x".repeat(256), "n\u00f6"])
      expectProblem(await keyed(entry, key), 400, "VALIDATION");
    expectProblem(await keyed(entry, ["retry-1", "retry-1"]), 400, "VALIDATION");
    const elsewhere = await appendTo(freshId("org"))(entry, { "idempotency-key": "retry-1" });
    expect(elsewhere.json).toMatchObject({ seq: 0 });
    expect(bodyOf(elsewhere)["id"]).not.toBe(answers[0] && bodyOf(answers[0])["id"]);
  });

  it("appends in parallel without a gap or a fork", async () => {
    const org = freshId("org");
    const append = appendTo(org);
    const answers = await Promise.all(
      Array.from({ length: 64 }, (_, i) => append({ ...entry, details: i })),
    );
    const seqs = answers.map((answer) => Number(bodyOf(answer)["seq"]));
    expect(seqs.sort((a, b) => a - b)).toEqual(Array.from({ length: 64 }, (_, i) => i));
    const verified = await call({ path: "/api/audit/verify", headers: { "x-org-id": org } });
    expect(verified.json).toMatchObject({
      verdict: "unanchored",
      size: 64,
      checks: { content: 64, link: 64, parts: 64 },
    });
  });

  it("refuses what isn't an entry, and seals nothing", async () => {
    const org = freshId("org");
    const append = appendTo(org);
    for (const body of [
      {},
      { ...entry, actor: undefined },
      { ...entry, outcome: "maybe" },
      { ...entry, action: "Not Dotted" },
      { ...entry, actor: { type: "robot", id: "x" } },
      { ...entry, actor: { type: "user", id: "" } },
      { ...entry, actor: { type: "user", id: "x", email: "x" } },
      { ...entry, id: "not-a-uuid" },
      { ...entry, occurredAt: "yesterday" },
      { ...entry, seq: 3 },
    ]) {
      expectProblem(await append(body), 400, "VALIDATION");
    }
    expectProblem(await append({ ...entry, details: "x".repeat(70_000) }), 422, "LIMIT_EXCEEDED");
    expectProblem(await append({ ...entry, details: "x".repeat(600_000) }), 413, "LIMIT_EXCEEDED");
    const { json } = await call({ path: "/api/audit/verify", headers: { "x-org-id": org } });
    expect(json).toMatchObject({ size: 0, log: null });
  });
});

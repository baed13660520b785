import { createHash } from "node:crypto";
import { deploymentOrgId } from "@codespar/core";
import { expect, it } from "vitest";
import { bodyOf, expectProblem } from "../support/expect.ts";
import { describeServed, freshId } from "../support/server.ts";

describeServed("/api/orgs", (server) => {
  const call = (path: string, method = "GET") => server.call({ path, method });

  it("lists organisations, and tells what each holds", async () => {
    const [a, b] = [freshId("org"), `${freshId("org")}/é`];
    await server.storage.forOrg(a).memory.set("agent", "key", 1, { record: true });
    await server.storage.forOrg(b).memory.set("agent", "key", 1);
    const ids: unknown[] = [];
    let query = "limit=1";
    for (;;) {
      const page = bodyOf(await call(`/api/orgs?${query}`));
      const items = page["items"] as { orgId: string }[];
      expect(items).toHaveLength(1);
      ids.push(...items.map(({ orgId }) => orgId));
      if (page["nextCursor"] === null) break;
      query = `limit=1&cursor=${String(page["nextCursor"])}`;
    }
    expect(ids).toEqual(expect.arrayContaining([a, b]));
    // Its own trail tells that it was asked, and is nobody's organisation.
    expect(ids).not.toContain(deploymentOrgId);
    expect(bodyOf(await call(`/api/orgs/${a}`))).toEqual({
      orgId: a,
      tables: { agent_memory: 1, audit_log: 1 },
      rows: 2,
    });
    expect(bodyOf(await call(`/api/orgs/${encodeURIComponent(b)}`))).toMatchObject({ rows: 1 });
    expectProblem(await call("/api/orgs/nobody"), 404, "NOT_FOUND");
    expectProblem(await call("/api/orgs?limit=0"), 400, "VALIDATION");
    expectProblem(await call("/api/orgs", "DELETE"), 405, "METHOD_NOT_ALLOWED");
  });

  it("exports one as an archive that vouches for itself", async () => {
    const orgId = freshId("org");
    const storage = server.storage.forOrg(orgId);
    await storage.memory.set("agent", "key", "x".repeat(100_000));
    const answer = await call(`/api/orgs/${orgId}/export`);
    expect(answer.status).toBe(200);
    expect(answer.headers["content-type"]).toBe("application/jsonl");
    expect(answer.headers["content-disposition"]).toContain("attachment");
    const lines = answer.text.trimEnd().split("\n");
    const closing = JSON.parse(lines.pop() ?? "") as Record<string, unknown>;
    const before = createHash("sha256")
      .update(`${lines.join("\n")}\n`)
      .digest("hex");
    expect(closing).toMatchObject({ end: true, counts: { agent_memory: 1 }, sha256: before });
    const { items } = await storage.audit.list();
    expect(items.map(({ action }) => action)).toEqual(["organisation.exported"]);
    expectProblem(await call("/api/orgs/nobody/export"), 404, "NOT_FOUND");
    expect((await call(`/api/orgs/${orgId}/export`, "HEAD")).status).toBe(405);
    expect((await storage.audit.list()).items).toHaveLength(1);
  });

  it("erases one whose id is confirmed, and nothing else", async () => {
    const [orgId, other] = [freshId("org"), freshId("org")];
    await server.storage.forOrg(orgId).memory.set("agent", "key", 1, { record: true });
    await server.storage.forOrg(other).memory.set("agent", "key", 1, { record: true });
    for (const query of [
      "",
      "?confirm=",
      `?confirm=${other}`,
      `?confirm=${orgId}&confirm=${orgId}`,
    ])
      expectProblem(await call(`/api/orgs/${orgId}${query}`, "DELETE"), 400, "VALIDATION");
    const erased = await call(`/api/orgs/${orgId}?confirm=${orgId}`, "DELETE");
    expect(erased.status).toBe(200);
    expect(bodyOf(erased)).toMatchObject({ orgId, resumed: false });
    expect(bodyOf(erased)["removed"]).toEqual(
      expect.arrayContaining([
        { table: "agent_memory", rows: 1 },
        { table: "audit_log", rows: 1 },
      ]),
    );
    expectProblem(await call(`/api/orgs/${orgId}`), 404, "NOT_FOUND");
    expectProblem(await call(`/api/orgs/${orgId}?confirm=${orgId}`, "DELETE"), 404, "NOT_FOUND");
    expect(await server.storage.forOrg(other).memory.get("agent", "key")).toBe(1);
    const own = encodeURIComponent(deploymentOrgId);
    expectProblem(await call(`/api/orgs/${own}?confirm=${own}`, "DELETE"), 501, "UNSUPPORTED");
    const { items } = await server.storage.forOrg(deploymentOrgId).audit.list({
      action: "organisation.erased",
    });
    const [again, done] = items;
    expect(again?.details).toEqual({ organisation: orgId, why: "not_found" });
    expect(done).toMatchObject({ outcome: "success", details: { organisation: orgId } });
  });
});

import { expect, it } from "vitest";
import { bodyOf, expectProblem } from "../support/expect.ts";
import { describeServed, freshId } from "../support/server.ts";
import { entry, signedTrail, trailOf } from "../support/trail.ts";

describeServed("intents", (server) => {
  const said = { actor: entry.actor, action: "database.dropped" };

  it("are listed until their outcome is said", async () => {
    const { get, post } = trailOf(server, freshId("org"));
    const target = { type: "database", id: "main" };
    const intent = await post("/intents", { ...said, target, risk: "critical" });
    expect(intent).toMatchObject({ status: 201, headers: { location: "/api/audit/0" } });
    expect(intent.json).toMatchObject({ outcome: "pending", correlationId: expect.any(String) });
    await post("/intents", said);
    const unresolved = async () => {
      const { items } = (await get("?unresolved=true&order=asc")).json as {
        items: { seq: number }[];
      };
      return items.map(({ seq }) => seq);
    };
    expect(await unresolved()).toEqual([0, 1]);
    const path = `/intents/${bodyOf(intent)["id"]}/outcome`;
    const outcome = await post(path, { outcome: "failure", details: { why: "it is in use" } });
    expect(outcome).toMatchObject({ status: 201, headers: { location: "/api/audit/2" } });
    const { actor, action, correlationId } = bodyOf(intent);
    expect(outcome.json).toMatchObject({
      ...{ outcome: "failure", actor, action, target, risk: "critical", correlationId },
      details: { why: "it is in use" },
    });
    expect(await unresolved()).toEqual([1]);
    const together = await get(`?correlationId=${correlationId}&order=asc`);
    expect(together.json).toMatchObject({ items: [{ seq: 0 }, { seq: 2 }] });
  });

  it("are sealed once however often they are sent", async () => {
    const { get, post } = trailOf(server, freshId("org"));
    const key = { "idempotency-key": "drop-1" };
    const first = await post("/intents", said, key);
    expect((await post("/intents", said, key)).text).toBe(first.text);
    const path = `/intents/${bodyOf(first)["id"]}/outcome`;
    const done = { "idempotency-key": "drop-1-done" };
    const outcome = await post(path, { outcome: "success" }, done);
    expect((await post(path, { outcome: "success" }, done)).text).toBe(outcome.text);
    expect((await get("")).json).toMatchObject({ items: [{ seq: 1 }, { seq: 0 }] });
  });

  it("are refused where there is none, or something else", async () => {
    const { post } = trailOf(server, freshId("org"));
    const { id } = bodyOf(await post("", entry));
    const none = "0190b3f4-7c1a-7abc-8def-0123456789ab";
    expectProblem(await post(`/intents/${none}/outcome`, { outcome: "success" }), 404, "NOT_FOUND");
    for (const [path, body] of [
      [`/intents/${id}/outcome`, { outcome: "success" }],
      [`/intents/${none}/outcome`, { outcome: "pending" }],
      [`/intents/${none}/outcome`, {}],
      ["/intents/x/outcome", { outcome: "success" }],
      ["/intents", { ...said, outcome: "success" }],
      ["/intents", {}],
    ] as const)
      expectProblem(await post(path, body), 400, "VALIDATION");
  });
});

describeServed("redaction", (server) => {
  it("erases the details, seals an entry, and leaves everything else valid", async () => {
    const { get, post } = await signedTrail(server, 2);
    const secret = "4111-1111-1111-1111";
    const before = await post("", { ...entry, details: { card: secret } });
    const proof = await get("/2/proof");
    const redaction = await post("/2/redact", { reason: "a card number" });
    expect(redaction).toMatchObject({ status: 201, headers: { location: "/api/audit/3" } });
    expect(redaction.json).toMatchObject({ seq: 3, action: "audit.redacted" });
    const after = await get("/2");
    expect(after.json).toEqual({ ...bodyOf(before), details: null, redacted: true });
    expect(bodyOf(before)).toMatchObject({ redacted: false });
    expect((await get("/2/proof?size=3")).text).toBe(proof.text);
    expect((await get("")).text).not.toContain(secret);
    expect((await get("/verify")).json).toMatchObject({ verdict: "unanchored", redacted: 1 });
    expect((await post("/2/redact", { reason: "again" })).json).toEqual(redaction.json);
    expect((await get("?action=audit.redacted")).json).toMatchObject({ items: [{ seq: 3 }] });
  });

  it("is refused where there is nothing to erase, or no reason", async () => {
    const { post } = trailOf(server, freshId("org"));
    await post("", entry);
    for (const path of ["/0/redact", "/9/redact", "/9999999999999999/redact"])
      expectProblem(await post(path, { reason: "x" }), 404, "NOT_FOUND");
    for (const body of [{}, { reason: "" }, { reason: 5 }, { reason: "x", seq: 1 }])
      expectProblem(await post("/0/redact", body), 400, "VALIDATION");
  });
});

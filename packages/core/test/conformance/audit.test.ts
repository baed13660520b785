import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { leafHash } from "../../src/audit/leaf.ts";
import { type AuditEntry, type AuditInput, auditOutcomes, auditRisks } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";
import { storedEntry } from "../support/legs.ts";

const id = "0190163d-8694-739b-aea5-966c26f8ad90";
const otherId = "0190163d-8694-739b-aea5-966c26f8ad91";
const hex64 = /^[0-9a-f]{64}$/;

const full = {
  actor: { type: "user", id: "ada" },
  action: "deploy.started",
  outcome: "approved",
  target: { type: "service", id: "web" },
  agent: { id: "deployer", run: "run-1", model: "m" },
  project: "shop",
  risk: "high",
  correlationId: "c-1",
  occurredAt: "2024-05-06T07:08:09.5+02:00",
  details: { personal: "Ada", list: [1, null] },
} as const satisfies AuditInput;

describeEachBackend("appending to the trail", { everyLogin: true }, (backend) => {
  test("seals what was said, at its place", async () => {
    const { audit } = backend.open();
    const entry = await audit.append({ id, ...full });
    expect(entry).toEqual({
      ...full,
      id,
      seq: 0,
      hash: expect.stringMatching(hex64),
      prev: "0".repeat(64),
      log: expect.stringMatching(/^codespar\/log\/[0-9a-f]{32}$/),
      sealedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
      occurredAt: "2024-05-06T05:08:09.500Z",
      parts: { details: expect.stringMatching(hex64) },
      redacted: false,
    });
    expect(await audit.get(0)).toEqual(entry);
    expect(await audit.getById(id)).toEqual(entry);
    expect((await audit.list()).items).toEqual([entry]);
    expect(await audit.get(1)).toBeNull();
    expect(await audit.getById("0190163d-8694-739b-aea5-000000000000")).toBeNull();
  });

  test("gives what wasn't said its default, and leaves the rest null", async () => {
    const { audit } = backend.open();
    const entry = await audit.append({ action: "test.minimal" });
    expect(entry).toMatchObject({
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7/),
      actor: { type: "system", id: "library" },
      outcome: "success",
      target: null,
      agent: null,
      project: null,
      risk: null,
      correlationId: null,
      occurredAt: null,
      details: null,
      parts: {},
    });
  });

  test("links each entry to the one before, in time order", async () => {
    const { audit } = backend.open();
    const entries: AuditEntry[] = [];
    for (let n = 0; n < 5; n += 1) {
      entries.push(await audit.append({ action: "test.linked", details: { n } }));
      // A clock that is set back must not turn the trail's order around.
      backend.clock.advance(n % 2 === 0 ? 1000 : -5000);
    }
    for (const [n, entry] of entries.entries()) {
      expect(entry.seq).toBe(n);
      expect(entry.prev).toBe(entries[n - 1]?.hash ?? "0".repeat(64));
      expect(entry.sealedAt >= (entries[n - 1]?.sealedAt ?? "")).toBe(true);
      expect(entry.log).toBe(entries[0]?.log);
    }
    expect(await audit.verify()).toMatchObject({
      verdict: "unanchored",
      size: 5,
      head: entries[4]?.hash,
    });
  });

  test("takes every outcome and risk, and every actor", async () => {
    const { audit } = backend.open();
    for (const outcome of auditOutcomes) {
      expect(await audit.append({ action: "test.outcome", outcome })).toMatchObject({ outcome });
    }
    for (const risk of auditRisks) {
      expect(await audit.append({ action: "test.risk", risk })).toMatchObject({ risk });
    }
    expect(await audit.verify()).toMatchObject({ verdict: "unanchored" });
  });

  test("a stored null is told apart from no details", async () => {
    const { audit } = backend.open();
    const entry = await audit.append({ action: "test.null", details: null });
    expect(entry.details).toBeNull();
    expect(Object.keys(entry.parts)).toEqual(["details"]);
    expect(await audit.get(0)).toEqual(entry);
  });

  test("the same id again returns the entry that is there", async () => {
    const { audit } = backend.open();
    const first = await audit.append({ id, ...full });
    backend.clock.advance(1000);
    expect(await audit.append({ id, ...full })).toEqual(first);
    expect(await audit.append({ id: id.toUpperCase(), ...full })).toEqual(first);
    expect(await audit.verify()).toMatchObject({ size: 1 });
  });

  test("the same id for something else is ALREADY_EXISTS", async () => {
    const { audit } = backend.open();
    await audit.append({ id, ...full });
    const { occurredAt: _, ...without } = full;
    const others: AuditInput[] = [
      { ...full, outcome: "denied" },
      { ...full, action: "deploy.ended" },
      { ...full, actor: { type: "user", id: "eve" } },
      { ...full, details: { personal: "Eve" } },
      { ...full, details: undefined },
      { ...full, target: { type: "service", id: "web2" } },
      { ...full, occurredAt: "2024-05-06T05:08:09.501Z" },
      without,
    ];
    for (const entry of others) await expectCode(audit.append({ ...entry, id }), "ALREADY_EXISTS");
    expect(await audit.verify()).toMatchObject({ size: 1 });
    expect(await audit.getById(id)).toMatchObject({ outcome: "approved" });
  });

  test("64 parallel retries of one entry append it once", async () => {
    const { audit } = backend.open();
    const entries = await Promise.all(
      Array.from({ length: 64 }, () => audit.append({ id, ...full })),
    );
    expect(new Set(entries.map(({ hash }) => hash)).size).toBe(1);
    expect(await audit.verify()).toMatchObject({ size: 1 });
  });

  test("one id twice in a transaction is one entry", async () => {
    const storage = backend.open();
    const { audit } = await storage.transaction(async (tx) => {
      await tx.audit.append({ id, action: "test.twice" });
      await tx.audit.append({ id, action: "test.twice" });
    });
    expect(audit.map(({ seq }) => seq)).toEqual([0]);
    const other = storage.transaction(async (tx) => {
      await tx.audit.append({ action: "test.one", id: otherId });
      await tx.audit.append({ action: "test.other", id: otherId });
    });
    await expectCode(other, "ALREADY_EXISTS");
    expect(await storage.audit.verify()).toMatchObject({ size: 1, verdict: "unanchored" });
  });

  test("a transaction that appends another entry under a known id writes nothing", async () => {
    const storage = backend.open();
    await storage.audit.append({ id, ...full });
    for (const entry of [
      { ...full, outcome: "denied" as const },
      { ...full, details: "other" },
    ]) {
      const call = storage.transaction(async (tx) => {
        await tx.audit.append({ action: "test.before" });
        await tx.audit.append({ id: otherId, action: "test.chosen" });
        await tx.audit.append({ ...entry, id });
        await tx.memory.set("agent", "key", 1);
      });
      await expectCode(call, "ALREADY_EXISTS");
    }
    expect(await storage.memory.has("agent", "key")).toBe(false);
    expect(await storage.audit.getById(otherId)).toBeNull();
    expect(await storage.audit.verify()).toMatchObject({ size: 1, verdict: "unanchored" });
  });

  test("of transactions that use one id for different entries at once, one commits", async () => {
    const storage = backend.open();
    const calls = Array.from({ length: 8 }, (_, i) =>
      storage.transaction(async (tx) => {
        await tx.audit.append({ id, action: "test.raced", details: i });
        await tx.memory.set("agent", `key-${i}`, i);
      }),
    );
    const settled = await Promise.allSettled(calls);
    const refused = settled.filter((call) => call.status === "rejected");
    expect(refused.map(({ reason }) => reason.code)).toEqual(Array(7).fill("ALREADY_EXISTS"));
    const { items } = await storage.memory.list("agent");
    expect(items.map(({ value }) => value)).toEqual([(await storage.audit.getById(id))?.details]);
    expect(await storage.audit.verify()).toMatchObject({ size: 1 });
  });

  test("a transaction that appends a known id still writes the rest", async () => {
    const storage = backend.open();
    const first = await storage.audit.append({ id, ...full });
    const { audit } = await storage.transaction(async (tx) => {
      await tx.audit.append({ id, ...full });
      await tx.audit.append({ action: "test.fresh" });
      await tx.memory.set("agent", "key", 1);
    });
    expect(audit[0]).toEqual(first);
    expect(audit[1]).toMatchObject({ seq: 1, action: "test.fresh" });
    expect(await storage.memory.get("agent", "key")).toBe(1);
  });

  test("what isn't acceptable is refused and appends nothing", async () => {
    const { audit } = backend.open();
    const action = "test.refused";
    const wrong: unknown[] = [
      {},
      { action: "" },
      { action: "Deploy.Started" },
      { action: "deploy started" },
      { action: "deploy..started" },
      { action: "deploy.*" },
      { action: "deploy\u0000" },
      { action: 5 },
      { action, id: "not a uuid" },
      { action, id: "" },
      { action, outcome: "maybe" },
      { action, risk: "none" },
      { action, actor: { type: "robot", id: "r" } },
      { action, actor: { type: "user" } },
      { action, actor: { type: "user", id: "a\n" } },
      { action, actor: null },
      { action, target: { id: "x" } },
      { action, target: "x" },
      { action, agent: {} },
      { action, agent: { id: "\ud800" } },
      { action, project: "" },
      { action, correlationId: 5 },
      { action, occurredAt: "yesterday" },
      { action, occurredAt: 1_700_000_000 },
      { action, seq: 5 },
      { action, prev: "0".repeat(64) },
      { action, extra: true },
      null,
      undefined,
      "test.refused",
    ];
    for (const entry of wrong) await expectCode(audit.append(entry as AuditInput), "VALIDATION");
    expect(await audit.verify()).toMatchObject({ size: 0 });
    for (const seq of [-1, 1.5, Number.NaN, "0", null]) {
      await expectCode(audit.get(seq as number), "VALIDATION");
    }
    await expectCode(audit.getById("x"), "VALIDATION");
    expect(await audit.get(Number.MAX_SAFE_INTEGER)).toBeNull();
  });

  test("what the entry says is in the hashed bytes, and details are only committed to", async () => {
    const storage = backend.open();
    const entry = await storage.audit.append({ id, ...full });
    await storage.close();
    const stored = await storedEntry(backend.options(), backend.orgId, 0);
    expect(leafHash(stored.leaf)).toBe(entry.hash);
    const text = Buffer.from(stored.leaf).toString("utf8");
    expect(JSON.parse(text)).toEqual({
      v: 1,
      log: entry.log,
      seq: 0,
      ts: entry.sealedAt,
      id,
      prev: entry.prev,
      actor: full.actor,
      action: full.action,
      outcome: full.outcome,
      target: full.target,
      agent: full.agent,
      project: full.project,
      risk: full.risk,
      corr: full.correlationId,
      occurred: entry.occurredAt,
      parts: entry.parts,
    });
    expect(text).not.toContain("personal");
    const [part] = stored.parts;
    expect(part?.salt).toHaveLength(32);
    const commitment = createHmac("sha256", part?.salt ?? "")
      .update(part?.body ?? "")
      .digest("hex");
    expect(commitment).toBe(entry.parts["details"]);
  });

  test("two equal details have different commitments", async () => {
    const { audit } = backend.open();
    const one = await audit.append({ action: "test.salted", details: "a@example.com" });
    const other = await audit.append({ action: "test.salted", details: "a@example.com" });
    expect(one.parts["details"]).not.toBe(other.parts["details"]);
  });
});

import { expect, test } from "vitest";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

describeEachBackend("redaction", { everyLogin: true }, (backend) => {
  test("erases the details, says so in the trail, and leaves chain and proofs valid", async () => {
    const storage = backend.open();
    const { audit } = storage;
    const details = { mail: "ada@example.org" };
    const entry = await audit.append({ action: "user.created", details });
    const proof = await audit.prove(entry.seq);
    const redaction = await storage
      .as({ type: "user", id: "officer" })
      .audit.redact(entry.seq, "asked for");
    expect(redaction).toMatchObject({
      action: "audit.redacted",
      actor: { type: "user", id: "officer" },
      target: { type: "audit_part", id: `${entry.seq}/details` },
      details: { reason: "asked for" },
    });
    const erased = await audit.get(entry.seq);
    expect(erased).toEqual({ ...entry, details: null });
    expect(JSON.stringify(await audit.list({ order: "asc" }))).not.toContain("ada@example.org");
    expect(await audit.prove(entry.seq, { size: proof.checkpoint.size })).toEqual(proof);
    expect(await audit.verify()).toMatchObject({
      verdict: "unanchored",
      redacted: 1,
      firstFailure: null,
    });
    await storage.close();
    const reopened = backend.open().audit;
    expect(await reopened.get(entry.seq)).toEqual(erased);
    expect(await reopened.verify()).toMatchObject({ redacted: 1, firstFailure: null });
  });

  test("again changes nothing, and gives the entry that says so", async () => {
    const { audit } = backend.open();
    const { seq } = await audit.append({ action: "user.created", details: 1 });
    const redaction = await audit.redact(seq, "asked for");
    expect(await audit.redact(seq, "asked again")).toEqual(redaction);
    expect((await audit.list()).items).toHaveLength(2);
  });

  test("of a redaction's own reason is possible too", async () => {
    const { audit } = backend.open();
    const { seq } = await audit.append({ action: "user.created", details: 1 });
    const redaction = await audit.redact(seq, "names somebody");
    await audit.redact(redaction.seq, "the reason named somebody");
    expect((await audit.get(redaction.seq))?.details).toBeNull();
    expect(await audit.redact(seq, "again")).toMatchObject({ seq: redaction.seq, details: null });
    expect(await audit.verify()).toMatchObject({ redacted: 2, firstFailure: null });
  });

  test("at the same time by many erases once", async () => {
    const { audit } = backend.open();
    const { seq } = await audit.append({ action: "user.created", details: 1 });
    const entries = await Promise.all([1, 2, 3].map((n) => audit.redact(seq, `asked ${n}`)));
    for (const entry of entries) expect(entry.action).toBe("audit.redacted");
    expect(await audit.verify()).toMatchObject({ redacted: 1, firstFailure: null });
  });

  test("an append that is sent again finds its entry, erased or not", async () => {
    const { audit } = backend.open();
    const input = {
      id: "0190163d-8694-739b-aea5-966c26f8ad91",
      action: "user.created",
      details: 1,
    };
    const entry = await audit.append(input);
    await audit.redact(entry.seq, "asked for");
    expect(await audit.append(input)).toEqual({ ...entry, details: null });
  });

  test("needs an entry with details, and a reason", async () => {
    const { audit } = backend.open();
    await expectCode(audit.redact(0, "asked for"), "NOT_FOUND");
    const { seq } = await audit.append({ action: "user.created" });
    await expectCode(audit.redact(seq, "asked for"), "NOT_FOUND");
    await expectCode(audit.redact(seq, ""), "VALIDATION");
    await expectCode(audit.redact(seq, "x".repeat(1025)), "LIMIT_EXCEEDED");
    await expectCode(audit.redact(-1, "asked for"), "VALIDATION");
    expect((await audit.list()).items).toHaveLength(1);
  });
});

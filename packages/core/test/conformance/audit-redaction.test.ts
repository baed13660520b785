import { expect, test } from "vitest";
import { type Audit, type AuditEntry, type AuditExport, redactionFilter } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

async function shownAs(audit: Audit): Promise<boolean[]> {
  const { items } = await audit.list({ action: "user.*", order: "asc" });
  const alone = await Promise.all(items.map(({ seq }) => audit.get(seq)));
  expect(alone).toEqual(items);
  return items.map(({ redacted }) => redacted);
}

async function textOf({ content }: AuditExport): Promise<string[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8").trimEnd().split(/\r?\n/);
}

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
    expect(entry.redacted).toBe(false);
    expect(erased).toEqual({ ...entry, details: null, redacted: true });
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

  test("shows wherever the entry is read, and only there", async () => {
    const storage = backend.open();
    const { audit } = storage;
    await audit.append({ action: "user.created" });
    await audit.append({ action: "user.created", details: null });
    const { seq } = await audit.append({ action: "user.created", details: { mail: "a@b.c" } });
    const expected = [false, false, true];
    expect(await shownAs(audit)).toEqual([false, false, false]);
    await audit.redact(seq, "asked for");
    expect(await shownAs(audit)).toEqual(expected);
    const { signal } = new AbortController();
    const watched: boolean[] = [];
    for await (const entry of audit.watch({ after: -1, signal }))
      if (watched.push(entry.redacted) === 3) break;
    expect(watched).toEqual(expected);
    const filter = { action: "user.*" } as const;
    const lines = await textOf(await audit.export({ format: "jsonl", ...filter }));
    expect(lines.map((line) => (JSON.parse(line) as AuditEntry).redacted)).toEqual(expected);
    const [head = "", ...rows] = await textOf(await audit.export({ format: "csv", ...filter }));
    const column = head.split(",").indexOf("redacted");
    expect(rows.map((row) => row.split(",")[column])).toEqual(expected.map(String));
  });

  test("is found again by the entry that it left", async () => {
    const { audit } = backend.open();
    const { seq } = await audit.append({ action: "user.created", details: 1 });
    const found = async () =>
      (await audit.list({ ...redactionFilter(seq), order: "asc" })).items.map((by) => by.seq);
    await audit.append({ action: "user.created", correlationId: `audit_part/${seq}/details` });
    expect(await found()).toEqual([]);
    const redaction = await audit.redact(seq, "asked for");
    expect(await found()).toEqual([redaction.seq]);
  });

  test("again changes nothing, and gives the entry that says so", async () => {
    const { audit } = backend.open();
    const { seq } = await audit.append({ action: "user.created", details: 1 });
    const redaction = await audit.redact(seq, "asked for");
    expect(await audit.redact(seq, "asked again")).toEqual(redaction);
    const said = (await audit.list({ action: "audit.redacted" })).items;
    expect(said).toEqual([redaction]);
  });

  test("of a redaction's own reason is possible too", async () => {
    const { audit } = backend.open();
    const { seq } = await audit.append({ action: "user.created", details: 1 });
    const redaction = await audit.redact(seq, "names somebody");
    await audit.redact(redaction.seq, "the reason named somebody");
    const gone = { seq: redaction.seq, details: null, redacted: true };
    expect(await audit.get(redaction.seq)).toMatchObject(gone);
    expect(await audit.redact(seq, "again")).toMatchObject(gone);
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
    const erased = { ...entry, details: null, redacted: true };
    expect(await audit.append(input)).toEqual(erased);
    expect(await audit.getById(input.id)).toEqual(erased);
  });

  test("needs an entry with details, and a reason", async () => {
    const { audit } = backend.open();
    await expectCode(audit.redact(0, "asked for"), "NOT_FOUND");
    const { seq } = await audit.append({ action: "user.created" });
    await expectCode(audit.redact(seq, "asked for"), "NOT_FOUND");
    await expectCode(audit.redact(seq, ""), "VALIDATION");
    await expectCode(audit.redact(seq, "x".repeat(1025)), "LIMIT_EXCEEDED");
    await expectCode(audit.redact(-1, "asked for"), "VALIDATION");
    expect((await audit.list({ action: "audit.redacted" })).items).toEqual([]);
    expect((await audit.list({ action: "audit.redaction_failed" })).items).toHaveLength(2);
  });
});

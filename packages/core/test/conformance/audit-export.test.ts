import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { removeScratch, scratchFolder } from "../../../../tooling/secrets.ts";
import {
  type AuditEntry,
  type AuditExport,
  type Storage,
  unpackBundle,
  verifyBundle,
} from "../../src/index.ts";
import { auditDomain } from "../../src/storage/domains/audit.ts";
import { contextOf } from "../../src/storage/domains/context.ts";
import { administration } from "../support/administration.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";
import { intercepted } from "../support/port.ts";

async function textOf({ content }: AuditExport): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

async function unpacked({ content }: AuditExport): Promise<string> {
  const folder = await scratchFolder("export");
  onTestFinished(() => removeScratch(folder));
  expect(await unpackBundle(content, folder)).toBeNull();
  return folder;
}

async function trusted({ audit }: Storage): Promise<string[]> {
  return (await audit.keys()).map(({ vkey }) => vkey);
}

async function appendMany({ audit }: Storage, count: number, details?: unknown): Promise<void> {
  for (let i = 0; i < count; i += 1)
    await audit.append({ action: "deploy.started", ...(details !== undefined && { details }) });
}

async function all({ audit }: Storage): Promise<AuditEntry[]> {
  const found: AuditEntry[] = [];
  for await (const entry of audit.list({ order: "asc" })) found.push(entry);
  return found;
}

describeEachBackend("an exported trail", (backend) => {
  test("is a bundle that verifies by itself, bound to one checkpoint, and an entry", async () => {
    const storage = backend.open();
    await appendMany(storage, 3, { by: "Ada" });
    await storage.audit.redact(1, "on request");
    await storage.audit.checkpoint();
    const exported = await storage.audit.export({ format: "bundle" });
    expect(exported).toMatchObject({ mediaType: "application/x-tar", warnings: [] });
    const { size = 0, root } = exported.checkpoint ?? {};
    expect(exported.fileName).toBe(`audit-${storage.orgId}-${size}.tar`);
    // What comes later is none of it.
    await appendMany(storage, 2);
    const folder = await unpacked(exported);
    expect(await verifyBundle(folder, { trustedKeys: await trusted(storage) })).toMatchObject({
      verdict: "ok",
      size,
      root,
      anchoredSize: size,
      redacted: 1,
      checks: { content: size, parts: size, signature: 2 },
      firstFailure: null,
      warnings: [],
    });
    const entries = await all(storage);
    expect(entries[size - 1]).toMatchObject({
      action: "audit.exported",
      target: { type: "audit", id: "bundle" },
      details: { format: "bundle" },
    });
    expect(await storage.audit.verify()).toMatchObject({ firstFailure: null });
  });

  test("comes in pieces when it is large", async () => {
    const storage = backend.open();
    await appendMany(storage, 75, "x".repeat(60_000));
    const folder = await unpacked(await storage.audit.export({ format: "bundle" }));
    expect(await readdir(join(folder, "parts"))).toHaveLength(2);
    expect(await verifyBundle(folder)).toMatchObject({ verdict: "unanchored", redacted: 0 });
  });

  test("goes on to the entries that say what was erased while it was written", async () => {
    const storage = backend.open();
    await appendMany(storage, 4, { by: "Ada" });
    const exported = await storage.audit.export({ format: "bundle" });
    await storage.audit.redact(2, "on request");
    const result = await verifyBundle(await unpacked(exported), {
      trustedKeys: await trusted(storage),
    });
    const size = (exported.checkpoint?.size ?? 0) + 1;
    expect(result).toMatchObject({ verdict: "ok", size, anchoredSize: size, redacted: 1 });
  });

  test("has the keys that its own entries announce, and none that came while it was written", async () => {
    const storage = backend.open();
    await appendMany(storage, 2);
    const exported = await storage.audit.export({ format: "bundle" });
    const trustedKeys = await trusted(storage);
    await storage.audit.rotateKey();
    expect(await trusted(storage)).toHaveLength(2);
    const folder = await unpacked(exported);
    expect(await readdir(join(folder, "keys"))).toHaveLength(2);
    expect(await verifyBundle(folder, { trustedKeys })).toMatchObject({ verdict: "ok" });
    const after = await unpacked(await storage.audit.export({ format: "bundle" }));
    expect(await readdir(join(after, "keys"))).toHaveLength(4);
    expect(await verifyBundle(after, { trustedKeys })).toMatchObject({ verdict: "ok" });
  });

  test("is older than a checkpoint that was kept since, which is no tampering", async () => {
    const storage = backend.open();
    await appendMany(storage, 3);
    const folder = await unpacked(await storage.audit.export({ format: "bundle" }));
    const trustedKeys = await trusted(storage);
    const { size } = await verifyBundle(folder);
    await appendMany(storage, 2);
    const { note: checkpoint, size: kept } = await storage.audit.checkpoint();
    for (const anchors of [{ checkpoint }, { checkpoint, trustedKeys }])
      for (const depth of ["full", "hashes"] as const)
        expect(await verifyBundle(folder, { ...anchors, depth })).toMatchObject({
          verdict: "outdated",
          size,
          anchoredSize: "trustedKeys" in anchors ? size : 0,
          firstFailure: null,
          warnings: expect.arrayContaining([
            expect.stringContaining(`for ${kept} entries, and the copy ends at ${size}, so the`),
          ]),
        });
    expect(await storage.audit.verify({ checkpoint })).toMatchObject({ verdict: "ok" });
    const again = await unpacked(await storage.audit.export({ format: "bundle" }));
    expect(await verifyBundle(again, { checkpoint })).toMatchObject({ verdict: "ok" });
    // What is wrong with it, or missing, counts for more.
    const head = join(folder, "entries", "0000000000000000.jsonl");
    const entries = await readFile(head, "utf8");
    await writeFile(head, entries.replace("deploy.started", "deploy.stopped"));
    expect(await verifyBundle(folder, { checkpoint })).toMatchObject({ verdict: "tampered" });
    await writeFile(head, entries);
    await rm(join(folder, "manifest.json"));
    expect(await verifyBundle(folder, { checkpoint })).toMatchObject({
      verdict: "incomplete",
      firstFailure: null,
    });
  });

  test("is a line of JSON for each entry that the filter admits", async () => {
    const storage = backend.open();
    await storage.audit.append({ action: "deploy.started", outcome: "denied", details: { n: 1 } });
    await storage.audit.append({ action: "deploy.ended", details: "\u2028\n\u0000" });
    const whole = await storage.audit.export({ format: "jsonl" });
    const lines = (await textOf(whole)).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(await all(storage));
    const filtered = await storage.audit.export({
      format: "jsonl",
      action: "deploy.*",
      outcome: "denied",
    });
    const [only, ...more] = (await textOf(filtered)).trimEnd().split("\n");
    expect(more).toEqual([]);
    expect(JSON.parse(only ?? "")).toEqual(await storage.audit.get(0));
    const { items } = await storage.audit.list({ action: "audit.exported" });
    expect(items[0]).toMatchObject({
      details: { format: "jsonl", filter: { action: "deploy.*", outcome: "denied" } },
    });
  });

  test("is a table of RFC 4180 that no spreadsheet takes for formulas", async () => {
    const storage = backend.open();
    const target = { type: "shell", id: '=HYPERLINK("http://evil.example";"x")' };
    await storage.audit.append({
      actor: { type: "user", id: "@ada" },
      action: "deploy.started",
      target,
      agent: { id: "+1", run: "-1", model: "m,\u00e9" },
      correlationId: "\uff1dA1",
      details: { text: 'a "b",\nc' },
    });
    const { mediaType, ...exported } = await storage.audit.export({ format: "csv" });
    expect(mediaType).toBe("text/csv; charset=utf-8; header=present");
    const csv = await textOf({ mediaType, ...exported });
    expect(csv.split("\r\n")[0]).toBe(
      "seq,id,sealed_at,occurred_at,actor_type,actor_id,action,outcome,target_type,target_id,agent_id,agent_run,agent_model,project,risk,correlation_id,details,redacted,hash,prev",
    );
    expect(csv).toContain(
      `,user,'@ada,deploy.started,success,shell,"'=HYPERLINK(""http://evil.example"";""x"")",'+1,'-1,"m,é",,,'\uff1dA1,"{""text"":""a \\""b\\"",\\nc""}",`,
    );
    expect(csv.endsWith("\r\n")).toBe(true);
  });

  test("is no table of formulas where a spreadsheet divides at semicolons", async () => {
    const storage = backend.open();
    const details = { list: [1, -2], text: "a;=A1" };
    await storage.audit.append({
      actor: { type: "user", id: "a;=A1;b" },
      action: "deploy.started",
      target: { type: "shell", id: ';"=A1"; @b' },
      agent: { id: "a;b", run: "x;\uff1dA1", model: "x-1;-" },
      details,
    });
    const csv = await textOf(await storage.audit.export({ format: "csv" }));
    expect(csv).toContain(
      `,user,"a;'=A1;b",deploy.started,success,shell,";'""=A1"";' @b","a;b","x;'\uff1dA1","x-1;'-",,,,`,
    );
    // Whether quotes count for whoever divides, or don't.
    const fields = csv.replaceAll('"', "").split(/[;\r\n]+/);
    expect(fields.filter((field) => /^\s*[=+\-@\uff1d]/.test(field))).toEqual([]);
    const [, json = ""] = /"(\{.*\})"/.exec(csv) ?? [];
    expect(JSON.parse(json.replaceAll('""', '"'))).toEqual({ ...details, text: "a;'=A1" });
  });

  test("is refused for what can't be", async () => {
    const storage = backend.open();
    await expectCode(storage.audit.export({ format: "bundle", action: "deploy.*" }), "VALIDATION");
    await expectCode(storage.audit.export({ format: "xml" as "csv" }), "VALIDATION");
    await expectCode(storage.audit.export({ format: "csv", from: "yesterday" }), "VALIDATION");
    const aborted = { format: "csv", signal: AbortSignal.abort() } as const;
    await expectCode(storage.audit.export(aborted), "ABORTED");
    expect(await storage.audit.list()).toMatchObject({ items: [] });
  });

  test("ends with the signal", async () => {
    const storage = backend.open();
    await appendMany(storage, 3);
    for (const format of ["bundle", "jsonl", "csv"] as const) {
      const controller = new AbortController();
      const exported = await storage.audit.export({ format, signal: controller.signal });
      controller.abort();
      await expectCode(textOf(exported), "ABORTED");
    }
  });

  test("ends with the handle", async () => {
    const storage = backend.open();
    await appendMany(storage, 3);
    const bundle = await storage.audit.export({ format: "bundle" });
    const lines = await storage.audit.export({ format: "jsonl" });
    await storage.close();
    await expectCode(textOf(bundle), "UNSUPPORTED");
    await expectCode(textOf(lines), "UNSUPPORTED");
  });
});

// Pages as large as these are read in ways that have no predicates to lose.
describeEachBackend("a larger exported trail", { otherProcesses: true }, (backend) => {
  test("is one state of the trail, whatever is erased of what was written and of what wasn't", async () => {
    const storage = backend.open();
    await appendMany(storage, 280, { by: "Ada" });
    const context = contextOf(storage);
    // Pages are of a hundred entries and more: the first one was read, and the last one wasn't.
    let erased = false;
    const audit = auditDomain({
      ...context,
      backend: intercepted(context.backend, {
        listAudit: async (orgId, query, call) => {
          if ((query.after ?? -1) >= 50 && !erased) {
            erased = true;
            await storage.audit.redact(2, "it was read");
            await storage.audit.redact(279, "it wasn't read");
          }
          return context.backend.listAudit(orgId, query, call);
        },
      }),
    });
    const exported = await audit.export({ format: "bundle" });
    const folder = await unpacked(exported);
    const { checkpoint } = exported;
    const size = (checkpoint?.size ?? 0) + 2;
    expect(await verifyBundle(folder, { trustedKeys: await trusted(storage) })).toMatchObject({
      verdict: "ok",
      firstFailure: null,
      warnings: [],
      size,
      redacted: 2,
    });
  }, 60_000);
});

const onTargetsOfTheirOwn = { targetPerTest: true, otherProcesses: true };

describeEachBackend(
  "a trail that is erased while it is exported",
  onTargetsOfTheirOwn,
  (backend) => {
    test.each(["bundle", "jsonl", "csv"] as const)(
      "isn't written as if %s were whole",
      async (format) => {
        const { storage, deployment } = administration(backend);
        await appendMany(storage, 2);
        const exported = await storage.audit.export({ format });
        await deployment.organisations.erase(backend.orgId, { confirm: backend.orgId });
        await expectCode(textOf(exported), "NOT_FOUND");
      },
    );
  },
);

import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { ownActions } from "../../src/audit/actions.ts";
import { recordAccess } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

/** Each, and of a family one that there may be some day. */
const actions = ownActions.map((own) => own.replace("*", "some_day"));

describeEachBackend("what CodeSpar records by itself", (backend) => {
  test("callers can't append, in whatever way, and nothing is sealed", async () => {
    const storage = backend.open();
    const { audit } = storage;
    const intent = await audit.intent({ action: "test.intended" });
    for (const action of [...actions, "audit.redacted", "audit.key_created", "audit.key_rotated"]) {
      await expectCode(audit.append({ action }), "VALIDATION");
      await expectCode(audit.intent({ action }), "VALIDATION");
      await expectCode(audit.outcome(intent, "success", { action }), "VALIDATION");
      await expectCode(
        storage.transaction((tx) => tx.audit.append({ action })),
        "VALIDATION",
      );
    }
    expect((await audit.list()).items).toEqual([intent]);
  });

  test("leaves every other name to callers", async () => {
    const { audit } = backend.open();
    for (const action of ["agent.started", "audit", "memory.set.again", "secretary.hired"])
      expect(await audit.append({ action })).toMatchObject({ action });
  });

  test("is what a server says of access, in its own words", async () => {
    const storage = backend.open();
    const target = { type: "route", id: "GET /api/keys" };
    const actor = { type: "system", id: "key:k1" } as const;
    await recordAccess(storage.as(actor), { decision: "granted", target });
    const details = { why: "scope" };
    const denied = await recordAccess(storage.as(actor), { decision: "denied", target, details });
    expect(denied).toMatchObject({ action: "access.denied", outcome: "denied", details });
    const other = { decision: "asked" as "denied", target };
    await expectCode(recordAccess(storage, other), "VALIDATION");
    expect((await storage.audit.list({ order: "asc" })).items).toEqual([
      expect.objectContaining({ actor, action: "access.granted", outcome: "success", target }),
      denied,
    ]);
  });
});

test("the reference names exactly what callers can't append", async () => {
  const reference = new URL("../../../../docs/reference/audit.md", import.meta.url);
  const [, table = ""] = (await readFile(reference, "utf8")).split("| actions | recorded |\n");
  const rows = table.slice(0, table.indexOf("\n\n")).split("\n").slice(1);
  const named = rows.flatMap((row) => row.split(" | ")[0]?.match(/[a-z_]+\.[a-z_*]+/g) ?? []);
  expect(named.sort()).toEqual([...ownActions].sort());
});

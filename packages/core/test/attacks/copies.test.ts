import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { systemActor } from "../../src/domain/actor.ts";
import { createStorage } from "../../src/index.ts";
import { openBackend } from "../../src/storage/create-storage.ts";
import { auditVerification } from "../../src/storage/domains/audit-verification.ts";
import { appendMany, backendOn } from "../postgres/support.ts";
import { legs, type Target } from "../support/legs.ts";
import { PostgresAttacker } from "./postgres-attacker.ts";
import { describeAttacks } from "./scene.ts";
import { verify } from "./victim.ts";

describe("what PostgreSQL stores a second time", () => {
  let target: Target;
  let attacker: PostgresAttacker;

  beforeAll(async () => {
    const leg = legs.find(({ name }) => name === "PostgreSQL");
    if (leg === undefined) throw new Error("no PostgreSQL");
    target = await leg.open();
    await using backend = backendOn(target.options.databaseUrl ?? "");
    // So many that a tile of the second level is full: nothing reads the roots below it to make anything of them any more.
    await appendMany(backend, "large", 65_536 + 300);
    attacker = await PostgresAttacker.login(target.options);
  }, 300_000);

  afterAll(async () => {
    await attacker.logout();
    await target.close();
  });

  const flip = (column: string) =>
    `${column} = set_byte(${column}, 17, get_byte(${column}, 17) # 4)`;

  async function change(text: string, back: string) {
    expect(await attacker.query(`${text} RETURNING 1`)).toHaveLength(1);
    onTestFinished(async () => {
      await attacker.query(back);
    });
    return verify(target.options, "large");
  }

  test("nothing is wrong with it", async () => {
    expect(await verify(target.options, "large")).toMatchObject({
      verdict: "unanchored",
      checks: { root: 261 },
    });
  }, 120_000);

  test.each([
    [0, 0],
    [0, 77],
    [0, 255],
    [0, 256],
    [1, 0],
  ])(
    "is compared: the root of tile %i/%i",
    async (level, index) => {
      const text = `UPDATE codespar.audit_tiles SET ${flip("root")} WHERE org_id = 'large' AND level = ${level} AND index = ${index}`;
      const found = await change(text, text);
      expect(found).toMatchObject({
        verdict: "tampered",
        firstFailure: { seq: index * 256 ** (level + 1), check: "root" },
      });
      expect(found.firstFailure?.message).toMatch(
        /the bytes have the hash \S+, the stored tree holds/,
      );
    },
    120_000,
  );

  test.each([
    [
      "a tile that the trail is too short for",
      0,
      "INSERT INTO codespar.audit_tiles VALUES ('large', 0, 900, '', '')",
    ],
    [
      "a part of no entry",
      70_000,
      "INSERT INTO codespar.audit_parts VALUES ('large', 70000, 'details', '', '')",
    ],
    [
      "an open intent of no entry",
      70_000,
      "INSERT INTO codespar.audit_open_intents VALUES ('large', 70000, 'c')",
    ],
    [
      "an open intent that no entry was",
      500,
      "INSERT INTO codespar.audit_open_intents VALUES ('large', 500, 'c')",
    ],
  ])(
    "%s is found",
    async (_what, seq, text) => {
      const table = /INTO (\S+)/.exec(text)?.[1] ?? "";
      const key = table.endsWith("tiles") ? "index = 900" : `seq = ${seq}`;
      const found = await change(text, `DELETE FROM ${table} WHERE org_id = 'large' AND ${key}`);
      expect(found).toMatchObject({ verdict: "tampered", firstFailure: { seq } });
    },
    120_000,
  );

  test("a tile that is gone is located", async () => {
    await attacker.query(
      "CREATE TABLE gone AS SELECT * FROM codespar.audit_tiles WHERE level = 0 AND index = 3",
    );
    const found = await change(
      "DELETE FROM codespar.audit_tiles WHERE org_id = 'large' AND level = 0 AND index = 3",
      "INSERT INTO codespar.audit_tiles SELECT * FROM gone",
    );
    expect(found).toMatchObject({
      verdict: "tampered",
      firstFailure: { seq: 768, check: "root", actual: "no hash" },
    });
  }, 120_000);

  test("a trail without its name is no empty one", async () => {
    const found = await change(
      "DELETE FROM codespar.audit_heads WHERE org_id = 'large'",
      "INSERT INTO codespar.audit_heads SELECT org_id, convert_from(leaf, 'UTF8')::json ->> 'log' FROM audit_log WHERE org_id = 'large' AND seq = 0",
    );
    expect(found).toMatchObject({ verdict: "tampered", firstFailure: { seq: 0 } });
  }, 120_000);
});

describeAttacks("what is done while a handle is open", (scene) => {
  test("an erasure is no tampering to a handle that was opened before it", async () => {
    const { options } = scene.attacker;
    const readOnly = options.directory === undefined ? {} : { readOnly: true };
    // As another process would: handles of one process see the same.
    const backend = openBackend({ ...options, ...readOnly });
    onTestFinished(() => backend.close());
    const { verify: verifyAgain } = auditVerification({
      backend,
      orgId: "acme",
      actor: systemActor,
      maxValueBytes: 1,
      clock: Date.now,
      assertOpen: () => undefined,
    });
    expect((await verifyAgain()).redacted).toBe(1);
    await using writing = createStorage("acme", options);
    await writing.audit.redact(100, "asked for");
    await writing.audit.redact(285, "asked for");
    // On files, what is erased is overwritten a moment later.
    for (let redacted = 0; redacted < 3; ) {
      const again = await verifyAgain();
      expect(again).toMatchObject({ verdict: "unanchored", firstFailure: null });
      redacted = again.redacted;
    }
  });

  test("an intent that gets its outcome behind the end is none that is missing", async () => {
    await using storage = createStorage("acme", scene.attacker.options);
    const intent = await storage.audit.intent({ action: "db.drop" });
    const verifying = storage.audit.verify();
    await storage.audit.outcome(intent, "success");
    expect(await verifying).toMatchObject({ verdict: "unanchored", firstFailure: null });
  });
});

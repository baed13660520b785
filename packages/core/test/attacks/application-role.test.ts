import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { formatCheckpoint, signCheckpoint } from "../../src/audit/checkpoint.ts";
import { formatVerifier, noteSigner } from "../../src/audit/signed-note.ts";
import { createStorage, type Storage } from "../../src/index.ts";
import { sizeKey } from "../../src/storage/domains/audit-keys.ts";
import { legs, type Target } from "../support/legs.ts";
import { makeVictim, type Victim, verify } from "./victim.ts";

/*
 * Somebody with the application's role of PostgreSQL and no more: triggers stand. What may be refused is refused, and what can't be is no
 * hindrance to whoever has the key ring.
 */

let target: Target;
let victim: Victim;
let storage: Storage;
let client: pg.Client;

beforeAll(async () => {
  const leg = legs.find(({ name }) => name === "PostgreSQL");
  if (leg === undefined) throw new Error("no PostgreSQL");
  target = await leg.open();
  client = new pg.Client({ connectionString: target.options.databaseUrl });
  await client.connect();
}, 120_000);

afterAll(async () => {
  await client?.end();
  await target?.close();
});

beforeEach(async () => {
  const orgId = `acme-${randomUUID().slice(0, 8)}`;
  victim = await makeVictim(target.options, orgId);
  storage = createStorage(orgId, target.options);
});

afterEach(() => storage.close());

/** Runs a statement as the application, and commits it. */
async function attack(text: string, values: readonly unknown[] = []): Promise<void> {
  try {
    await client.query("BEGIN");
    await client.query("SET LOCAL ROLE codespar_app");
    await client.query("SELECT set_config('codespar.org_id', $1, true)", [victim.orgId]);
    await client.query("SELECT set_config('codespar.erasing', $1, true)", [
      `organisation ${victim.orgId}`,
    ]);
    await client.query(text, [...values]);
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  }
}

/** The SQLSTATE that a statement fails with. */
async function refusal(text: string, values: readonly unknown[] = []): Promise<unknown> {
  return attack(text, values).then(
    () => "nothing refused it",
    (error: pg.DatabaseError) => error.code,
  );
}

const columns = "version, created_at, updated_at, expires_at";
const meta = "'v', now(), now(), NULL";

const addCheckpoint = `INSERT INTO codespar.audit_checkpoints (org_id, size, note, ${columns}) VALUES (current_setting('codespar.org_id'), $1, $2, ${meta})`;
const addKey = `INSERT INTO codespar.audit_keys (org_id, generation, vkey, seed, ${columns}) VALUES (current_setting('codespar.org_id'), $1, $2, 'v1.none.AAAA', ${meta})`;
const addAnchor = `INSERT INTO codespar.audit_anchors (org_id, anchor, size, anchored_at, ${columns}) VALUES (current_setting('codespar.org_id'), 'other', $1, now(), ${meta})`;

const log = () => victim.signer.name;
/** A key whose private part the attacker has. */
const own = () => noteSigner(log(), Buffer.alloc(32, 7));

async function rootOf(size: number): Promise<Buffer> {
  return Buffer.from((await storage.audit.consistency(0, size)).to.root, "hex");
}

/** A checkpoint of the trail as it is, which no key of the trail signed. */
async function unsigned(size: number): Promise<string> {
  return signCheckpoint({ origin: log(), size, root: await rootOf(size) }, [own()]);
}

describe("the application's role", () => {
  test.each([
    "DELETE FROM codespar.audit_keys",
    "DELETE FROM codespar.audit_anchors",
    "DELETE FROM codespar.audit_checkpoints",
    "TRUNCATE codespar.audit_keys",
    "TRUNCATE codespar.audit_anchors",
  ])("may not %s", async (statement) => {
    expect(await refusal(statement)).toBe("42501");
  });

  test.each([
    "audit_keys SET seed = NULL, retired_at = now()",
    "audit_keys SET seed = NULL",
    "audit_keys SET retired_at = now()",
    "audit_keys SET seed = 'v1.none.AAAA'",
    "audit_keys SET vkey = vkey || 'A'",
    "audit_keys SET generation = '00000002'",
    "audit_keys SET created_at = now()",
    "audit_keys SET expires_at = now()",
    "audit_anchors SET size = '0000000000000271'",
    "audit_anchors SET size = '0000000000000001'",
    "audit_anchors SET size = 'x'",
    "audit_anchors SET anchor = 'another'",
    "audit_anchors SET expires_at = now()",
  ])("can't UPDATE codespar.%s", async (change) => {
    expect(await refusal(`UPDATE codespar.${change}`)).toBe("CS005");
  });

  test("adds no key that isn't one of this trail, or is far from the others", async () => {
    const vkey = formatVerifier(own());
    const other = formatVerifier(noteSigner(`${log()}0`, Buffer.alloc(32, 7)));
    const swapped = `${log()}+${victim.signer.keyId}+${vkey.split("+").slice(2).join("+")}`;
    for (const [generation, text] of [
      ["00000000", vkey],
      ["00001002", vkey],
      ["99999999", vkey],
      ["2", vkey],
      ["00000002", "x"],
      ["00000002", `${vkey}A`],
      ["00000002", other],
      ["00000002", swapped],
    ])
      expect([text, await refusal(addKey, [generation, text])]).toEqual([text, "CS005"]);
  });

  test("adds no key that looks as if it had signed", async () => {
    const retired = addKey.replace("seed,", "retired_at,").replace("'v1.none.AAAA'", "now()");
    expect(await refusal(retired, ["00000002", formatVerifier(own())])).toBe("CS005");
  });

  test("says of no anchor that it took what isn't there", async () => {
    for (const size of [271, 200, 122])
      expect(await refusal(addAnchor, [sizeKey(size)])).toBe("CS005");
    expect(await refusal(addAnchor, [sizeKey(270)])).toBe("nothing refused it");
  });

  test("stores no checkpoint that contradicts the trail", async () => {
    const note = await unsigned(290);
    const [size, next] = [sizeKey(290), sizeKey(301)];
    const wrongRoot = signCheckpoint({ origin: log(), size: 290, root: await rootOf(289) }, [
      own(),
    ]);
    const beyond = signCheckpoint({ origin: log(), size: 301, root: await rootOf(300) }, [own()]);
    const elsewhere = noteSigner("codespar/log/other", Buffer.alloc(32, 7));
    const foreign = { origin: elsewhere.name, size: 290, root: await rootOf(290) };
    const empty = signCheckpoint({ origin: log(), size: 0, root: await rootOf(1) }, [own()]);
    for (const [under, text, code] of [
      [sizeKey(0), empty, "CS005"],
      [next, beyond, "CS005"],
      [sizeKey(289), note, "CS005"],
      [size, wrongRoot, "CS005"],
      [size, signCheckpoint(foreign, [elsewhere]), "CS005"],
      [size, note.replaceAll("— ", "- "), "CS005"],
      [size, note.replace(/\n$/, ""), "CS005"],
      [size, note.replace(/.=\n$/, "B=\n"), "CS005"],
      [size, formatCheckpoint({ ...foreign, origin: log() }), "CS005"],
      [size, "x", "CS005"],
      ["290", note, "CS005"],
      ["another", note, "CS005"],
      [sizeKey(270), await unsigned(270), "CS001"],
      [sizeKey(200), await unsigned(200), "CS001"],
    ] as const)
      expect([under, text, await refusal(addCheckpoint, [under, text])]).toEqual([
        under,
        text,
        code,
      ]);
    expect(await refusal(addCheckpoint, [size, note])).toBe("nothing refused it");
  });

  test("can't have the key retired by one of its own", async () => {
    await attack(addKey, ["00000002", formatVerifier(own())]);
    const text = formatCheckpoint({ origin: log(), size: 300, root: await rootOf(300) });
    // The real key's line, with a signature of something else.
    const [line] = victim.second.note.split("\n").slice(-2);
    const [, ownLine] = (await unsigned(300)).split("\n\n");
    await attack(addCheckpoint, [sizeKey(300), `${text}\n${line}\n${ownLine}`]);
    const retire = "UPDATE codespar.audit_keys SET seed = NULL, retired_at = now()";
    expect(await refusal(`${retire} WHERE generation = '00000001'`)).toBe("CS005");
  });

  test("stops neither signing, proving, exporting nor rotating by what it can store", async () => {
    const { audit } = storage;
    const vkey = formatVerifier(own());
    await attack(addKey, ["00000002", vkey]);
    for (const size of [280, 300])
      await attack(addCheckpoint, [sizeKey(size), await unsigned(size)]);
    await attack(`UPDATE codespar.audit_anchors SET size = '${sizeKey(300)}'`);
    const checkpoint = await audit.checkpoint();
    const [entry] = (await audit.list({ action: "audit.checkpoint_foreign" })).items;
    expect(entry).toMatchObject({ seq: 300, target: { type: "audit_checkpoint", id: "300" } });
    expect(checkpoint).toMatchObject({ size: 301 });
    expect(checkpoint.note).toContain(`— ${log()} `);
    const sizes = (await audit.checkpoints()).items.map(({ size }) => size);
    expect(sizes).toEqual([301, 270, 121]);
    expect((await audit.prove(299)).checkpoint.size).toBe(301);
    const rotated = await audit.rotateKey();
    expect(rotated.vkey).not.toBe(vkey);
    await audit.append({ action: "test.later" });
    await audit.checkpoint();
    const found = await verify(target.options, victim.orgId);
    expect(found).toMatchObject({ verdict: "tampered", firstFailure: { check: "signature" } });
    expect(found.firstFailure?.message).toMatch(
      /^the checkpoint of 280 entries: none of the trusted keys signed the note$/,
    );
  });
});

test("verification names a signing key that a superuser removed", async () => {
  await client.query("SELECT set_config('codespar.erasing', $1, false)", [
    `organisation ${victim.orgId}`,
  ]);
  await client.query("DELETE FROM codespar.audit_keys WHERE org_id = $1", [victim.orgId]);
  const { firstFailure } = await verify(target.options, victim.orgId);
  expect(firstFailure).toMatchObject({ check: "signature" });
  expect(firstFailure?.message).toBe(
    `the signing key ${victim.vkey}, which entry ${firstFailure?.seq} announces, is missing among the trail's stored keys`,
  );
});

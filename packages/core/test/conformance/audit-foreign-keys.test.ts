import { text } from "node:stream/consumers";
import pg from "pg";
import { expect, test } from "vitest";
import { formatVerifier, noteSigner } from "../../src/audit/signed-note.ts";
import { deploymentOf, type Storage } from "../../src/index.ts";
import type { RecordRef } from "../../src/storage/backend.ts";
import { describeEachBackend, type TestBackend } from "../support/backends.ts";
import { onPort, plant } from "../support/port.ts";

const generation = (number: number): RecordRef => ({
  table: "audit_keys",
  key: [String(number).padStart(8, "0")],
});

/** Takes a key away as the tables' owner does, see docs/reference/postgres.md. */
async function remove(backend: TestBackend, ref: RecordRef): Promise<void> {
  const { databaseUrl } = backend.options();
  if (databaseUrl === undefined) {
    const commit = { checks: [], writes: [{ kind: "delete", ...ref } as const], appends: [] };
    await onPort(backend, (port) =>
      port.commit(backend.orgId, commit, { now: backend.clock.nowMs }),
    );
    return;
  }
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query(`
      BEGIN;
      SET LOCAL codespar.maintenance = 'on';
      SET LOCAL codespar.erasing = 'organisation ${backend.orgId}';
      DELETE FROM codespar.audit_keys WHERE org_id = '${backend.orgId}' AND generation = '${ref.key[0]}';
      COMMIT`);
  } finally {
    await client.end();
  }
}

/** A trail whose second key was put there by somebody else, and whose third is its own. */
async function planted(backend: TestBackend): Promise<Storage> {
  const before = backend.open();
  const { log } = await before.audit.append({ action: "test.first" });
  await before.audit.checkpoint();
  await before.close();
  const vkey = formatVerifier(noteSigner(log, Buffer.alloc(32, 7)));
  const columns = { vkey, seed: "v1.none.AAAA", retired_at: null };
  await plant(backend, backend.orgId, generation(2), columns);
  const after = backend.open();
  await after.audit.rotateKey();
  expect((await after.audit.keys()).map((key) => key.vkey === vkey)).toEqual([false, true, false]);
  await after.close();
  return after;
}

describeEachBackend("a signing key of somebody else", { otherProcesses: true }, (backend) => {
  test("that was removed leaves a gap, behind which the trail rotates on", async () => {
    await planted(backend);
    await remove(backend, generation(2));
    const { audit } = backend.open();
    const [second, first] = await audit.keys();
    const third = await audit.rotateKey();
    expect(await audit.keys()).toEqual([
      third,
      { ...second, retiredAt: expect.any(String) },
      first,
    ]);
    expect(await audit.verify()).toMatchObject({ firstFailure: null });
  });

  test("that was removed is no hindrance to take the trail elsewhere", async () => {
    await planted(backend);
    await remove(backend, generation(2));
    const storage = backend.open();
    const keys = await storage.audit.keys();
    const { organisations } = deploymentOf(storage);
    const archive = await text(await organisations.export(backend.orgId));
    await organisations.erase(backend.orgId, { confirm: backend.orgId });
    await organisations.import(backend.orgId, async function* () {
      yield archive;
    });
    expect(await storage.audit.keys()).toEqual(keys);
    await storage.audit.rotateKey();
    expect(await storage.audit.verify()).toMatchObject({ firstFailure: null });
  });
});

import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { inspect } from "node:util";
import pg from "pg";
import { expect, test } from "vitest";
import { testSecret } from "../../../../tooling/secrets.ts";
import type { Storage } from "../../src/index.ts";
import { organisationFolder } from "../../src/storage/file/layout.ts";
import {
  envelopeOf,
  type SealedRef,
  type SealedTable,
  sealedColumns,
  sealedTables,
} from "../../src/storage/stored-keys.ts";
import { tables } from "../../src/storage/tables.ts";
import { describeEachBackend, type TestBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";
import { onPort } from "../support/port.ts";

interface Place {
  readonly orgId: string;
  readonly ref: SealedRef;
}

/** What each secret is, so that none can be taken for another. */
const textOf = (what: string) => testSecret(`clear ${what}`);

/** Two organisations, with two records in each sealed table. */
async function fill(backend: TestBackend): Promise<void> {
  const storage = backend.open();
  for (const orgId of orgIdsOf(backend)) {
    const organisation = storage.forOrg(orgId);
    for (const name of ["sentry", "vercel"]) {
      await organisation.channelConfigs.set(name, { credentials: { token: textOf(name) } });
      const teamId = `${name}-${orgId}`;
      await organisation.slackInstallations.set({ teamId, tokens: { token: textOf(name) } });
    }
    await organisation.audit.checkpoint();
  }
  await storage.close();
}

const orgIdsOf = ({ orgId }: TestBackend) => [orgId, `${orgId}-b`];

/** Where secrets are, with what seals them. */
function envelopes(backend: TestBackend): Promise<(Place & { readonly envelope: string })[]> {
  return onPort(backend, async (port) => {
    const found: (Place & { readonly envelope: string })[] = [];
    for (const orgId of orgIdsOf(backend)) {
      for (const table of sealedTables) {
        const query = { table, limit: 10 };
        for (const { key, columns } of await port.list(orgId, query, { now: backend.clock.nowMs }))
          found.push({ orgId, ref: { table, key }, envelope: envelopeOf(table, columns) ?? "" });
      }
    }
    return found;
  });
}

/** Opens what is stored there, as whoever uses it would. */
async function use(storage: Storage, { orgId, ref }: Place): Promise<unknown> {
  const { channelConfigs, slackInstallations, audit } = storage.forOrg(orgId);
  const [id = ""] = ref.key;
  const uses: Record<SealedTable, () => Promise<unknown>> = {
    channel_configs: () => channelConfigs.getCredentials(id),
    slack_installations: () => slackInstallations.getTokens({ teamId: id.replace("team:", "") }),
    audit_keys: async () => {
      await audit.append({ action: "test.done" });
      return audit.checkpoint();
    },
  };
  return uses[ref.table]();
}

/** Puts an envelope into a place with nothing of ours in between, as somebody with a copy of the disk or the database could. */
function overwrite(backend: TestBackend, place: Place, from: string, to: string): Promise<void> {
  const { databaseUrl, directory = "" } = backend.target.options;
  return databaseUrl === undefined
    ? overwriteFile(directory, place, from, to)
    : overwriteRow(databaseUrl, place, to);
}

async function overwriteRow(connectionString: string, { orgId, ref }: Place, to: string) {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const schema = ref.table === "audit_keys" ? "codespar" : "public";
    const [key] = tables[ref.table].key;
    const { rowCount } = await client.query(
      `UPDATE ${schema}.${ref.table} SET ${sealedColumns[ref.table]} = $1 WHERE org_id = $2 AND ${key} = $3`,
      [to, orgId, ref.key[0]],
    );
    expect(rowCount).toBe(1);
  } finally {
    await client.end();
  }
}

/** The table's file, with its checksum made right again. */
async function overwriteFile(directory: string, { orgId, ref }: Place, from: string, to: string) {
  const path = `${directory}/orgs/${organisationFolder(orgId)}/${ref.table}.json`;
  const before = await readFile(path, "utf8");
  const ofRecord = `"${tables[ref.table].key[0]}":${JSON.stringify(ref.key[0])},`;
  const lines = before.split("\n");
  const changed = lines
    .map((line) => (line.includes(ofRecord) ? line.replace(from, to) : line))
    .join("\n");
  expect(changed).not.toBe(before);
  const covered = changed.slice(0, changed.lastIndexOf(',"sum":"'));
  const sum = createHash("sha256").update(covered).digest("hex");
  await writeFile(path, `${covered},"sum":"${sum}"}\n`);
}

/** Of each kind of move one: within the table, from the same table of the other organisation, and from each other table. */
function isWorthMoving(source: Place, target: Place): boolean {
  return source.orgId === target.orgId || source.ref.table === target.ref.table;
}

const onTargetsOfTheirOwn = { targetPerTest: true, otherProcesses: true };

describeEachBackend("an envelope that was moved", onTargetsOfTheirOwn, (backend) => {
  test("opens in no other record, table or organisation, whichever column it seals", async () => {
    await fill(backend);
    const all = await envelopes(backend);
    expect(all).toHaveLength(10);
    for (const target of all.filter(({ orgId }) => orgId === backend.orgId)) {
      const others = all.filter((source) => source !== target && isWorthMoving(source, target));
      expect(others.length).toBeGreaterThan(2);
      let there = target.envelope;
      for (const { envelope } of others) {
        await overwrite(backend, target, there, envelope);
        there = envelope;
        const storage = backend.open();
        const error = await expectCode(use(storage, target), "DECRYPTION_FAILED");
        expect(inspect(error, { depth: 20 })).not.toContain("clear ");
        await storage.close();
      }
      await overwrite(backend, target, there, target.envelope);
      const storage = backend.open();
      await use(storage, target);
      await storage.close();
    }
  });
});

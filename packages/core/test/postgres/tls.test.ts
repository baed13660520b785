import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Cluster,
  createTestDatabase,
  hasOpenssl,
  OPENSSL_MISSING,
  selfSigned,
  startCluster,
} from "../../../../tooling/postgres.ts";
import { removeScratch, scratchFolder } from "../../../../tooling/secrets.ts";
import { createStorage, migrate } from "../../src/index.ts";
import { expectCode } from "../support/expect-code.ts";
import { query } from "./support.ts";

/** A database of the server that lets nobody in without TLS. */
async function insistingDatabase(cluster: Cluster): Promise<string> {
  const { name, url } = await createTestDatabase({ adminUrl: cluster.adminUrl });
  const rules = [
    `hostssl ${name} all all trust`,
    `host ${name} all all reject`,
    "host all all all trust",
  ];
  await query(
    cluster.adminUrl,
    `COPY (VALUES ${rules.map((rule) => `('${rule}')`).join()}) TO '${cluster.socketFolder}/data/pg_hba.conf'`,
  );
  await query(cluster.adminUrl, "SELECT pg_reload_conf()");
  await expect.poll(() => query(url, "SELECT 1").catch(() => "refused")).toBe("refused");
  return url;
}

function withParameters(url: string, parameters: Readonly<Record<string, string>>): string {
  const changed = new URL(url);
  for (const [name, value] of Object.entries(parameters)) changed.searchParams.set(name, value);
  return changed.href;
}

/** Whether the connections of a storage are encrypted. */
async function isEncrypted(cluster: Cluster, databaseUrl: string): Promise<unknown[]> {
  await using storage = createStorage("tls", { databaseUrl });
  await storage.memory.set("agent", "key", 1);
  expect(await storage.memory.get("agent", "key")).toBe(1);
  return await query(
    cluster.adminUrl,
    "SELECT DISTINCT s.ssl FROM pg_stat_ssl AS s JOIN pg_stat_activity AS a USING (pid) WHERE a.application_name = 'codespar'",
  );
}

async function refusal(databaseUrl: string): Promise<string> {
  await using storage = createStorage("tls", { databaseUrl });
  const { message } = await expectCode(storage.memory.get("agent", "key"), "UNAVAILABLE");
  expect((await expectCode(migrate({ databaseUrl }), "UNAVAILABLE")).message).toBe(message);
  return message;
}

describe.skipIf(!hasOpenssl())(`a server with TLS (${OPENSSL_MISSING})`, () => {
  let cluster: Cluster;
  let folder: string;
  let authority: string;
  let stranger: string;

  beforeAll(async () => {
    const tls = await selfSigned("127.0.0.1");
    cluster = await startCluster({ tls });
    folder = await scratchFolder("tls");
    authority = join(folder, "authority.pem");
    stranger = join(folder, "stranger.pem");
    await writeFile(authority, tls.certificate);
    await writeFile(stranger, (await selfSigned("127.0.0.1")).certificate);
    await migrate({ databaseUrl: withParameters(cluster.adminUrl, { sslmode: "require" }) });
  });

  afterAll(async () => {
    await cluster[Symbol.asyncDispose]();
    await removeScratch(folder);
  });

  test.each(["prefer", "require", "no-verify"])(
    "is used encrypted with sslmode=%s",
    async (sslmode) => {
      const url = withParameters(cluster.adminUrl, { sslmode });
      expect(await isEncrypted(cluster, url)).toEqual([true]);
    },
  );

  test.each(["disable", "allow"])("is used in clear with sslmode=%s", async (sslmode) => {
    const url = withParameters(cluster.adminUrl, { sslmode });
    expect(await isEncrypted(cluster, url)).toEqual([false]);
  });

  test.each(["require", "verify-ca", "verify-full"])(
    "is used with sslmode=%s and its authority",
    async (sslmode) => {
      const url = withParameters(cluster.adminUrl, { sslmode, sslrootcert: authority });
      expect(await isEncrypted(cluster, url)).toEqual([true]);
    },
  );

  test.each(["require", "verify-ca", "verify-full"])(
    "isn't trusted with sslmode=%s and another authority",
    async (sslmode) => {
      const url = withParameters(cluster.adminUrl, { sslmode, sslrootcert: stranger });
      expect(await refusal(url)).toMatch(/certificate.*sslrootcert=.*sslmode=require/);
    },
  );

  test("isn't trusted with sslmode=verify-full and the system's authorities", async () => {
    const url = withParameters(cluster.adminUrl, { sslmode: "verify-full" });
    expect(await refusal(url)).toMatch(/certificate.*sslrootcert=.*sslmode=require/);
  });

  test("isn't trusted with sslmode=verify-full under another name, which verify-ca minds not", async () => {
    const named = cluster.adminUrl.replace("127.0.0.1", "localhost");
    const url = withParameters(named, { sslmode: "verify-full", sslrootcert: authority });
    expect(await refusal(url)).toMatch(/certificate is for another host.*sslmode=verify-ca/);
    const lenient = withParameters(named, { sslmode: "verify-ca", sslrootcert: authority });
    expect(await isEncrypted(cluster, lenient)).toEqual([true]);
  });

  test("with a sslrootcert that can't be read says so", async () => {
    const url = withParameters(cluster.adminUrl, {
      sslmode: "verify-full",
      sslrootcert: join(folder, "none.pem"),
    });
    expect(await refusal(url)).toMatch(/none\.pem.*sslrootcert/);
  });

  test("that insists on it is used encrypted though the URL doesn't say so, but not with sslmode=disable", async () => {
    const url = await insistingDatabase(cluster);
    await migrate({ databaseUrl: url });
    for (const sslmode of ["allow", "prefer"])
      expect(await isEncrypted(cluster, withParameters(url, { sslmode }))).toEqual([true]);
    expect(await isEncrypted(cluster, url)).toEqual([true]);
    expect(await refusal(withParameters(url, { sslmode: "disable" }))).toContain("sslmode=require");
  });
});

describe("a server without TLS", () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster();
    await migrate({ databaseUrl: cluster.adminUrl });
  });

  afterAll(() => cluster[Symbol.asyncDispose]());

  test("is used in clear with sslmode=prefer", async () => {
    const url = withParameters(cluster.adminUrl, { sslmode: "prefer" });
    expect(await isEncrypted(cluster, url)).toEqual([false]);
    await migrate({ databaseUrl: url });
  });

  test("is not used with sslmode=require", async () => {
    const url = withParameters(cluster.adminUrl, { sslmode: "require" });
    expect(await refusal(url)).toMatch(/no TLS.*sslmode=/);
  });
});

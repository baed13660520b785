import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  createStorage,
  deploymentOf,
  type RotationReport,
  type SecretsStatus,
  serverHolding,
} from "@codespar/core";
import { testKey, testSecret } from "@codespar/tooling/secrets";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { outcomeOf } from "../support/run-cli.ts";
import { eachWay, type Place, ways } from "../support/storages.ts";

/** Stores a secret, through the server where one holds the files. */
async function store(place: Place, orgId: string, name: string, token: string): Promise<void> {
  const directory = join(place.cli.folder, ".codespar");
  const { DATABASE_URL: databaseUrl, CODESPAR_ENCRYPTION_KEY: encryptionKey } = place.env;
  const credentials = { token };
  if (databaseUrl !== undefined && encryptionKey !== undefined) {
    await using storage = createStorage(orgId, { databaseUrl, encryptionKey });
    await storage.channelConfigs.set(name, { credentials });
    return;
  }
  const server = await serverHolding(directory);
  if (server === null) {
    await using storage = createStorage(orgId, { directory });
    await storage.channelConfigs.set(name, { credentials });
    return;
  }
  const answer = await fetch(`${server.url}/api/integrations/${name}`, {
    method: "PUT",
    headers: { "content-type": "application/json", "x-org-id": orgId },
    body: JSON.stringify({ credentials }),
  });
  expect(answer.status).toBe(201);
}

describe.each(eachWay)("secrets on %s", (name, open) => {
  const onFiles = name !== "postgres";
  let place: Place;
  beforeEach(async () => {
    place = await open();
    for (const orgId of ["acme", "beta"])
      for (const each of ["sentry", "vercel"]) await store(place, orgId, each, `${orgId} ${each}`);
  });
  afterEach(() => place[Symbol.asyncDispose]());

  async function json<Result>(args: readonly string[], env = place.env): Promise<Result> {
    const { code, stdout, stderr } = await place.cli.run([...args, "--json"], { env });
    expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: "" });
    return JSON.parse(stdout) as Result;
  }

  it("are sealed anew under another key, and nothing is left on the earlier one", async () => {
    const before = await json<SecretsStatus>(["secrets", "status"]);
    expect(before).toMatchObject({
      source: onFiles ? "folder" : "configured",
      keys: [{ active: true, available: true, records: 4 }],
      remaining: 0,
    });
    const old = before.activeKey ?? "";
    // Files keep their own key, which is replaced when asked; of a configured one the operator puts the new one first.
    const fresh = testKey();
    const both = `${fresh},${place.env["CODESPAR_ENCRYPTION_KEY"]}`;
    const env = onFiles ? place.env : { ...place.env, CODESPAR_ENCRYPTION_KEY: both };
    const newKey = onFiles ? ["--new-key"] : [];
    const rotated = await place.cli.run(["secrets", "rotate", ...newKey], { env });
    expect(rotated.code).toBe(0);
    const [, id] =
      /^4 records sealed anew under the key ([0-9a-f]{12}); 0 records are left on earlier keys\n$/.exec(
        rotated.stdout,
      ) ?? [];
    expect(id).not.toBe(old);
    expect(rotated.stderr).toContain(onFiles ? "keys/encryption.key" : "can go from CODESPAR");
    const alone = onFiles ? place.env : { ...place.env, CODESPAR_ENCRYPTION_KEY: fresh };
    const { code, stdout, stderr } = await place.cli.run(["secrets", "status"], { env: alone });
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: "0 records are left on earlier keys.\n",
    });
    const lines = stdout.split("\n");
    expect(lines[0]).toMatch(/^KEY +RECORDS +CANARY +STATE$/);
    expect(lines[1]).toMatch(new RegExp(`^${id} +4 +yes +active$`));
    const trail = await json<{ items: { actor: { id: string }; details: unknown }[] }>(
      ["audit", "list", "--org", "acme", "--action", "secrets.rotated"],
      alone,
    );
    expect(trail.items).toMatchObject([
      { actor: { id: "cli" }, details: { from: [old], to: id, records: 2 } },
    ]);
    expect(await json<RotationReport>(["secrets", "rotate"], alone)).toMatchObject({
      finished: true,
      activeKey: id,
      resealed: 0,
      remaining: 0,
    });
  });

  it("stay as they are when no rotation is open, which is said", async () => {
    const before = await json<SecretsStatus>(["secrets", "status"]);
    const { code, stdout, stderr } = await place.run(["secrets", "rotate"]);
    const nothing = "0 records on the old key; nothing to rotate";
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `${onFiles ? `${nothing}. --new-key makes a new key` : nothing}\n`,
    });
    if (onFiles) expect(stderr).toBe("");
    else expect(stderr).toContain("put it first: CODESPAR_ENCRYPTION_KEY=NEW,OLD");
    expect(await json<SecretsStatus>(["secrets", "status"])).toEqual(before);
  });

  it("work on all organisations", async () => {
    for (const command of ["status", "rotate"]) {
      const refused = await place.run(["secrets", command, "--org", "acme"]);
      expect(refused).toMatchObject({ code: 2, stdout: "" });
      expect(refused.stderr).toContain("--org is not for secrets");
    }
  });

  it.runIf(!onFiles)("have no new key made where it is configured", async () => {
    const refused = await place.runApart(["secrets", "rotate", "--new-key"]);
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toContain("CODESPAR_ENCRYPTION_KEY=NEW,OLD");
    expect(refused.stderr).toContain("[VALIDATION]");
  });

  it.runIf(!onFiles)("say what to do when a key is missing", async () => {
    const env = { ...place.env, CODESPAR_ENCRYPTION_KEY: testKey() };
    const status = await place.cli.run(["secrets", "status"], { env });
    expect(status.code).toBe(0);
    expect(status.stdout).toMatch(/^[0-9a-f]{12} +4 +yes +missing$/m);
    expect(status.stderr).toContain("CODESPAR_ENCRYPTION_KEY=ACTIVE,MISSING");
    const rotation = await place.cli.run(["secrets", "rotate"], { env });
    expect(rotation).toMatchObject({ code: 2, stdout: "" });
    expect(rotation.stderr).toMatch(/^codespar: [^\n]+\[KEY_MISMATCH\]\n$/);
    for (const key of env.CODESPAR_ENCRYPTION_KEY.split(","))
      expect(rotation.stderr + status.stdout + status.stderr).not.toContain(key);
  });
});

it("a rotation that only has to end is told of, and ended", async () => {
  await using place = await ways["files, directly"]();
  await store(place, "acme", "sentry", testSecret());
  const file = join(place.cli.folder, ".codespar", "keys", "encryption.key");
  const key = (await readFile(file, "utf8")).trim();
  await writeFile(file, `${key},${testKey()}\n`);
  const status = await place.run(["secrets", "status"]);
  expect(status.stderr).toContain("but a rotation hasn't ended");
  const rotated = await place.run(["secrets", "rotate"]);
  expect(rotated.stdout).toMatch(/^0 records sealed anew under the key /);
  expect((await readFile(file, "utf8")).trim()).toBe(key);
  expect((await place.run(["secrets", "status"])).stderr).toBe(
    "0 records are left on earlier keys.\n",
  );
});

it("a rotation that is killed goes on when it is run again", async () => {
  await using place = await ways.postgres();
  const { DATABASE_URL: databaseUrl = "", CODESPAR_ENCRYPTION_KEY: old = "" } = place.env;
  const organisations = Array.from({ length: 50 }, (_, i) => `org-${i}`);
  {
    await using storage = createStorage("acme", { databaseUrl, encryptionKey: old });
    for (const orgId of organisations) {
      const { channelConfigs } = storage.forOrg(orgId);
      await channelConfigs.set("sentry", { credentials: { token: testSecret(orgId) } });
    }
  }
  const fresh = testKey();
  const encryptionKey = `${fresh},${old}`;
  const env = { ...place.env, CODESPAR_ENCRYPTION_KEY: encryptionKey };
  const child = place.cli.spawn(["secrets", "rotate"], { env });
  const ended = outcomeOf(child);
  await using storage = createStorage("acme", { databaseUrl, encryptionKey });
  const { secrets } = deploymentOf(storage);
  while ((await secrets.status()).remaining === organisations.length) await sleep(5);
  child.kill("SIGKILL");
  await ended;
  const { code, stdout } = await place.cli.run(["secrets", "rotate", "--json"], { env });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ finished: true, remaining: 0 });
  await storage.close();
  await using alone = createStorage("acme", { databaseUrl, encryptionKey: fresh });
  for (const orgId of organisations) {
    const { audit, channelConfigs } = alone.forOrg(orgId);
    expect((await channelConfigs.getCredentials("sentry"))?.["token"]?.reveal()).toBe(
      testSecret(orgId),
    );
    expect((await audit.list({ action: "secrets.rotated" })).items).toHaveLength(1);
  }
});

it("a storage without secrets has no key to rotate", async () => {
  const [, open] = eachWay[0] ?? [];
  if (open === undefined) throw new Error("there is no way to a storage");
  await using place = await open();
  const { stdout, stderr } = await place.run(["secrets", "status"]);
  expect({ stdout, stderr }).toEqual({
    stdout: "",
    stderr: "There is no key: no secret was stored yet.\n",
  });
  const rotated = await place.run(["secrets", "rotate"]);
  expect(rotated).toMatchObject({ code: 0, stderr: "" });
  expect(rotated.stdout).toBe("no secret was stored yet: there is nothing to seal anew\n");
  const key = join(place.cli.folder, ".codespar", "keys", "encryption.key");
  await expect(readFile(key)).rejects.toThrow("ENOENT");
});

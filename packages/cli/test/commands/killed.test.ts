import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  createStorage,
  type Deployment,
  deploymentOf,
  deploymentOrgId,
  type ErasureReport,
  type RotationReport,
  type Storage,
  type StorageOptions,
} from "@codespar/core";
import { everyRow } from "@codespar/tooling";
import { testKey, testSecret } from "@codespar/tooling/secrets";
import { describe, expect, it } from "vitest";
import type { Outcome, RunOptions } from "../support/run-cli.ts";
import { type Place, ways } from "../support/storages.ts";

const organisations = ["acme", "beta", "gone"];
const names = ["sentry", "vercel", "railway"];
/** Stands in everything that the organisation `gone` holds. */
const mark = "of the organisation that goes";

/** Parts of a command's steps before which it is killed. On files most steps come once all is done: closing, it writes the tables out. */
const shares = {
  "files, directly": {
    rotate: [0.06, 0.1, 0.14, 0.18, 0.22, 0.3],
    erase: [0.2, 0.35, 0.42, 0.5, 0.56],
  },
  postgres: { rotate: [0.35, 0.5, 0.65, 0.92], erase: [0.35, 0.5, 0.8, 0.92] },
} as const;
type Way = keyof typeof shares;

interface Scene extends AsyncDisposable {
  readonly place: Place;
  readonly env: Readonly<Record<string, string>>;
  /** How the library opens it once all is done. */
  readonly options: StorageOptions;
  /** All that is stored, as text. */
  everything(): Promise<string>;
}

/** A storage with three organisations; on PostgreSQL the operator has put a new key first. */
async function open(way: Way): Promise<Scene> {
  const place = await ways[way]();
  const { DATABASE_URL: databaseUrl, CODESPAR_ENCRYPTION_KEY: old } = place.env;
  const directory = join(place.cli.folder, ".codespar");
  const fresh = testKey();
  if (databaseUrl === undefined) await fill({ directory });
  else await fill({ databaseUrl, encryptionKey: old ?? "" });
  return {
    place,
    env: old === undefined ? {} : { ...place.env, CODESPAR_ENCRYPTION_KEY: `${fresh},${old}` },
    options: databaseUrl === undefined ? { directory } : { databaseUrl, encryptionKey: fresh },
    everything: () => (databaseUrl === undefined ? everyFile(directory) : everyRow(databaseUrl)),
    [Symbol.asyncDispose]: () => place[Symbol.asyncDispose](),
  };
}

async function fill(options: StorageOptions): Promise<void> {
  await using storage = createStorage("acme", options);
  for (const orgId of organisations) {
    const { agentStates, apiKeys, audit, channelConfigs, memory, slackInstallations } =
      storage.forOrg(orgId);
    const text = orgId === "gone" ? mark : orgId;
    for (const name of names)
      await channelConfigs.set(name, {
        credentials: { token: testSecret(`${orgId} ${name}`) },
        settings: { text },
      });
    await slackInstallations.set({
      teamId: `T-${orgId}`,
      teamName: text,
      tokens: { bot: testSecret(orgId) },
    });
    await agentStates.set("coder", { name: text });
    await memory.set("coder", "note", text, { record: true });
    await apiKeys.create({ name: text, scopes: ["read"] });
    await audit.append({ action: "test.done", details: { text } });
    await audit.checkpoint();
  }
}

async function everyFile(directory: string): Promise<string> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = found.filter((each) => each.isFile());
  const texts = files.map(async ({ name, parentPath }) => {
    const path = join(parentPath, name);
    return `${path}\n${await readFile(path, "utf8")}`;
  });
  return (await Promise.all(texts)).join("\n");
}

const { resolve } = createRequire(import.meta.url);
const preload = [pathToFileURL(resolve("tsx")), new URL("../support/dying.ts", import.meta.url)];
/** Environment of a process that counts its steps, and dies before the nth of them. */
const dyingBefore = (step: number) => ({
  NODE_OPTIONS: preload.map(({ href }) => `--import=${href}`).join(" "),
  CODESPAR_TEST_DIES_BEFORE: String(step),
});

const run = ({ place, env }: Scene, args: readonly string[], more: RunOptions["env"] = {}) =>
  place.cli.run(args, { env: { ...env, ...more } });

/** Kills the command at several points, each in a storage of its own, and runs it once more there. */
async function killAndRunAgain(
  way: Way,
  what: "rotate" | "erase",
  args: readonly string[],
  check: (scene: Scene, again: () => Promise<Outcome>) => Promise<void>,
): Promise<void> {
  let steps: number;
  {
    await using whole = await open(way);
    const { code, stderr } = await run(whole, args, dyingBefore(0));
    steps = Number(/^(\d+) steps$/m.exec(stderr)?.[1]);
    expect({ code, some: steps > 20 }).toEqual({ code: 0, some: true });
  }
  for (const share of shares[way][what]) {
    await using scene = await open(way);
    const killed = await run(scene, args, dyingBefore(Math.round(steps * share)));
    expect(killed).toMatchObject({ code: null, signal: "SIGKILL", stdout: "" });
    await check(scene, () => run(scene, [...args, "--json"]));
  }
}

async function looking<Result>(
  options: StorageOptions,
  look: (deployment: Deployment, storage: Storage) => Promise<Result>,
): Promise<Result> {
  await using storage = createStorage("acme", options);
  return await look(deploymentOf(storage), storage);
}

async function expectWhole(storage: Storage, orgIds: readonly string[]): Promise<void> {
  for (const orgId of orgIds) {
    const { audit, channelConfigs, memory, slackInstallations } = storage.forOrg(orgId);
    expect(await audit.verify()).toMatchObject({ verdict: "unanchored", firstFailure: null });
    expect(await memory.has("coder", "note")).toBe(true);
    for (const name of names) {
      const token = (await channelConfigs.getCredentials(name))?.["token"];
      expect(token?.reveal()).toBe(testSecret(`${orgId} ${name}`));
    }
    const bot = (await slackInstallations.getTokens({ teamId: `T-${orgId}` }))?.["bot"];
    expect(bot?.reveal()).toBe(testSecret(orgId));
    // Signing takes the private part of a key that is sealed, too.
    await audit.checkpoint();
  }
}

/** Those of the counts that tell of a command which was killed in the middle of its work. */
const partial = (counts: readonly number[]) =>
  counts.filter((count) => count > 0 && count < Math.max(...counts));

/** What the command printed, which got through. */
function reported<Report>({ code, stdout }: Outcome): Report {
  expect(code).toBe(0);
  return JSON.parse(stdout) as Report;
}

async function retiredKeys({ place }: Scene): Promise<string[]> {
  const kept = await readdir(join(place.cli.folder, ".codespar", "keys"));
  return kept.filter((name) => name.startsWith("retired-"));
}

/** What the deployment's own trail says of erasures, the latest first. */
async function erasures(storage: Storage): Promise<string[]> {
  const { audit } = storage.forOrg(deploymentOrgId);
  expect(await audit.verify()).toMatchObject({ firstFailure: null });
  const { items } = await audit.list({ action: "organisation.erased" });
  return items.map(({ outcome }) => String(outcome));
}

describe.each(Object.keys(shares) as Way[])("killed midway on %s", (way) => {
  const onFiles = way !== "postgres";

  it("a rotation of the key goes on when it is run again, and leaves nothing on the old one", async () => {
    const left: number[] = [];
    const args = ["secrets", "rotate", ...(onFiles ? ["--new-key"] : [])];
    await killAndRunAgain(way, "rotate", args, async (scene, again) => {
      const { env, options } = scene;
      const encryptionKey = env["CODESPAR_ENCRYPTION_KEY"];
      const whileOpen = { ...options, ...(encryptionKey !== undefined && { encryptionKey }) };
      const before = await looking(whileOpen, ({ secrets }) => secrets.status());
      left.push(before.remaining);
      const report = reported<RotationReport>(await again());
      expect(report).toMatchObject({ finished: true, remaining: 0 });
      // Asked for a new key once more, it goes on with the one that it had made.
      if (before.keys.length > 1) expect(report.activeKey).toBe(before.activeKey);
      if (onFiles && before.keys.length > 1) expect(await retiredKeys(scene)).toHaveLength(1);
      await looking(options, async ({ secrets }, storage) => {
        const { activeKey } = report;
        expect(await secrets.status()).toMatchObject({
          activeKey,
          canaryKey: activeKey,
          keys: [{ id: activeKey, records: before.records }],
          remaining: 0,
        });
        await expectWhole(storage, organisations);
      });
    });
    expect(partial(left)).not.toEqual([]);
  });

  it("an erasure goes on when it is run again, and leaves nothing of the organisation", async () => {
    const rows: number[] = [];
    const args = ["orgs", "erase", "gone", "--confirm", "gone"];
    let resumed = 0;
    await killAndRunAgain(way, "erase", args, async (scene, again) => {
      const { env } = scene;
      // The old one, on PostgreSQL.
      const encryptionKey = env["CODESPAR_ENCRYPTION_KEY"]?.split(",")[1];
      const options = { ...scene.options, ...(encryptionKey !== undefined && { encryptionKey }) };
      const [outcomes, held] = await looking(options, async ({ organisations: all }, storage) => [
        await erasures(storage),
        await all.get("gone"),
      ]);
      rows.push(held?.rows ?? 0);
      const outcome = await again();
      if (outcomes.includes("success")) {
        // It was killed after it had got through.
        expect({ code: outcome.code, held }).toEqual({ code: 4, held: null });
      } else {
        const report = reported<ErasureReport>(outcome);
        const isResumed = outcomes.includes("pending");
        expect(report).toMatchObject({ orgId: "gone", resumed: isResumed, damaged: false });
        resumed += isResumed ? 1 : 0;
      }
      const rest = (await scene.everything()).split("\n");
      expect(rest.filter((row) => row.includes(mark))).toEqual([]);
      await looking(options, async ({ organisations: all }, storage) => {
        expect((await all.list()).items).toEqual([{ orgId: "acme" }, { orgId: "beta" }]);
        await expectWhole(storage, ["acme", "beta"]);
        const through = (await erasures(storage)).filter((each) => each !== "failure");
        expect(through).toEqual(["success", "pending"]);
        // Its Slack workspace is free again.
        await storage.slackInstallations.set({ teamId: "T-gone", tokens: { bot: testSecret() } });
      });
    });
    expect(resumed).toBeGreaterThan(0);
    // On files the organisation goes as a whole.
    if (!onFiles) expect(partial(rows)).not.toEqual([]);
  });
});

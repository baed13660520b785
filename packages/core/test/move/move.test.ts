import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { testKey, testSecret } from "../../../../tooling/secrets.ts";
import { type MoveProgress, moveStorage } from "../../src/index.ts";
import {
  database,
  type End,
  everything,
  fill,
  folder,
  organisations,
  sharedKey,
  using,
} from "./ends.ts";

const ends: End[] = [];

async function make(kind: () => Promise<End>): Promise<End> {
  const end = await kind();
  ends.push(end);
  return end;
}

async function filled(kind: () => Promise<End>): Promise<End> {
  const end = await make(kind);
  await fill(end);
  return end;
}

afterEach(async () => {
  for (const end of ends.splice(0)) await end[Symbol.asyncDispose]();
});

const move = (from: End, to: End, more: Partial<Parameters<typeof moveStorage>[0]> = {}) =>
  moveStorage({ from: from.at, to: to.at, encryptionKey: sharedKey, ...more });

describe.each([
  ["files to PostgreSQL", folder, database],
  ["PostgreSQL to files", database, folder],
  ["files to files", folder, folder],
  ["PostgreSQL to PostgreSQL", database, database],
])("moving %s", (_name, source, destination) => {
  it("takes along every record and every byte of the trail, and leaves the source as it is", async () => {
    const [from, to] = [await filled(source), await make(destination)];
    const before = await everything(from);
    const seen: MoveProgress[] = [];
    const report = await move(from, to, { onProgress: (progress) => seen.push(progress) });
    expect(await everything(to)).toEqual(before);
    expect(await everything(from)).toEqual(before);
    expect(report).toMatchObject({ dryRun: false, resumed: false });
    expect(report.tables.map(({ orgId }) => orgId)).toEqual(expect.arrayContaining(organisations));
    expect(report.tables).toHaveLength(organisations.length * 12);
    expect(report.tables.reduce((sum, { count }) => sum + count, 0)).toBe(report.count);
    for (const phase of source === database ? ["copying", "verifying"] : ["copying"]) {
      const done = seen
        .filter((progress) => progress.phase === phase)
        .map((progress) => progress.done);
      expect(done).toEqual([...done].sort((a, b) => a - b));
      expect(done.at(-1)).toBe(report.count);
    }
  });

  it("leaves a target that goes on: secrets open, the chain continues, unique values are kept", async () => {
    const [from, to] = [await filled(source), await make(destination)];
    await move(from, to);
    const [orgId = "", other = ""] = organisations;
    await using(to, orgId, async (storage) => {
      const tokens = await storage.slackInstallations.getTokens({ teamId: `T-${orgId}` });
      expect(tokens?.["botToken"]?.reveal()).toBe(testSecret(orgId));
      const before = await storage.audit.list({ limit: 1 });
      const next = await storage.audit.append({ action: "moved.on" });
      expect([next.seq, next.prev]).toEqual([
        (before.items[0]?.seq ?? 0) + 1,
        before.items[0]?.hash,
      ]);
      await expect(storage.audit.verify()).resolves.toMatchObject({
        firstFailure: null,
        size: next.seq + 1,
      });
      await expect(storage.projects.create({ name: "Project One" })).rejects.toMatchObject({
        code: "ALREADY_EXISTS",
      });
      const entry = await storage.memory.getEntry("coder", "plain");
      const options = { ifVersion: entry?.version ?? "" };
      await expect(storage.memory.set("coder", "plain", 1, options)).resolves.toMatchObject({
        created: false,
        createdAt: entry?.createdAt,
      });
    });
    await using(to, other, async (storage) => {
      const taken = storage.slackInstallations.set({
        teamId: `T-${orgId}`,
        tokens: { botToken: testSecret() },
      });
      await expect(taken).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
    });
  });
});

describe("a move", () => {
  it("writes nothing in a dry run, and says the same", async () => {
    const [from, to] = [await filled(folder), await make(database)];
    const dry = await move(from, to, { dryRun: true });
    expect(await everything(to)).toEqual({});
    const real = await move(from, to);
    expect({ ...dry, dryRun: false }).toEqual({
      ...real,
      tables: real.tables.map((table) => ({ ...table, digest: null })),
    });
    const nowhere = await make(folder);
    await move(from, nowhere, { dryRun: true });
    expect(existsSync(nowhere.at.directory ?? "")).toBe(false);
  });

  it("dry-runs beside a program that holds the files", async () => {
    const [from, to] = [await filled(folder), await make(database)];
    await using(from, "acme", async (storage) => {
      await storage.memory.set("coder", "later", 1);
      await expect(move(from, to, { dryRun: true })).resolves.toMatchObject({ dryRun: true });
    });
  });

  it.each([
    ["folder", folder],
    ["database", database],
  ])("refuses a %s that isn't empty, and changes nothing there", async (_name, kind) => {
    const [from, to] = [await filled(folder), await make(kind)];
    await using(to, "other", (storage) => storage.memory.set("a", "k", 1));
    const before = await everything(to);
    for (const dryRun of [true, false]) {
      await expect(move(from, to, { dryRun })).rejects.toMatchObject({
        code: "ALREADY_EXISTS",
        message: expect.stringContaining('"other"'),
      });
    }
    expect(await everything(to)).toEqual(before);
  });

  it("refuses the same storage, a missing folder, and ends that name nothing", async () => {
    const [from, missing] = [await filled(folder), await make(folder)];
    await expect(move(from, from)).rejects.toMatchObject({ code: "VALIDATION" });
    await expect(move(missing, from)).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(existsSync(missing.at.directory ?? "")).toBe(false);
    await expect(moveStorage({ from: {}, to: from.at })).rejects.toMatchObject({
      code: "VALIDATION",
    });
    await expect(moveStorage({ from: from.at, to: { directory: "" } })).rejects.toMatchObject({
      code: "VALIDATION",
    });
  });

  it("refuses a folder inside of the other, under whatever name, and changes nothing", async () => {
    const [from, links] = [await filled(folder), await make(folder)];
    const directory = from.at.directory ?? "";
    mkdirSync(links.at.directory ?? "");
    const link = join(links.at.directory ?? "", "link");
    symlinkSync(directory, link);
    const before = readdirSync(directory, { recursive: true });
    for (const [one, other] of [
      [directory, join(directory, "sub")],
      [join(directory, "orgs"), directory],
      [link, join(directory, "sub")],
      [directory, join(link, "orgs/new/deeper")],
      [directory, link],
    ] as const) {
      const pair = { from: { directory: one }, to: { directory: other } };
      const moving = moveStorage({ ...pair, encryptionKey: sharedKey });
      await expect(moving).rejects.toMatchObject({ code: "VALIDATION" });
    }
    expect(readdirSync(directory, { recursive: true })).toEqual(before);
  });

  it("passes over files that stray among the organisations", async () => {
    const [from, to] = [await make(folder), await make(folder)];
    await using(from, "acme", (storage) => storage.memory.set("a", "k", 1));
    for (const name of ["notes", ".DS_Store"])
      writeFileSync(join(from.at.directory ?? "", "orgs", name), "not ours");
    await expect(move(from, to)).resolves.toMatchObject({ count: 1 });
    expect(await everything(to)).toEqual(await everything(from));
  });

  it("leaves no folder of its mark behind", async () => {
    const [from, to] = [await make(folder), await make(folder)];
    await using(from, "acme", (storage) => storage.memory.set("a", "k", 1));
    await move(from, to);
    expect(readdirSync(join(to.at.directory ?? "", "orgs"))).toEqual(["acme"]);
  });

  it("moves nothing from an empty storage, without a trace", async () => {
    const [from, to] = [await make(database), await make(folder)];
    await expect(move(from, to)).resolves.toEqual({
      dryRun: false,
      resumed: false,
      count: 0,
      tables: [],
    });
    expect(await everything(to)).toEqual({});
  });

  it("that breaks off marks its target, which nothing but the same move takes up", async () => {
    const [from, to] = [await filled(folder), await make(database)];
    for (const share of [0.1, 0.5, 0.9]) {
      const controller = new AbortController();
      const broken = move(from, to, {
        signal: controller.signal,
        onProgress: ({ phase, done, total }) => {
          if (phase === "copying" && done > share * total) controller.abort();
        },
      });
      await expect(broken).rejects.toMatchObject({
        code: "ABORTED",
        message: expect.stringContaining("Run the same move again"),
      });
      expect(Object.keys((await everything(to)) as object)).toContain("codespar/unfinished-move");
    }
    expect(
      await using(to, "any", (storage) => storage.health({ timeoutMs: 20_000 })),
    ).toMatchObject({
      ok: false,
      code: "MOVE_UNFINISHED",
      reason: expect.stringContaining("codespar move --from"),
    });
    const unfinished = move(to, await make(folder));
    await expect(unfinished).rejects.toMatchObject({ code: "MOVE_UNFINISHED" });
    await expect(move(from, to)).resolves.toMatchObject({ resumed: true });
    expect(
      await using(to, "any", (storage) => storage.health({ timeoutMs: 20_000 })),
    ).toMatchObject({ ok: true });
    expect(await everything(to)).toEqual(await everything(from));
    await expect(move(from, to)).rejects.toMatchObject({ code: "ALREADY_EXISTS" });
  });

  it("notices that the source changed before it was taken up again", async () => {
    const [from, to] = [await filled(folder), await make(database)];
    const controller = new AbortController();
    const onProgress = ({ done, total }: MoveProgress) => done > total / 2 && controller.abort();
    const broken = move(from, to, { signal: controller.signal, onProgress });
    await expect(broken).rejects.toMatchObject({ code: "ABORTED" });
    await using(from, "../acme", (storage) => storage.memory.delete("coder", "plain"));
    await expect(move(from, to)).rejects.toMatchObject({
      code: "CORRUPTION",
      message: expect.stringContaining("../acme"),
    });
  });

  it("notices who writes to a database that is being moved", async () => {
    const [from, to] = [await filled(database), await make(folder)];
    let written: Promise<unknown> | undefined;
    const onProgress = ({ phase }: MoveProgress) => {
      if (phase !== "copying") return;
      written ??= using(from, "acme", (storage) => storage.memory.set("coder", "plain", "changed"));
    };
    const moved = move(from, to, { onProgress }).then(
      () => "moved",
      (error: { code: string }) => error.code,
    );
    // Whether the write came before or after its page was read decides the outcome; silence isn't one.
    const outcome = await moved;
    await written;
    if (outcome === "moved") expect(await everything(to)).toEqual(await everything(from));
    else expect(outcome).toBe("CORRUPTION");
  });

  it("leaves behind what has expired, and isn't confused by what expires meanwhile", async () => {
    const [from, to] = [await make(folder), await make(database)];
    await using(from, "acme", async (storage) => {
      await storage.memory.set("a", "gone", 1, { ttlMs: 1000 });
      await storage.memory.set("a", "going", 1, { ttlMs: 600_000 });
      await storage.memory.set("a", "stays", 1);
    });
    const start = Date.now() + 5000;
    let now = start;
    const report = await move(from, to, {
      clock: () => now,
      onProgress: () => {
        now = start + 3_600_000;
      },
    });
    expect(report.count).toBe(2);
    await using(to, "acme", async ({ memory }) => {
      expect((await memory.list("a")).items.map(({ key }) => key)).toEqual(["going", "stays"]);
    });
  });
});

describe("the encryption key", () => {
  it("must be at the target before anything is written", async () => {
    const [from, to] = [await filled(folder), await make(database)];
    const moving = moveStorage({ from: from.at, to: to.at });
    await expect(moving).rejects.toMatchObject({
      code: "ENCRYPTION_KEY_MISSING",
      message: expect.stringContaining("CODESPAR_ENCRYPTION_KEY"),
    });
    const other = testKey();
    const wrong = moveStorage({ from: from.at, to: to.at, encryptionKey: other });
    await expect(wrong).rejects.toMatchObject({ code: "KEY_MISMATCH" });
    expect(await everything(to)).toEqual({});
    await expect(move(from, to)).resolves.toMatchObject({ resumed: false });
  });

  it("may be one of several", async () => {
    const [from, to] = [await filled(folder), await make(database)];
    const both = `${testKey()},${sharedKey}`;
    await expect(
      moveStorage({ from: from.at, to: to.at, encryptionKey: both }),
    ).resolves.toBeDefined();
    await using(
      to,
      "acme",
      async ({ channelConfigs }) => {
        const credentials = await channelConfigs.getCredentials("sentry");
        expect(credentials?.["token"]?.reveal()).toBe(testSecret("sentry of acme"));
      },
      both,
    );
  });

  it("isn't asked for where there are no secrets", async () => {
    const [from, to] = [await make(folder), await make(database)];
    await using(from, "acme", (storage) => storage.memory.set("a", "k", 1));
    await expect(moveStorage({ from: from.at, to: to.at })).resolves.toMatchObject({ count: 1 });
  });
});

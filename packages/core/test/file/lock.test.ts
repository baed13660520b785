import { mkdir, readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { Secret } from "../../src/crypto/secret.ts";
import { nodeFileSystem } from "../../src/storage/file/file-system.ts";
import { Lock, type LockOptions, lockHolder } from "../../src/storage/file/lock.ts";
import { currentProcess, type ProcessIdentity } from "../../src/storage/file/process-identity.ts";
import { serverHolding } from "../../src/storage/file/server-holding.ts";
import { watchedFileSystem } from "./recording-fs.ts";
import { openBackend, store, storedValue, temporaryFolder } from "./support.ts";

const gone = 2 ** 22 + 1;
const here = currentProcess();

async function folderHeldBy(holder: Partial<ProcessIdentity> | string, ageMs = 0): Promise<string> {
  const directory = await temporaryFolder();
  const path = join(directory, "codespar.lock");
  const content =
    typeof holder === "string"
      ? holder
      : JSON.stringify({ ...here, token: "other", serverUrl: null, ...holder });
  await writeFile(path, content);
  const at = new Date(Date.now() - ageMs);
  await utimes(path, at, at);
  return directory;
}

function optionsFor(directory: string, more: Partial<LockOptions> = {}): LockOptions {
  return { fs: nodeFileSystem, directory, waitMs: 0, wallClock: Date.now, identity: here, ...more };
}

async function acquire(directory: string, more: Partial<LockOptions> = {}): Promise<Lock> {
  const lock = await Lock.acquire(optionsFor(directory, more));
  onTestFinished(() => lock.release());
  return lock;
}

describe("the lock of a storage folder", () => {
  it.each([
    ["a process that is gone", { pid: gone, startTime: "1" }, 0],
    ["a process whose number another one has now", { startTime: "1" }, 0],
    ["another boot, silent for long", { bootId: "other", pid: 1 }, 31_000],
    ["a file that can't be read, of long ago", "{", 31_000],
    ["an empty file, of long ago", "", 31_000],
  ])("is taken over from %s", async (_what, holder, ageMs) => {
    const directory = await folderHeldBy(holder, ageMs);
    await acquire(directory);
    expect(JSON.parse(await readFile(join(directory, "codespar.lock"), "utf8"))).toMatchObject(
      here,
    );
    expect(await readdir(directory)).toEqual(["codespar.lock"]);
  });

  it.each([
    ["a process that runs", { pid: process.ppid, startTime: null }, 100_000],
    ["this process", {}, 100_000],
    ["another boot that gave a sign lately", { bootId: "other", pid: gone }, 20_000],
    ["a file that is just being written", "", 0],
  ])("is left to %s", async (_what, holder, ageMs) => {
    const directory = await folderHeldBy(holder, ageMs);
    await expect(acquire(directory)).rejects.toMatchObject({
      code: "STORAGE_LOCKED",
      message: expect.stringContaining("DATABASE_URL"),
    });
  });

  it("is taken by exactly one of many that find its holder dead", async () => {
    const directory = await folderHeldBy({ pid: gone });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 32 }, () => Lock.acquire(optionsFor(directory))),
    );
    const locks = outcomes.flatMap((outcome) =>
      outcome.status === "fulfilled" ? [outcome.value] : [],
    );
    expect(locks).toHaveLength(1);
    await locks[0]?.release();
    expect(await readdir(directory)).toEqual([]);
  });

  it("isn't taken over on a judgement that is out of date", async () => {
    const directory = await folderHeldBy({ pid: gone });
    let winner: Lock | undefined;
    const fs = watchedFileSystem(async (name, path) => {
      if (name === "open create" && path.endsWith("lock.other")) winner = await acquire(directory);
    });
    await expect(acquire(directory, { fs })).rejects.toMatchObject({ code: "STORAGE_LOCKED" });
    await winner?.confirm();
    expect(winner?.lost).toBeNull();
  });

  it("is taken over from one that died over taking it over", async () => {
    const directory = await folderHeldBy({ pid: gone });
    await writeFile(
      join(directory, "codespar.lock.other"),
      JSON.stringify({ ...here, pid: gone, token: "second", serverUrl: null }),
    );
    await acquire(directory);
    expect(await readdir(directory)).toEqual(["codespar.lock"]);
  });

  it("is waited for", async () => {
    const directory = await temporaryFolder();
    const first = openBackend(directory);
    await store(first, "acme", { a: 1 });
    const second = openBackend(directory, { lockWaitMs: 5000 });
    const value = storedValue(second, "acme", "a");
    await first.close();
    expect(await value).toBe(1);
  });

  it("that was lost stops writes", async () => {
    const directory = await temporaryFolder();
    const lock = await acquire(directory);
    await writeFile(
      join(directory, "codespar.lock"),
      JSON.stringify({ ...here, token: "thief", serverUrl: null }),
    );
    await lock.confirm();
    expect(lock.lost).toMatchObject({ code: "STORAGE_LOCKED" });
    await lock.release();
    expect(await readFile(join(directory, "codespar.lock"), "utf8")).toContain("thief");
  });

  it("is looked at again after the machine slept", async () => {
    let nowMs = Date.now();
    const lock = await acquire(await temporaryFolder(), { wallClock: () => nowMs });
    expect(lock.uncertain).toBe(false);
    nowMs += 60_000;
    expect(lock.uncertain).toBe(true);
    await lock.confirm();
    expect(lock.uncertain).toBe(false);
  });

  it("tells where the server of its holder is", async () => {
    const directory = await temporaryFolder();
    expect(await serverHolding(directory)).toBeNull();
    const backend = openBackend(directory);
    await store(backend, "acme", { a: 1 });
    expect(await serverHolding(directory)).toBeNull();
    const token = new Secret("only who may read the files");
    await backend.publishServer({ url: "http://localhost:3000", token });
    const holding = await serverHolding(directory);
    expect(holding?.url).toBe("http://localhost:3000");
    expect(holding?.token.reveal()).toBe("only who may read the files");
    expect((await stat(join(directory, "codespar.lock"))).mode & 0o777).toBe(0o600);
    expect((await lockHolder(directory))?.pid).toBe(process.pid);
    await backend.close();
    expect(await serverHolding(directory)).toBeNull();
  });

  it("isn't needed to read", async () => {
    const directory = await temporaryFolder();
    const writer = openBackend(directory);
    await store(writer, "acme", { a: 1 });
    expect(await storedValue(openBackend(directory, { readOnly: true }), "acme", "a")).toBe(1);
    await mkdir(join(directory, "elsewhere"));
    expect(
      await openBackend(join(directory, "elsewhere"), { readOnly: true }).health(20_000),
    ).toMatchObject({ ok: true });
  });
});

import { cp, readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { StorageError } from "../../src/errors/storage-error.ts";
import { loaded } from "./memory-fs.ts";
import { watchedFileSystem } from "./recording-fs.ts";
import { begin, erasedIn, scenario, step, stepsStored, type Told } from "./scenario.ts";
import { now, openBackend, store, storedValue, temporaryFolder } from "./support.ts";

const failure = (code: string) => Object.assign(new Error(`${code}: planted`), { code });

describe("a file-system call that fails", () => {
  it.each(["EIO", "ENOSPC"])(
    "once, whichever it is, loses nothing acknowledged (%s)",
    async (code) => {
      let tried = 0;
      const before = await temporaryFolder();
      await begin(before);
      for (let failing = 1; ; failing++) {
        const directory = await temporaryFolder();
        await cp(before, directory, { recursive: true });
        const told: Told = { acknowledged: 0, begun: 0 };
        let calls = 0;
        let planted = "";
        const fs = watchedFileSystem((name, path) => {
          calls++;
          if (calls !== failing) return;
          planted = `${name} ${path.slice(directory.length)}`;
          throw failure(code);
        });
        const outcome = await scenario(directory, fs, told).then(
          () => null,
          (error: unknown) => error,
        );
        if (planted === "") break;
        tried++;
        if (outcome !== null)
          expect(StorageError.is(outcome) || "code" in (outcome as object), planted).toBe(true);
        const backend = openBackend(directory);
        const steps = await stepsStored(backend);
        expect(steps, planted).toBeGreaterThanOrEqual(told.acknowledged);
        expect(steps, planted).toBeLessThanOrEqual(told.begun);
        await step(backend, steps + 1, { erases: steps > 0 });
        await backend.close();
        const after = openBackend(directory, { readOnly: true });
        expect(await stepsStored(after), planted).toBe(steps + 1);
        expect(await erasedIn(after, await loaded(directory)), planted).toEqual([]);
        expect(await leftOver(directory), planted).toEqual([]);
      }
      expect(tried).toBeGreaterThan(60);
    },
    120_000,
  );

  it("in the journal makes the store refuse writes until it is reopened, while reads go on", async () => {
    const directory = await temporaryFolder();
    let broken = false;
    const fs = watchedFileSystem((name, path) => {
      if (broken && name === "sync" && path.includes("journal")) throw failure("EIO");
    });
    const backend = openBackend(directory, { fs });
    await store(backend, "acme", { a: 1 });
    broken = true;
    const lost = backend.commit("acme", { checks: [], writes: [], appends: [] }, now());
    await expect(lost).resolves.toBeDefined();
    await expect(store(backend, "acme", { a: 2 })).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("outcome unknown"),
    });
    broken = false;
    await expect(store(backend, "acme", { b: 1 })).rejects.toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("Nothing was written"),
    });
    expect(await storedValue(backend, "acme", "a")).toBe(1);
    expect(await backend.health(20_000)).toMatchObject({
      ok: false,
      code: "UNAVAILABLE",
      reason: expect.stringContaining("restart"),
    });
    await backend.close();
    await store(openBackend(directory), "acme", { b: 1 });
  });

  it("in a snapshot stops nothing, and shows in health", async () => {
    const directory = await temporaryFolder();
    const fs = watchedFileSystem((name, path) => {
      if (name === "write" && path.endsWith("agent_memory.json.tmp")) throw failure("ENOSPC");
    });
    const backend = openBackend(directory, { fs });
    await store(backend, "acme", { a: 1 });
    await expect
      .poll(async () => (await backend.health(20_000)).warnings)
      .toEqual([expect.stringContaining("disk is full")]);
    await store(backend, "acme", { a: 2 });
    await backend.close();
    expect(await storedValue(openBackend(directory), "acme", "a")).toBe(2);
  });

  it("leaves no descriptor open", async () => {
    const before = (await readdir("/proc/self/fd")).length;
    for (const failing of [3, 8, 15, 25, 40]) {
      let calls = 0;
      const fs = watchedFileSystem(() => {
        calls++;
        if (calls === failing) throw failure("EIO");
      });
      await scenario(await temporaryFolder(), fs, { acknowledged: 0, begun: 0 }).catch(
        () => undefined,
      );
    }
    expect((await readdir("/proc/self/fd")).length).toBe(before);
  });
});

async function leftOver(directory: string): Promise<string[]> {
  const names = await readdir(join(directory, "orgs/acme"));
  return names.filter((name) => name.endsWith(".tmp"));
}

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { salvage } from "../../src/storage/file/salvage.ts";
import { watchedFileSystem } from "./recording-fs.ts";
import { commitOf, now, openBackend, store, storedValue, temporaryFolder } from "./support.ts";

const removal = commitOf({
  writes: [{ kind: "delete", table: "agent_memory", key: ["a", "k"] }],
});

describe("removing an empty organisation", () => {
  it("removes its folder, and it can begin anew at once", async () => {
    const directory = await temporaryFolder();
    const backend = openBackend(directory);
    await store(backend, "some/org", { k: 1 });
    await backend.removeEmpty("some/org", now());
    expect(await storedValue(backend, "some/org", "k")).toBe(1);
    await backend.commit("some/org", removal, now());
    await backend.removeEmpty("some/org", now());
    expect(await readdir(join(directory, "orgs"))).toEqual([]);
    await backend.removeEmpty("never/there", now());
    await store(backend, "some/org", { k: 2 });
    await backend.close();
    expect(await storedValue(openBackend(directory), "some/org", "k")).toBe(2);
  });

  it("wherever it breaks off, leaves what opens as empty", async () => {
    let at = "";
    for (let failing = 1; ; failing++) {
      const directory = await temporaryFolder();
      let calls = Number.NEGATIVE_INFINITY;
      at = "";
      const fs = watchedFileSystem((name, path) => {
        calls++;
        if (calls < failing) return;
        // From here on nothing works, as after a crash.
        if (at === "") at = `${name} ${path.slice(directory.length)}`;
        throw Object.assign(new Error("EIO: planted"), { code: "EIO" });
      });
      const backend = openBackend(directory, { fs });
      await store(backend, "some/org", { k: 1 });
      await store(backend, "acme", { a: 1 });
      await backend.commit("some/org", removal, now());
      calls = 0;
      await backend.removeEmpty("some/org", now()).catch(() => undefined);
      if (at === "") break;
      calls = Number.NEGATIVE_INFINITY;
      await backend.close().catch(() => undefined);
      const again = openBackend(directory);
      expect(await again.organisations(now()), at).toEqual(["acme"]);
      expect(await storedValue(again, "some/org", "k"), at).toBeUndefined();
      await again.close();
      const to = join(await temporaryFolder(), "new");
      expect((await salvage({ from: directory, to })).lost, at).toEqual([]);
    }
  });
});

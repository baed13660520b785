import { spawnSync } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { testKey } from "../../../../tooling/secrets.ts";
import { commitOf, now, openBackend, put, store, storedValue, temporaryFolder } from "./support.ts";

const isRoot = process.getuid?.() === 0;

describe("files that can't be used", () => {
  it.skipIf(!isRoot)(
    "on a disk that is really full: a clear error, and reads go on (needs root to mount)",
    async (context) => {
      const directory = await temporaryFolder();
      const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=256k", "tmpfs", directory]);
      if (mounted.status !== 0) context.skip("a tmpfs can't be mounted here");
      onTestFinished(() => void spawnSync("umount", ["-l", directory]));
      const backend = openBackend(directory);
      await store(backend, "acme", { a: 1 });
      const big = commitOf({ writes: [put("a", "big", "x".repeat(300_000))] });
      await expect(backend.commit("acme", big, now())).rejects.toMatchObject({
        code: "UNAVAILABLE",
        message: expect.stringContaining("disk is full"),
      });
      expect(await storedValue(backend, "acme", "a")).toBe(1);
      await backend.close().catch(() => undefined);
      const again = openBackend(directory);
      expect(await storedValue(again, "acme", "a")).toBe(1);
      await store(again, "acme", { b: 2 });
    },
  );

  it("in a folder that this user may not write: a clear error", async () => {
    const directory = join(await temporaryFolder(), "store");
    await mkdir(directory);
    await chmod(directory, 0o555);
    const script = new URL("./open-as-other.ts", import.meta.url).pathname;
    const child = spawnSync(process.execPath, ["--import", "tsx", script, directory], {
      encoding: "utf8",
    });
    expect(JSON.parse(child.stdout)).toMatchObject({
      code: "UNAVAILABLE",
      message: expect.stringContaining("Permission is missing"),
    });
  });

  it("beyond the capacity: LIMIT_EXCEEDED, and a warning before", async () => {
    const backend = openBackend(await temporaryFolder(), {
      capacity: { records: 10, bytes: 1000 },
    });
    await store(
      backend,
      "acme",
      Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`k${i}`, i])),
    );
    expect((await backend.health(20_000)).warnings).toEqual([expect.stringContaining("80 %")]);
    const three = commitOf({ writes: ["x", "y", "z"].map((key) => put("a", key, 1)) });
    await expect(backend.commit("acme", three, now())).rejects.toMatchObject({
      code: "LIMIT_EXCEEDED",
      message: expect.stringContaining("DATABASE_URL"),
    });
    await expect(store(backend, "other", { big: "x".repeat(1000) })).rejects.toMatchObject({
      code: "LIMIT_EXCEEDED",
    });
    expect(await storedValue(backend, "acme", "x")).toBeUndefined();
    await store(backend, "other", { k8: 8, k9: 9 });
    await expect(store(backend, "acme", { k10: 1 })).rejects.toMatchObject({
      code: "LIMIT_EXCEEDED",
    });
    await store(backend, "acme", { k0: "replaced" });
  });

  it("with another key than the one that sealed: KEY_MISMATCH, and never a new key over old ciphertext", async () => {
    const directory = await temporaryFolder();
    const first = openBackend(directory);
    const [id] = (await first.keyRing()).keyIds;
    await first.close();
    const other = openBackend(directory, { encryptionKey: testKey() });
    await expect(other.keyRing()).rejects.toMatchObject({ code: "KEY_MISMATCH" });
    expect(await other.health(20_000)).toMatchObject({ encryption: "mismatch" });
    await other.close();
    for (const damaged of ["", "AAAA", `${testKey()},AAAA`]) {
      await writeFile(join(directory, "keys/encryption.key"), damaged);
      const backend = openBackend(directory, { readOnly: true });
      await expect(backend.keyRing()).rejects.toMatchObject({
        code: "KEY_MISMATCH",
        message: expect.stringContaining("encryption.key is damaged"),
      });
      expect(await backend.health(20_000)).toMatchObject({ encryption: "mismatch" });
      await backend.close();
    }
    const { rm } = await import("node:fs/promises");
    await rm(join(directory, "keys/encryption.key"));
    const lost = openBackend(directory);
    await expect(lost.keyRing()).rejects.toMatchObject({ code: "KEY_MISMATCH" });
    expect(id).toMatch(/^[0-9a-f]+$/);
  });
});

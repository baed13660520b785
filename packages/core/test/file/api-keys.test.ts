import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Put } from "../../src/storage/backend.ts";
import { watchedFileSystem } from "./recording-fs.ts";
import { commitOf, now, openBackend, store, temporaryFolder } from "./support.ts";

const columns = {
  name: "CI",
  hash: "0".repeat(64),
  scopes: '["read"]',
  created_by: "user:ada",
  valid_until: null,
  last_used_at: null,
  revoked_at: null,
};

function key(id: string): Put {
  return { kind: "put", table: "api_keys", key: [id], columns, version: id, expiresAt: null };
}

it("answers for organisations and keys that don't exist from memory, leaving nothing behind", async () => {
  const directory = await temporaryFolder();
  const first = openBackend(directory);
  await store(first, "unkeyed", { a: 1 });
  await first.commit("keyed", commitOf({ writes: [key("k")] }), now());
  await first.close();

  const calls: string[] = [];
  const fs = watchedFileSystem((name, path) => void calls.push(`${name} ${path}`));
  const backend = openBackend(directory, { fs });
  expect(await backend.findApiKey("keyed", "k", now())).toMatchObject({ key: ["k"], columns });
  calls.length = 0;
  for (let i = 0; i < 100; i += 1)
    expect(await backend.findApiKey(`guessed-${i}`, "k", now())).toBeNull();
  expect(await backend.findApiKey("unkeyed", "k", now())).toBeNull();
  expect(await backend.findApiKey("keyed", "other", now())).toBeNull();
  expect(await backend.findApiKey("keyed", "k", now())).not.toBeNull();
  expect(calls).toEqual([]);
  expect((await readdir(join(directory, "orgs"))).sort()).toEqual(["keyed", "unkeyed"]);
});

it.each(["in the journal", "in the snapshot", "taken over by a move"])(
  "finds a key that is %s",
  async (where) => {
    const directory = await temporaryFolder();
    const first = openBackend(directory);
    const record = { ...key("k"), createdAt: "", updatedAt: "" };
    if (where === "taken over by a move") {
      expect(await first.hasApiKeys(now())).toBe(false);
      const instant = new Date().toISOString();
      const taken = { ...record, createdAt: instant, updatedAt: instant };
      await first.importRecords("keyed", "api_keys", [taken], now());
      expect(await first.hasApiKeys(now())).toBe(true);
    } else await first.commit("keyed", commitOf({ writes: [key("k")] }), now());
    // Closing writes a snapshot; a copy of the folder from before has only the journal.
    const options = where === "in the journal" ? { readOnly: true } : {};
    if (where !== "in the journal") await first.close();
    const second = openBackend(directory, options);
    expect(await second.hasApiKeys(now())).toBe(true);
    expect(await second.findApiKey("keyed", "k", now())).not.toBeNull();
  },
);

it("asks again when the files couldn't be looked at", async () => {
  const directory = await temporaryFolder();
  let isBroken = false;
  const fs = watchedFileSystem((name) => {
    if (isBroken && name === "listFolders") throw Object.assign(new Error("no"), { code: "EIO" });
  });
  const backend = openBackend(directory, { fs });
  await store(backend, "unkeyed", { a: 1 });
  isBroken = true;
  await expect(backend.hasApiKeys(now())).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await expect(backend.findApiKey("keyed", "k", now())).rejects.toMatchObject({
    code: "UNAVAILABLE",
  });
  isBroken = false;
  expect(await backend.hasApiKeys(now())).toBe(false);
});

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { Put } from "../../src/storage/backend.ts";
import type { FileBackend } from "../../src/storage/file/file-backend.ts";
import { watchedFileSystem } from "./recording-fs.ts";
import {
  commitOf,
  entry,
  now,
  openBackend,
  put,
  store,
  storedValue,
  temporaryFolder,
} from "./support.ts";

const id = (n: number) => `00000000-0000-7000-8000-${String(n).padStart(12, "0")}`;

function installation(route: string): Put {
  const columns = {
    team_id: route,
    enterprise_id: null,
    is_enterprise_install: false,
    team_name: null,
    app_id: null,
    bot_user_id: null,
    scopes: "[]",
    token_names: "[]",
    tokens: null,
    installed_at: null,
  };
  return {
    kind: "put",
    table: "slack_installations",
    key: [route],
    columns,
    version: route,
    expiresAt: null,
    claims: [route],
  };
}

async function fill(backend: FileBackend, orgId: string, entries = 300): Promise<void> {
  const appends = Array.from({ length: entries }, (_, n) => entry(id(n)));
  const writes = [put("a", "k1", 1), put("a", "k2", 2), installation(`team ${orgId}`)];
  await backend.commit(orgId, commitOf({ writes, appends }), now());
}

async function erase(backend: FileBackend, orgId: string): Promise<Record<string, number>> {
  const rows: Record<string, number> = {};
  await backend.eraseOrganisation(orgId, now(), (table, count) => {
    rows[table] = (rows[table] ?? 0) + count;
  });
  return rows;
}

describe("erasing an organisation", () => {
  it("removes all of it, tells what that was, and touches no other", async () => {
    const directory = await temporaryFolder();
    const backend = openBackend(directory);
    await fill(backend, "some/org");
    await fill(backend, "acme", 3);
    const other = await backend.auditHead("acme", now());
    expect(await erase(backend, "some/org")).toEqual({
      agent_memory: 2,
      slack_installations: 1,
      audit_log: 300,
    });
    expect(await readdir(join(directory, "orgs"))).toEqual(["acme"]);
    expect(await storedValue(backend, "some/org", "k1")).toBeUndefined();
    expect(await backend.auditHead("some/org", now())).toMatchObject({ size: 0, log: null });
    expect(await erase(backend, "some/org")).toEqual({});
    expect(await erase(backend, "never/there")).toEqual({});
    expect(await backend.organisations(now())).toEqual(["acme"]);
    // It can begin anew at once, and what it had claimed is anybody's.
    await store(backend, "some/org", { k1: "new" });
    await backend.commit("acme", commitOf({ writes: [installation("team some/org")] }), now());
    await backend.close();
    const again = openBackend(directory);
    expect(await storedValue(again, "some/org", "k1")).toBe("new");
    expect(await again.auditHead("acme", now())).toEqual(other);
  });

  it("lets whoever uses it meanwhile find it as it was, or empty", async () => {
    const directory = await temporaryFolder();
    const backend = openBackend(directory);
    await fill(backend, "acme");
    const before = Array.from({ length: 5 }, (_, n) => store(backend, "acme", { [`b${n}`]: n }));
    const erasing = erase(backend, "acme");
    const during = Array.from({ length: 5 }, (_, n) => store(backend, "acme", { [`d${n}`]: n }));
    const [first, second] = await Promise.all([erasing, erase(backend, "acme")]);
    await Promise.all([...before, ...during]);
    await store(backend, "acme", { after: 1 });
    const listed = await backend.list("acme", { table: "agent_memory", limit: 100 }, now());
    expect((first["agent_memory"] ?? 0) + (second["agent_memory"] ?? 0) + listed.length).toBe(13);
    await backend.close();
    const again = openBackend(directory);
    expect(await again.list("acme", { table: "agent_memory", limit: 100 }, now())).toEqual(listed);
  });

  it("wherever it breaks off, leaves all or nothing, and the next opening ends it", async () => {
    // No snapshot is taken meanwhile: that it fails stops nothing.
    vi.useFakeTimers({ toFake: ["setTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const outcomes = new Set<number>();
    for (let failing = 1; ; failing++) {
      const directory = await temporaryFolder();
      let calls = Number.NEGATIVE_INFINITY;
      let at = "";
      const fs = watchedFileSystem((name, path) => {
        calls++;
        if (calls < failing) return;
        // From here on nothing works, as after a crash.
        if (at === "") at = `${name} ${path.slice(directory.length)}`;
        throw Object.assign(new Error("EIO: planted"), { code: "EIO" });
      });
      const backend = openBackend(directory, { fs });
      await fill(backend, "acme", 3);
      await backend.listAudit("acme", { filter: {}, limit: 1, order: "asc" }, now());
      await fill(backend, "other", 3);
      calls = 0;
      const outcome = await erase(backend, "acme").catch((error: unknown) => error);
      if (at === "") break;
      expect(outcome, at).toMatchObject({ code: "UNAVAILABLE" });
      calls = Number.NEGATIVE_INFINITY;
      await backend.close().catch(() => undefined);
      const again = openBackend(directory);
      const { size } = await again.auditHead("acme", now());
      expect(await storedValue(again, "acme", "k1"), at).toBe(size === 0 ? undefined : 1);
      outcomes.add(size);
      if (size === 0) expect(await readdir(join(directory, "orgs")), at).toEqual(["other"]);
      await erase(again, "acme");
      expect(await readdir(join(directory, "orgs")), at).toEqual(["other"]);
      expect((await again.auditHead("other", now())).size, at).toBe(3);
    }
    expect([...outcomes].sort()).toEqual([0, 3]);
  });

  it("goes on with the same call after a failure", async () => {
    const directory = await temporaryFolder();
    let failing = "rename";
    const fs = watchedFileSystem((name) => {
      if (name === failing) throw Object.assign(new Error("EIO: planted"), { code: "EIO" });
    });
    const backend = openBackend(directory, { fs });
    for (failing of ["rename", "removeFolder"]) {
      const planted = failing;
      failing = "";
      await fill(backend, "acme", 3);
      failing = planted;
      await expect(erase(backend, "acme")).rejects.toMatchObject({ code: "UNAVAILABLE" });
      failing = "";
      await erase(backend, "acme");
      expect(await readdir(join(directory, "orgs")), planted).toEqual([]);
    }
  });

  it("removes nothing before the folder's new name is durable, not after a failure or a crash either", async () => {
    const directory = await temporaryFolder();
    const calls: string[] = [];
    let fails = false;
    const fs = watchedFileSystem((name, path) => {
      if (!path.startsWith(join(directory, "orgs"))) return;
      if (/^(rename|syncFolder|removeFolder)$/.test(name)) calls.push(name);
      if (fails && name === "syncFolder") throw Object.assign(new Error("EIO"), { code: "EIO" });
    });
    const failed = async (backend: FileBackend) => {
      await fill(backend, "acme", 3);
      fails = true;
      await expect(erase(backend, "acme")).rejects.toMatchObject({ code: "UNAVAILABLE" });
      fails = false;
      calls.length = 0;
    };
    const backend = openBackend(directory, { fs });
    await failed(backend);
    await erase(backend, "acme");
    expect(calls).toEqual(["syncFolder", "removeFolder", "syncFolder", "rename"]);
    await failed(backend);
    await backend.close();
    await openBackend(directory, { fs }).auditHead("acme", now());
    expect(calls).toEqual(["syncFolder", "removeFolder", "syncFolder"]);
  });

  it("is refused read-only", async () => {
    const directory = await temporaryFolder();
    await fill(openBackend(directory), "acme", 3);
    await expect(erase(openBackend(directory, { readOnly: true }), "acme")).rejects.toMatchObject({
      code: "UNSUPPORTED",
    });
  });
});

import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { leafHash } from "../../src/audit/leaf.ts";
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

describe("file backend", () => {
  it("gives back what was stored, in this process and the next", async () => {
    const directory = await temporaryFolder();
    const first = openBackend(directory);
    await store(first, "acme", {
      a: { text: "\u0000 \ud800 \u2028 é 🎈" },
      b: [1, null],
      c: "x\ty\n",
    });
    expect(await storedValue(first, "acme", "a")).toEqual({ text: "\u0000 \ud800 \u2028 é 🎈" });
    await first.close();
    const second = openBackend(directory);
    expect(await storedValue(second, "acme", "a")).toEqual({ text: "\u0000 \ud800 \u2028 é 🎈" });
    expect(await storedValue(second, "acme", "b")).toEqual([1, null]);
    expect(await storedValue(second, "acme", "c")).toEqual("x\ty\n");
    expect(await storedValue(second, "other", "a")).toBeUndefined();
    expect(await second.organisations(now())).toEqual(["acme"]);
  });

  it("replays a journal without a snapshot", async () => {
    const directory = await temporaryFolder();
    const first = openBackend(directory);
    await store(first, "acme", { a: 1, b: 2 });
    await first.commit(
      "acme",
      commitOf({
        writes: [{ kind: "delete", table: "agent_memory", key: ["a", "a"] }],
        appends: [entry(id(1)), entry(id(2))],
      }),
      now(),
    );
    const copy = openBackend(directory, { readOnly: true });
    expect(await storedValue(copy, "acme", "a")).toBeUndefined();
    expect(await storedValue(copy, "acme", "b")).toBe(2);
    expect((await copy.auditHead("acme", now())).size).toBe(2);
    expect((await copy.findAudit("acme", id(2), now()))?.seq).toBe(1);
    expect(await copy.findAudit("acme", id(3), now())).toBeNull();
    await expect(
      copy.commit("acme", commitOf({ writes: [put("a", "x", 1)] }), now()),
    ).rejects.toMatchObject({
      code: "UNSUPPORTED",
    });
  });

  it("keeps the trail across snapshots", async () => {
    const directory = await temporaryFolder();
    let head = "";
    for (let round = 0; round < 3; round++) {
      const backend = openBackend(directory);
      await backend.commit(
        "acme",
        commitOf({
          writes: [put("a", `k${round}`, round)],
          appends: [entry(id(round * 2)), entry(id(round * 2 + 1))],
        }),
        now(),
      );
      head = (await backend.auditHead("acme", now())).hash;
      await backend.close();
    }
    const backend = openBackend(directory);
    const rows = await backend.listAudit("acme", { filter: {}, limit: 100, order: "asc" }, now());
    expect(rows.map((row) => row.seq)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(rows.at(-1)?.hash).toBe(head);
    rows.forEach((row, i) => {
      expect(leafHash(row.leaf)).toBe(row.hash);
      expect(JSON.parse(Buffer.from(row.leaf).toString()).prev).toBe(
        i === 0 ? "0".repeat(64) : rows[i - 1]?.hash,
      );
      expect(row.parts).toHaveLength(1);
    });
    const again = await backend.commit("acme", commitOf({ appends: [entry(id(3))] }), now());
    expect(again.appends[0]?.seq).toBe(3);
    expect((await backend.findAudit("acme", id(4), now()))?.seq).toBe(4);
    const newest = await backend.listAudit(
      "acme",
      { filter: { actorId: "u1" }, limit: 2, order: "desc" },
      now(),
    );
    expect(newest.map((row) => row.seq)).toEqual([5, 4]);
  });

  it("shows readable JSON once it is idle", async () => {
    const directory = await temporaryFolder();
    const backend = openBackend(directory);
    await store(backend, "acme", { a: { n: 1 } });
    const file = join(directory, "orgs/acme/agent_memory.json");
    await expect.poll(() => stat(file).catch(() => null)).not.toBeNull();
    expect(JSON.parse(await readFile(file, "utf8")).records).toMatchObject([
      { agent_id: "a", key: "a", value: { n: 1 } },
    ]);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(join(directory, "orgs/acme"))).mode & 0o777).toBe(0o700);
    await backend.close();
    expect(await storedValue(openBackend(directory), "acme", "a")).toEqual({ n: 1 });
  });

  it("acknowledges concurrent commits, each checked against those before it", async () => {
    const directory = await temporaryFolder();
    const backend = openBackend(directory);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 64 }, (_, i) =>
        backend.commit(
          "acme",
          commitOf({ writes: [put("a", "one", i, { expect: { absent: true } })] }),
          now(),
        ),
      ),
    );
    expect(outcomes.filter((outcome) => outcome.status === "fulfilled")).toHaveLength(1);
    expect(await storedValue(backend, "acme", "one")).toBe(0);
  });

  it("writes nothing once it is closed", async () => {
    const directory = await temporaryFolder();
    const backend = openBackend(directory);
    await store(backend, "acme", { a: 1 });
    const late = Promise.allSettled([backend.close(), store(backend, "acme", { b: 1 })]);
    expect((await late)[1]).toMatchObject({ status: "rejected", reason: { code: "UNAVAILABLE" } });
    await expect(store(backend, "other", { b: 1 })).rejects.toMatchObject({ code: "UNAVAILABLE" });
    const again = openBackend(directory);
    expect(await storedValue(again, "acme", "a")).toBe(1);
    expect(await storedValue(again, "acme", "b")).toBeUndefined();
  });

  it("reports its health", async () => {
    const directory = await temporaryFolder();
    const backend = openBackend(directory);
    expect(await backend.health(20_000)).toMatchObject({
      ok: true,
      backend: "file",
      encryption: "ready",
      warnings: [],
    });
    const blocked = join(await temporaryFolder(), "file");
    await writeFile(blocked, "");
    expect(await openBackend(blocked).health(20_000)).toMatchObject({
      ok: false,
      durable: null,
      encryption: null,
    });
    const other = openBackend(directory);
    expect(await other.health(20_000)).toMatchObject({ ok: false, code: "STORAGE_LOCKED" });
  });
});

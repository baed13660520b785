import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { removeScratch, scratchFolder } from "../../../../tooling/secrets.ts";
import type { AuditCheckpoint } from "../../src/index.ts";
import { deferred } from "../../src/storage/deferred.ts";
import { Deliveries, type Delivery } from "../../src/storage/keeper/deliveries.ts";
import { folderAnchor } from "../../src/storage/keeper/folder-anchor.ts";
import { Ledger } from "../../src/storage/keeper/ledger.ts";
import { Schedule } from "../../src/storage/keeper/schedule.ts";
import { urlAnchor } from "../../src/storage/keeper/url-anchor.ts";

const log = "0123456789abcdef0123456789abcdef";
const checkpointOf = (size: number, note = `note ${size}\n`): AuditCheckpoint => ({
  origin: `codespar/log/${log}`,
  size,
  root: "",
  note,
  signedAt: "2026-01-01T00:00:00.000Z",
});
const { signal } = new AbortController();

describe("the account of what waits", () => {
  test("counts what isn't signed and not anchored, and tells for how long the oldest waits", () => {
    const ledger = new Ledger(2);
    expect(ledger.grew("a", 10, 3, 1000)).toBe(3);
    expect(ledger.grew("b", 1, 1, 5000)).toBe(1);
    expect(ledger.grew("a", 12, 2, 6000)).toBe(5);
    expect(ledger.unsigned(9000)).toEqual({ entries: 6, seconds: 8 });
    expect(ledger.unanchored(9000)).toEqual({ entries: 6, seconds: 8 });
    // Two were appended while it was signed.
    ledger.grew("a", 14, 2, 10_000);
    expect(ledger.signed("a", 12, 11_000)).toBe(2);
    expect(ledger.unsigned(15_000)).toEqual({ entries: 3, seconds: 10 });
    expect(ledger.unanchored(15_000)).toEqual({ entries: 8, seconds: 14 });
    ledger.anchored("a", 0, 12, 11_000);
    expect(ledger.unanchored(15_000)).toEqual({ entries: 8, seconds: 14 });
    ledger.anchored("a", 1, 12, 11_000);
    expect(ledger.unanchored(15_000)).toEqual({ entries: 3, seconds: 10 });
    for (const orgId of ["a", "b"]) {
      ledger.signed(orgId, 14, 16_000);
      for (const anchor of [0, 1]) ledger.anchored(orgId, anchor, 14, 16_000);
    }
    expect(ledger.unsigned(20_000)).toEqual({ entries: 0, seconds: 0 });
    expect(ledger.unanchored(20_000)).toEqual({ entries: 0, seconds: 0 });
  });

  test("takes up what an earlier process left", () => {
    const ledger = new Ledger(1);
    ledger.behind("a", 0, { size: 20, anchored: 12 }, 1000);
    expect(ledger.unsigned(5000)).toEqual({ entries: 0, seconds: 0 });
    expect(ledger.unanchored(5000)).toEqual({ entries: 8, seconds: 4 });
    ledger.close("a");
    expect(ledger.unanchored(5000)).toEqual({ entries: 0, seconds: 0 });
  });
});

describe("the schedule", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("runs what falls due, the earliest first, and each once", async () => {
    const ran: string[] = [];
    const schedule = new Schedule(1, async (key) => void ran.push(key));
    schedule.within("later", 60_000);
    schedule.within("soon", 60_000);
    schedule.within("soon", 5000);
    schedule.within("soon", 60_000);
    schedule.within("now", 0);
    await vi.advanceTimersByTimeAsync(1);
    expect(ran).toEqual(["now"]);
    await vi.advanceTimersByTimeAsync(5000);
    expect(ran).toEqual(["now", "soon"]);
    await vi.advanceTimersByTimeAsync(120_000);
    expect(ran).toEqual(["now", "soon", "later"]);
    await schedule.close();
    schedule.within("never", 0);
    await vi.advanceTimersByTimeAsync(1);
    expect(ran).toHaveLength(3);
  });

  test("runs a few at a time, and none twice at once", async () => {
    const running: string[] = [];
    const finish: (() => void)[] = [];
    const schedule = new Schedule(2, (key) => {
      running.push(key);
      return new Promise((resolve) => finish.push(resolve));
    });
    for (const key of ["a", "b", "c"]) schedule.within(key, 0);
    await vi.advanceTimersByTimeAsync(1);
    expect(running).toEqual(["a", "b"]);
    finish[1]?.();
    await vi.advanceTimersByTimeAsync(1);
    expect(running).toEqual(["a", "b", "c"]);
    finish[2]?.();
    // Asked for while it runs, it runs again behind that.
    schedule.within("a", 0);
    await vi.advanceTimersByTimeAsync(1);
    expect(running).toEqual(["a", "b", "c"]);
    finish[0]?.();
    await vi.advanceTimersByTimeAsync(1);
    expect(running).toEqual(["a", "b", "c", "a"]);
    const closed = schedule.close();
    finish[3]?.();
    await closed;
  });
});

describe("deliveries", () => {
  const deliveryOf = (orgId: string, size: number): Delivery => ({
    orgId,
    checkpoint: checkpointOf(size),
    signedAtMs: 0,
  });

  test("go on after an outage with the newest of each trail, and one that fails holds up no others", async () => {
    const kept: string[] = [];
    const told: string[] = [];
    let down = true;
    const { promise, resolve } = deferred<void>();
    const anchor = {
      id: "test",
      label: "the test",
      keep: async ({ note }: AuditCheckpoint) => {
        if (down || note === "note 13\n") throw new Error(down ? "down" : "bad");
        kept.push(note);
      },
    };
    const deliveries = new Deliveries(
      anchor,
      {
        delivered: async ({ orgId }) => void told.push(`delivered ${orgId}`),
        failed: (delivery, error) => {
          told.push(`failed ${delivery.orgId}: ${(error as Error).message}`);
          if (down) {
            // By then others have come, and newer ones.
            for (const each of [deliveryOf("b", 5), deliveryOf("a", 2), deliveryOf("b", 4)])
              deliveries.offer(each);
            deliveries.offer(deliveryOf("c", 13));
            down = false;
          } else if (told.filter((line) => line.includes("bad")).length === 2) resolve();
        },
        recovered: () => void told.push("recovered"),
      },
      { answerMs: 60_000, endMs: 60_000, firstMs: 1, longestMs: 2 },
    );
    deliveries.offer(deliveryOf("a", 1));
    await promise;
    await deliveries.close();
    expect(kept.toSorted()).toEqual(["note 2\n", "note 5\n"]);
    expect(told[0]).toBe("failed a: down");
    expect(told.filter((line) => line === "recovered")).toHaveLength(1);
    expect(told.at(-1)).toBe("failed c: bad");
  });

  test("to an anchor that never answers are told of, tried one at a time, and not waited for at the end", async () => {
    const { promise, resolve } = deferred<string>();
    let tried = 0;
    const anchor = {
      id: "test",
      label: "the test",
      keep: () => {
        tried += 1;
        return new Promise<void>(() => undefined);
      },
    };
    const deliveries = new Deliveries(
      anchor,
      {
        delivered: async () => undefined,
        failed: (_, error) => resolve((error as Error).message),
        recovered: () => undefined,
      },
      { answerMs: 1, endMs: 50, firstMs: 1, longestMs: 1 },
    );
    deliveries.offer(deliveryOf("a", 1));
    expect(await promise).toBe("no answer");
    deliveries.offer(deliveryOf("b", 1));
    await deliveries.close();
    expect(tried).toBe(1);
  });

  test("in flight at the end are finished", async () => {
    const { promise: answer, resolve: answers } = deferred<void>();
    const kept: string[] = [];
    const deliveries = new Deliveries(
      { id: "test", label: "the test", keep: () => answer },
      {
        delivered: async ({ orgId }) => void kept.push(orgId),
        failed: () => undefined,
        recovered: () => undefined,
      },
    );
    deliveries.offer(deliveryOf("a", 1));
    const closed = deliveries.close();
    answers();
    await closed;
    expect(kept).toEqual(["a"]);
  });
});

describe("a folder", () => {
  async function newFolder(): Promise<string> {
    const folder = await scratchFolder("anchor");
    onTestFinished(() => removeScratch(folder));
    return join(folder, "below", "it");
  }

  test("keeps a file for each checkpoint, and nothing else", async () => {
    const folder = await newFolder();
    const anchor = folderAnchor(folder);
    for (const size of [3, 12_345, 3]) await anchor.keep(checkpointOf(size), signal);
    expect((await readdir(join(folder, log))).toSorted()).toEqual([
      "0000000000000003.checkpoint",
      "0000000000012345.checkpoint",
    ]);
    expect(await readFile(join(folder, log, "0000000000000003.checkpoint"), "utf8")).toBe(
      "note 3\n",
    );
  });

  test("never takes another checkpoint for one that it has", async () => {
    const folder = await newFolder();
    const anchor = folderAnchor(folder);
    await anchor.keep(checkpointOf(3), signal);
    await expect(anchor.keep(checkpointOf(3, "other\n"), signal)).rejects.toThrow(
      /another checkpoint of the same size/,
    );
    expect(await readFile(join(folder, log, "0000000000000003.checkpoint"), "utf8")).toBe(
      "note 3\n",
    );
    expect(await readdir(join(folder, log))).toHaveLength(1);
  });

  test("doesn't go beyond itself, whatever an origin says", async () => {
    const folder = await newFolder();
    const anchor = folderAnchor(folder);
    for (const origin of ["codespar/log/..", "../../x", "a/b\\c", ""])
      await anchor.keep({ ...checkpointOf(1), origin }, signal);
    const names = await readdir(folder);
    expect(names).toHaveLength(4);
    for (const name of names) expect(name).toMatch(/^[0-9a-f]{12}$/);
  });

  test("below one that takes none says so", async () => {
    await expect(folderAnchor("/proc/none/below").keep(checkpointOf(1), signal)).rejects.toThrow(
      /ENOENT|EACCES/,
    );
  });

  test("that can't be written says so", async () => {
    const folder = await newFolder();
    await mkdir(join(folder, ".."), { recursive: true });
    await writeFile(folder, "a file");
    await expect(folderAnchor(folder).keep(checkpointOf(1), signal)).rejects.toThrow(
      /ENOTDIR|EEXIST/,
    );
  });
});

describe("an address", () => {
  interface Got {
    readonly method: string | undefined;
    readonly type: string | undefined;
    readonly authorization: string | undefined;
    readonly body: string;
  }

  async function serve(status: number, headers: Record<string, string> = {}) {
    const got: Got[] = [];
    const server: Server = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", () => {
        const { authorization, "content-type": type } = request.headers;
        got.push({ method: request.method, type, authorization, body });
        response.writeHead(status, headers).end("thanks");
      });
    });
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    return { got, port: (server.address() as AddressInfo).port };
  }

  test("gets the note as plain text, with credentials where the address has them", async () => {
    const { got, port } = await serve(201);
    await urlAnchor(`http://127.0.0.1:${port}/keep?x=1`).keep(checkpointOf(3), signal);
    await urlAnchor(`http://me:p%40ss@127.0.0.1:${port}/`).keep(checkpointOf(4), signal);
    const type = "text/plain; charset=utf-8";
    expect(got).toEqual([
      { method: "POST", type, authorization: undefined, body: "note 3\n" },
      {
        method: "POST",
        type,
        authorization: `Basic ${Buffer.from("me:p@ss").toString("base64")}`,
        body: "note 4\n",
      },
    ]);
  });

  test.each([404, 500, 302])("that answers %i keeps nothing", async (status) => {
    const { port } = await serve(status, { location: "/elsewhere" });
    await expect(
      urlAnchor(`http://127.0.0.1:${port}/`).keep(checkpointOf(3), signal),
    ).rejects.toThrow();
  });

  test("must be one of the web, and its secrets aren't shown", () => {
    for (const address of ["", "ftp://example.org", "/folder", "https//x", "file:///x"])
      expect(() => urlAnchor(address)).toThrow(/must begin with https/);
    const { id, label } = urlAnchor("https://me:word@example.org/token");
    expect(`${id} ${label}`).not.toMatch(/word|token/);
  });
});

import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, onTestFinished, test } from "vitest";
import { removeScratch, scratchFolder } from "../../../../tooling/secrets.ts";
import {
  type CheckpointKeeper,
  createStorage,
  type KeepCheckpointsOptions,
  type KeeperEvent,
  keepCheckpoints,
  type Storage,
} from "../../src/index.ts";
import { describeEachBackend, type TestBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

const never = 86_400;

/** A keeper, and a wait for what it tells. */
class Kept {
  readonly events: KeeperEvent[] = [];
  readonly keeper: CheckpointKeeper;
  readonly #waiting: (() => void)[] = [];

  constructor(storage: Storage, options: KeepCheckpointsOptions) {
    this.keeper = keepCheckpoints(storage, {
      ...options,
      onEvent: (event) => {
        this.events.push(event);
        for (const wake of this.#waiting.splice(0)) wake();
      },
    });
  }

  /** Waits until something was told; it fails with the test's time. */
  async until<Event extends KeeperEvent>(
    found: (event: KeeperEvent) => event is Event,
  ): Promise<Event> {
    for (;;) {
      const event = this.events.find(found);
      if (event !== undefined) return event;
      await new Promise<void>((wake) => this.#waiting.push(wake));
    }
  }

  signed(orgId: string, size: number) {
    return this.until(
      (event): event is KeeperEvent & { kind: "signed" } =>
        event.kind === "signed" && event.orgId === orgId && event.checkpoint.size >= size,
    );
  }

  anchored(size: number) {
    return this.until(
      (event): event is KeeperEvent & { kind: "anchored" } =>
        event.kind === "anchored" && event.size >= size,
    );
  }
}

async function newFolder(): Promise<string> {
  const folder = await scratchFolder("anchor");
  onTestFinished(() => removeScratch(folder));
  return folder;
}

/** Looks for all organisations, so a target must be the test's own, and can't be one without predicates. */
const ownTarget = { targetPerTest: true, everyLogin: true, otherProcesses: true };

/** Makes keepers that end with the test, before its storages do. */
function keepers(backend: TestBackend) {
  const all: Kept[] = [];
  afterEach(async () => {
    for (const { keeper } of all.splice(0)) await keeper.close();
  });
  return (options: KeepCheckpointsOptions, storage = backend.open()): Kept => {
    const kept = new Kept(storage, options);
    all.push(kept);
    return kept;
  };
}

describeEachBackend("keeping checkpoints", ownTarget, (backend) => {
  const keep = keepers(backend);

  const append = ({ audit }: Storage, count = 1) =>
    Promise.all(Array.from({ length: count }, () => audit.append({ action: "test.kept" })));

  test("signs once so many entries aren't signed, of each organisation for itself", async () => {
    const storage = backend.open();
    const other = storage.forOrg(`${backend.orgId}-other`);
    const kept = keep({ everyEntries: 3, everySeconds: never });
    await append(storage, 2);
    await append(other, 3);
    await kept.signed(other.orgId, 3);
    expect(kept.keeper.status()).toMatchObject({
      off: null,
      unsignedEntries: 2,
      unanchoredEntries: null,
    });
    // What changes otherwise counts too, and once it is signed counting begins anew.
    await storage.projects.create({ name: "Shop" });
    const { checkpoint } = await kept.signed(backend.orgId, 3);
    expect(await storage.audit.checkpoint()).toEqual(checkpoint);
    expect(kept.keeper.status()).toMatchObject({ unsignedEntries: 0, unsignedSeconds: 0 });
    expect((await storage.audit.keys()).length).toBe(1);
  });

  test("signs so many seconds after an append at the latest", async () => {
    const storage = backend.open();
    const kept = keep({ everySeconds: 0.01 });
    await append(storage);
    const { checkpoint } = await kept.signed(backend.orgId, 1);
    await append(storage);
    await kept.signed(backend.orgId, checkpoint.size + 1);
    expect((await storage.audit.checkpoints()).items.length).toBeGreaterThan(1);
  });

  test("takes up what an earlier process left unsigned", async () => {
    const before = backend.open();
    await append(before, 2);
    await append(before.forOrg(`${backend.orgId}-signed`));
    await before.forOrg(`${backend.orgId}-signed`).audit.checkpoint();
    await before.close();
    const kept = keep({ everySeconds: 0.01 });
    await kept.signed(backend.orgId, 2);
    expect(kept.events.map((event) => event.kind)).toEqual(["signed"]);
  });

  test("hands each checkpoint to the anchors, and remembers which have it", async () => {
    const folder = await newFolder();
    const anchors = [{ directory: folder }];
    const storage = backend.open();
    await append(storage);
    const { origin, note } = await storage.audit.checkpoint();
    const trail = join(folder, origin.slice("codespar/log/".length));
    const kept = keep({ everySeconds: never, anchors }, storage);
    await kept.anchored(2);
    expect(await readdir(trail)).toEqual(["0000000000000002.checkpoint"]);
    expect(await readFile(join(trail, "0000000000000002.checkpoint"), "utf8")).toBe(note);
    expect(kept.keeper.status()).toMatchObject({ unanchoredEntries: 0, unanchoredSeconds: 0 });
    await kept.keeper.close();
    // Another process has nothing to do, whatever became of the file.
    await rm(trail, { recursive: true });
    const again = keep({ everyEntries: 1, anchors }, storage);
    await append(storage);
    await again.anchored(3);
    expect(await readdir(trail)).toEqual(["0000000000000003.checkpoint"]);
  });

  test("goes on signing while an anchor is out of reach", async () => {
    const folder = await newFolder();
    const blocked = join(folder, "blocked");
    await writeFile(blocked, "not a folder");
    const storage = backend.open();
    const kept = keep({
      everyEntries: 1,
      anchors: [{ directory: blocked }, { directory: folder }],
    });
    await append(storage);
    await kept.anchored(2);
    await append(storage);
    await kept.signed(backend.orgId, 3);
    await kept.anchored(3);
    const failed = kept.events.filter((event) => event.kind === "failed");
    expect(failed).toEqual([
      expect.objectContaining({ what: `the folder ${blocked}`, orgId: backend.orgId }),
    ]);
    expect(kept.keeper.status()).toMatchObject({ unsignedEntries: 0, unanchoredEntries: 3 });
  });

  test("an anchor that has another checkpoint of that size is told of, and left as it is", async () => {
    const folder = await newFolder();
    const storage = backend.open();
    await append(storage);
    const { origin } = await storage.audit.checkpoint();
    const kept = keep({ everyEntries: 1, anchors: [{ directory: folder }] }, storage);
    await kept.anchored(2);
    const next = join(folder, origin.slice("codespar/log/".length), "0000000000000003.checkpoint");
    await writeFile(next, "another one");
    await append(storage);
    const { error } = await kept.until(
      (event): event is KeeperEvent & { kind: "failed" } => event.kind === "failed",
    );
    expect(String(error)).toMatch(/another checkpoint of the same size: the trail was replaced/);
    expect(await readFile(next, "utf8")).toBe("another one");
  });

  test("refuses options that make no sense", async () => {
    const storage = backend.open();
    for (const options of [
      { everyEntries: 0 },
      { everyEntries: 1.5 },
      { everySeconds: 0 },
      { everySeconds: Number.NaN },
      { everySeconds: 86_401 },
      { anchors: [{ url: "somewhere" }] },
    ]) {
      await expectCode((async () => keepCheckpoints(storage, options))(), "VALIDATION");
    }
  });
});

describeEachBackend("without an encryption key", ownTarget, (backend) => {
  const keep = keepers(backend);

  test("a database's trails aren't signed, which is told once; files have a key of their own", async () => {
    const { encryptionKey: _, ...options } = backend.options();
    const storage = createStorage(backend.orgId, options);
    onTestFinished(() => storage.close());
    await storage.audit.append({ action: "test.kept" });
    const kept = keep({ everySeconds: 0.01 }, storage);
    const kind = backend.kind === "file" ? "signed" : "off";
    await kept.until((event): event is KeeperEvent => event.kind === kind);
    for (let n = 0; n < 3; n += 1) await storage.audit.append({ action: "test.kept" });
    if (kind === "signed") await kept.signed(backend.orgId, 5);
    expect(new Set(kept.events.map((event) => event.kind))).toEqual(new Set([kind]));
    if (kind === "signed") return;
    expect(kept.events).toHaveLength(1);
    expect(kept.keeper.status()).toMatchObject({
      off: expect.stringContaining("CODESPAR_ENCRYPTION_KEY"),
      unsignedEntries: 0,
    });
  });
});

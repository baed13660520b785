import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { deferred } from "../../src/storage/deferred.ts";
import { FileBackend } from "../../src/storage/file/file-backend.ts";
import type { FileSystem } from "../../src/storage/file/file-system.ts";
import { type Sample, sampled } from "../support/sampled.ts";
import { type CrashState, SimulatedDisk } from "./crash-states.ts";
import { MemoryFileSystem } from "./memory-fs.ts";
import { type Change, type OnCall, watchedFileSystem } from "./recording-fs.ts";
import {
  begin,
  erasedIn,
  leaveDeadLock,
  nextStep,
  scenario,
  step,
  stepsStored,
  type Told,
} from "./scenario.ts";
import { temporaryFolder } from "./support.ts";

const soak = Number(process.env["CODESPAR_TEST_ROUNDS"] ?? "1") > 1;
/** Writes are cut where the first case looks. */
const fewCuts: Sample = { first: 0, stride: 1000, label: "" };

describe("a power failure", () => {
  it("at any moment leaves the state before or after, and all that was acknowledged", async () => {
    const directory = await temporaryFolder();
    const recording = new Recording();
    await begin(directory, recording.of());
    await leaveDeadLock(directory);
    recording.setOut();
    await scenario(directory, recording.of(), recording.told, soak ? 3 : 2);
    const sample = sampled(11);
    const count = await recording.survives(new SimulatedDisk(directory), directory, sample);
    process.stdout.write(
      `${recording.changes.length} operations, ${count.all} crash states (${count.losesOne} without one of several writes), writes cut ${sample.label}\n`,
    );
    expect(count.all).toBeGreaterThan(500);
    // Among them those of a tile that is written, and of parts that are overwritten.
    const written = recording.changes.flatMap(({ change }) =>
      change.kind === "write" ? [change] : [],
    );
    expect(written.filter(({ path }) => path.endsWith("audit_tiles"))).toHaveLength(1);
    expect(written.filter(({ bytes }) => bytes.every((byte) => byte === 0x20))).toHaveLength(
      soak ? 5 : 3,
    );
    expect(count.losesOne).toBeGreaterThan(10);
  }, 300_000);

  it("loses no entry that came while the trail was being synced", async () => {
    const recording = new Recording();
    const [reached, held] = [deferred<void>(), deferred<void>()];
    const fs = recording.of(async (name, path) => {
      if (name !== "sync" || !path.endsWith("/audit_log.jsonl")) return;
      reached.resolve();
      await held.promise;
    }, new MemoryFileSystem());
    const backend = open("/store", fs);
    await nextStep(backend, recording.told);
    // The snapshot that follows by itself syncs the trail.
    await reached.promise;
    await nextStep(backend, recording.told);
    for (let turns = 0; turns < 100; turns++) await nextTurn();
    held.resolve();
    // Here comes another snapshot, which vouches for the second entry too.
    await backend.close();
    const count = await recording.survives(new SimulatedDisk("/"), "/store", fewCuts);
    expect(count.all).toBeGreaterThan(100);
  });

  it("after a restart loses nothing of what was then acknowledged", async () => {
    const recording = new Recording();
    await scenario("/disk/store", recording.of(undefined, new MemoryFileSystem()), recording.told);
    for (const [i, { change, told }] of recording.changes.entries()) {
      // Which leaves all as it was.
      if (change.kind === "sync begins") continue;
      const disk = new SimulatedDisk("/");
      for (const before of recording.changes.slice(0, i + 1)) disk.apply(before.change);
      await checkRestarted(disk, told).catch((error: unknown) => {
        throw new Error(`killed after ${change.kind} ${change.path}`, { cause: error });
      });
    }
  });
});

/** The lock is taken and given back around all of this; what a crash leaves of it has its own tests. */
function isLock(path: string): boolean {
  return path.includes("codespar.lock");
}

/** What a run changes on the disk. */
class Recording {
  readonly told: Told;
  /** Every change, with what had been acknowledged when it was made. */
  readonly changes: { readonly change: Change; readonly told: Told }[] = [];
  #before = 0;

  constructor(told: Told = { acknowledged: 0, begun: 0 }) {
    this.told = { ...told };
  }

  /** Each call takes a turn of the event loop, so that what was acknowledged before it is known before it has an effect. */
  of(onCall: OnCall = () => nextTurn(), base?: FileSystem): FileSystem {
    const onChange = (change: Change) => {
      if (!isLock(change.path)) this.changes.push({ change, told: { ...this.told } });
    };
    return watchedFileSystem(onCall, onChange, base);
  }

  /** What was changed so far is what the run begins with. */
  setOut(): void {
    this.#before = this.changes.length;
  }

  /**
   * Opens what a power failure may have left after each change.
   *
   * @param goesOn - whether to go on from there, and open that too
   */
  async survives(disk: SimulatedDisk, directory: string, sample: Sample, goesOn = true) {
    const count = { all: 0, losesOne: 0 };
    const checked = new Set<string>();
    for (const [i, { change }] of this.changes.entries()) {
      disk.apply(change);
      if (i < this.#before) continue;
      const told = this.changes[i + 1]?.told ?? this.told;
      for (const state of disk.states(sample)) {
        const signature = signatureOf(state, told);
        if (checked.has(signature)) continue;
        checked.add(signature);
        count.all += 1;
        count.losesOne += Number(state.losesOne);
        await check(directory, state, told, goesOn && !state.isTorn).catch((error: unknown) => {
          throw new Error(`after ${change.kind} ${change.path}: ${state.label}`, { cause: error });
        });
      }
    }
    return count;
  }
}

/** Most changes leave most of the states as they were before. */
function signatureOf(state: CrashState, told: Told): string {
  const hash = createHash("sha256").update(JSON.stringify([told, state.folders]));
  for (const [path, content] of state.files) hash.update(path).update(content);
  return hash.digest("hex");
}

function open(directory: string, fs: FileSystem, readOnly = false): FileBackend {
  return new FileBackend({ directory, readOnly, clock: Date.now, fs, lockWaitMs: 0 });
}

async function check(
  directory: string,
  state: CrashState,
  told: Told,
  goesOn: boolean,
): Promise<void> {
  const fs = new MemoryFileSystem(state.files, state.folders);
  await fs.makeFolder(dirname(directory));
  const backend = open(directory, fs);
  const steps = await stepsStored(backend);
  expect(steps).toBeGreaterThanOrEqual(told.acknowledged);
  expect(steps).toBeLessThanOrEqual(told.begun);
  if (goesOn || soak) await step(backend, steps + 1, { erases: steps > 0 });
  await backend.close();
  if (!goesOn && !soak) return;
  const after = open(directory, fs, true);
  expect(await stepsStored(after)).toBe(steps + 1);
  // Whatever the crash left of it.
  expect(await erasedIn(after, fs)).toEqual([]);
}

/** A process was killed, the next one goes on with what it sees, and then the power fails. */
async function checkRestarted(disk: SimulatedDisk, told: Told): Promise<void> {
  const [seen] = disk.states(fewCuts);
  const recording = new Recording(told);
  const fs = recording.of(undefined, new MemoryFileSystem(seen?.files, seen?.folders));
  const backend = open("/disk/store", fs);
  const steps = (await stepsStored(backend)) + 1;
  recording.told.begun = steps;
  await step(backend, steps, { erases: steps > 1 });
  recording.told.acknowledged = steps;
  await backend.close();
  await recording.survives(disk, "/disk/store", fewCuts, false);
}

import { makeTrails, type Trails, trailWorker } from "../files/trails.ts";
import { Cleanup } from "../harness/cleanup.ts";
import { Comparison } from "../harness/comparison.ts";
import { atLeast, atMost, type Row } from "../harness/report.ts";
import type { Leg } from "../harness/rounds.ts";
import { median } from "../harness/statistics.ts";
import type { Worker } from "../harness/worker.ts";
import type { Effort, TrailPlace, TrailWorker } from "../workers/trail.ts";
import type { Context, Scenario } from "./scenario.ts";

/** Entries that a processor verifies in a second, at least. */
const targets = { full: 80_000, hashes: 200_000 } as const;
/** The same on any machine: what the targets are where 1.75 million such entries are hashed in a second, as on the one they were set for. */
const ofBare = { full: 0.045, hashes: 0.115 } as const;
const tenth = 10;
const depths = ["full", "hashes"] as const;

/** Verification of a whole trail, wherever it is, and the memory that it takes. */
export const verify: Scenario = {
  name: "verify",
  about:
    "verifying a trail on files, on PostgreSQL and in a bundle, in whole and by its hashes alone",
  async run(context) {
    const entries = context.options.quick ? 4_000 : 100_000;
    await using cleanup = new Cleanup();
    const large = await placesOf(context, await makeTrails(context, entries));
    const small = await placesOf(context, await makeTrails(context, entries / tenth));
    const worker = cleanup.use(trailWorker());
    await worker.call("load", { folder: large.bundle.bundle });
    const rows: Row[] = [];
    for (const depth of depths) {
      for (const name of Object.keys(large) as Name[]) {
        context.progress(`${depth}, ${names[name]}`);
        await worker.call("open", large[name]);
        rows.push(await speed(context, worker, name, depth));
      }
    }
    for (const name of Object.keys(large) as Name[]) {
      context.progress(`memory, ${names[name]}`);
      rows.push(await memory(context, name, large[name], small[name], entries));
    }
    return rows;
  },
};

const names = { files: "files", database: "PostgreSQL", bundle: "bundle" } as const;
type Name = keyof typeof names;
type Places = Readonly<Record<Name, TrailPlace>> & { readonly bundle: { readonly bundle: string } };

async function placesOf(context: Context, { files, database }: Trails): Promise<Places> {
  context.progress("exporting a bundle");
  const folder = await context.folder();
  await using worker = trailWorker();
  await worker.call("bundle", { place: files, folder });
  return { files, database, bundle: { bundle: folder } };
}

async function speed(
  { options }: Context,
  worker: Worker<TrailWorker>,
  name: Name,
  depth: "full" | "hashes",
): Promise<Row> {
  const clock: number[] = [];
  const perSecond =
    (work: () => Promise<Effort>, byClock?: number[]): Leg =>
    async () => {
      const { entries, wallMs, cpuMs } = await work();
      byClock?.push((entries / wallMs) * 1000);
      return (entries / cpuMs) * 1000;
    };
  const comparison = await Comparison.of(
    {
      ours: perSecond(() => worker.call("verify", { depth }), clock),
      bare: perSecond(() => worker.call("hash", undefined)),
    },
    options.rounds,
  );
  const ours = comparison.figure("ours");
  return {
    scenario: names[name],
    measure: `entries verified${depth === "full" ? "" : " by their hashes alone"}`,
    note: "per second of the processor",
    callers: "1",
    ours,
    others: {
      // The first leg warmed up.
      "by the clock": { value: median(clock.slice(1)), unit: "/s" },
      "bare SHA-256": comparison.figure("bare"),
    },
    checks: [
      atLeast(targets[depth], ours.value, "/s"),
      atLeast(ofBare[depth], comparison.ratio("ours", "bare"), "× bare SHA-256"),
    ],
  };
}

/** What a process needs at most that verifies as many entries: of one trail, or ten times those of a shorter one. */
async function memory(
  { options }: Context,
  name: Name,
  large: TrailPlace,
  small: TrailPlace,
  entries: number,
): Promise<Row> {
  const peak =
    (place: TrailPlace, times: number): Leg =>
    async () => {
      await using worker = trailWorker();
      await worker.call("open", place);
      for (let time = 0; time < times; time += 1) await worker.call("verify", { depth: "full" });
      const peakMiB = await worker.call("peak", undefined);
      await worker.call("close", undefined);
      return peakMiB;
    };
  const comparison = await Comparison.of(
    { large: peak(large, 1), small: peak(small, tenth) },
    options.rounds,
  );
  return {
    scenario: names[name],
    measure: `memory to verify ${entries.toLocaleString("en-US")} entries`,
    callers: "1",
    ours: comparison.figure("large", "MiB"),
    others: { "a tenth of them ten times": comparison.figure("small", "MiB") },
    checks: [atMost(1.2, comparison.ratio("large", "small"), "× a tenth of them")],
  };
}

import { Cleanup } from "../harness/cleanup.ts";
import { Comparison } from "../harness/comparison.ts";
import { type Verb, verbs } from "../harness/memory-store.ts";
import { atLeast, atMost, type Row } from "../harness/report.ts";
import type { Leg } from "../harness/rounds.ts";
import { median } from "../harness/statistics.ts";
import { Worker } from "../harness/worker.ts";
import type { FilesWorker } from "../workers/files.ts";
import type { Context, Scenario } from "./scenario.ts";

const small = 1_000;

/** Ratios of a large store's writes to a small one's, by callers. */
const targets: Readonly<Record<number, number>> = { 1: 0.85, 64: 0.55 };

/** A process with a store of so many records. */
interface Store {
  readonly worker: Worker<FilesWorker>;
  readonly directory: string;
  readonly records: number;
}

/** What a million stored records cost: every write, opening, snapshots. */
export const filesLarge: Scenario = {
  name: "files-large",
  about: "files with a million stored records against a thousand: writes, opening, snapshots",
  async run(context) {
    await using cleanup = new Cleanup();
    const records = context.options.quick ? 20_000 : 1_000_000;
    const directory = await prepare(context, records);
    const openings = await timeOpening(context, directory);
    const large = await open(cleanup, directory, records);
    const few = await open(cleanup, await prepare(context, small), small);
    const rows: Row[] = [];
    for (const callers of [1, 64]) {
      for (const verb of verbs) {
        context.progress(`${verb}, ${callers} callers, ${records} and ${small} records`);
        rows.push(await compare(context, few, large, verb, callers));
      }
    }
    rows.push({
      ...common(`opening ${records.toLocaleString("en-US")} records`),
      ours: { value: openings, unit: "s" },
      checks: [atMost(5, openings, "s")],
    });
    context.progress("stalls while a snapshot is taken");
    return [...rows, await stalls(context, large)];
  },
};

const common = (measure: string) => ({ scenario: "files", measure, callers: "", others: {} });

function startWorker(): Worker<FilesWorker> {
  return new Worker<FilesWorker>(new URL("../workers/files.js", import.meta.url));
}

/** Fills a store in a process that then ends, so that what is measured was read from the disk. */
async function prepare(context: Context, records: number): Promise<string> {
  context.progress(`storing ${records} records`);
  const directory = await context.folder();
  await using worker = startWorker();
  await worker.call("open", { directory });
  await worker.call("fill", { records });
  await worker.call("close", undefined);
  return directory;
}

/** Seconds from `createStorage` to the first record read, in a new process each. */
async function timeOpening({ options, progress }: Context, directory: string): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < options.rounds; round += 1) {
    progress("opening");
    await using worker = startWorker();
    times.push((await worker.call("open", { directory })) / 1000);
    await worker.call("close", undefined);
  }
  return median(times);
}

async function open(cleanup: Cleanup, directory: string, records: number): Promise<Store> {
  const worker = cleanup.use(startWorker());
  await worker.call("open", { directory });
  cleanup.defer(() => worker.call("close", undefined));
  return { worker, directory, records };
}

async function compare(
  { options }: Context,
  few: Store,
  many: Store,
  verb: Verb,
  callers: number,
): Promise<Row> {
  const durationMs = options.legMs;
  const legOf =
    ({ worker, records }: Store): Leg =>
    () =>
      worker.call("run", { verb, keys: records, callers, durationMs });
  const comparison = await Comparison.of({ large: legOf(many), small: legOf(few) }, options.rounds);
  const target = targets[callers];
  const checked = verb === "set" && target !== undefined;
  return {
    scenario: "files",
    measure: `memory ${verb} at ${many.records.toLocaleString("en-US")} stored records`,
    callers: String(callers),
    ours: comparison.figure("large"),
    others: { [`at ${small.toLocaleString("en-US")}`]: comparison.figure("small") },
    checks: checked
      ? [
          atLeast(
            target,
            comparison.ratio("large", "small"),
            `× at ${small.toLocaleString("en-US")}`,
          ),
        ]
      : [],
  };
}

async function stalls({ options }: Context, store: Store): Promise<Row> {
  const { worker, directory, records } = store;
  const rounds = options.quick ? 1 : 3;
  let without = 0;
  let during = 0;
  for (let round = 0; round < rounds; round += 1) {
    const found = await worker.call("snapshot", { directory, keys: records, limitMs: 300_000 });
    without = Math.max(without, found.without);
    during = Math.max(during, found.during);
  }
  return {
    ...common("longest stall of the event loop while a snapshot is taken under 64 writers"),
    callers: "64",
    ours: { value: during, unit: "ms" },
    others: { "without a snapshot": { value: without, unit: "ms" } },
    checks: [atMost(25, during, "ms")],
  };
}

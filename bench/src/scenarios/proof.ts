import { makeTrails, type Trails, trailWorker } from "../files/trails.ts";
import { Cleanup } from "../harness/cleanup.ts";
import { Comparison } from "../harness/comparison.ts";
import { atMost, type Row } from "../harness/report.ts";
import type { Leg } from "../harness/rounds.ts";
import type { Scenario } from "./scenario.ts";

const few = 10_000;
const turns = 50;

/** An inclusion proof takes a path of the tree, however long the trail is. */
export const proof: Scenario = {
  name: "proof",
  about:
    "proving an entry of a long trail (--trail) against one of 10,000, on files and PostgreSQL",
  async run(context) {
    const { options, progress } = context;
    await using cleanup = new Cleanup();
    const open = async (place: Trails["files"] | Trails["database"], entries: number) => {
      const worker = cleanup.use(trailWorker());
      await worker.call("open", place);
      cleanup.defer(() => worker.call("close", undefined));
      const leg: Leg = () => worker.call("prove", { entries, turns });
      return leg;
    };
    const [long, short] = [
      await makeTrails(context, options.trailEntries),
      await makeTrails(context, few),
    ];
    const rows: Row[] = [];
    for (const [name, scenario] of [
      ["files", "files"],
      ["database", "PostgreSQL"],
    ] as const) {
      progress(`proofs, ${scenario}`);
      const legs = {
        long: await open(long[name], long.entries),
        short: await open(short[name], short.entries),
      };
      const comparison = await Comparison.of(legs, options.rounds);
      rows.push({
        scenario,
        measure: `proof of one of ${long.entries.toLocaleString("en-US")} entries`,
        callers: "1",
        ours: comparison.figure("long", "ms"),
        others: { [`of ${few.toLocaleString("en-US")}`]: comparison.figure("short", "ms") },
        checks: [atMost(3, comparison.ratio("long", "short"), "× as long")],
      });
    }
    return rows;
  },
};

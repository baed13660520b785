import { moveStorage } from "@codespar/core";
import { Comparison } from "../harness/comparison.ts";
import { atLeast, atMost } from "../harness/report.ts";
import { Worker } from "../harness/worker.ts";
import { BareCopy } from "../postgres/bare-copy.ts";
import type { FilesWorker } from "../workers/files.ts";
import type { Scenario } from "./scenario.ts";

/** From files to PostgreSQL: read, written, read back and compared. */
export const move: Scenario = {
  name: "move",
  about: "moving 200,000 records from files to PostgreSQL against a bare COPY of the same bytes",
  async run({ options, postgres, folder, progress }) {
    const records = options.quick ? 5_000 : 200_000;
    const directory = await folder();
    progress(`storing ${records} records`);
    {
      await using worker = new Worker<FilesWorker>(new URL("../workers/files.js", import.meta.url));
      await worker.call("open", { directory });
      await worker.call("fill", { records });
      await worker.call("close", undefined);
    }
    const target = await postgres();
    await using copy = await BareCopy.open(target.url, "bench", records);
    let moved = records;
    const ours = async (): Promise<number> => {
      const { url } = await target.createMigrated();
      progress("moving");
      const start = performance.now();
      const { count } = await moveStorage({ from: { directory }, to: { databaseUrl: url } });
      moved = Math.min(moved, count);
      return (performance.now() - start) / 1000;
    };
    const bare = async (): Promise<number> => (await copy.run()) / 1000;
    const comparison = await Comparison.of({ ours, bare }, options.rounds);
    return [
      {
        scenario: "move",
        measure: `${records.toLocaleString("en-US")} records from files to PostgreSQL, verified`,
        callers: "",
        ours: comparison.figure("ours", "s"),
        others: { "bare COPY": comparison.figure("bare", "s") },
        checks: [
          atMost(4, comparison.ratio("ours", "bare"), "× bare COPY"),
          atLeast(records, moved, "records moved", "assertion"),
        ],
      },
    ];
  },
};

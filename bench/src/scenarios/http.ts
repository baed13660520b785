import autocannon from "autocannon";
import { Cleanup } from "../harness/cleanup.ts";
import { Comparison } from "../harness/comparison.ts";
import { atLeast, type Row } from "../harness/report.ts";
import type { Leg } from "../harness/rounds.ts";
import { Worker } from "../harness/worker.ts";
import type { HttpWorker } from "../workers/http.ts";
import type { Scenario } from "./scenario.ts";

const connections = 64;

/** One memory entry over HTTP, from either backend. */
export const http: Scenario = {
  name: "http",
  about: "GET of one memory entry over HTTP against an empty Fastify route",
  async run({ options, postgres, folder, progress }) {
    await using cleanup = new Cleanup();
    const start = async (environment?: Readonly<Record<string, string>>): Promise<Leg> => {
      const worker = cleanup.use(
        new Worker<HttpWorker>(new URL("../workers/http.js", import.meta.url)),
      );
      const url = await (environment === undefined
        ? worker.call("startEmpty", undefined)
        : worker.call("startOurs", environment));
      cleanup.defer(async () => void (await worker.call("close", undefined)));
      return () => requestsPerSecond(url, options.legMs);
    };
    const legs = {
      files: await start({ CODESPAR_STORAGE_DIR: await folder() }),
      PostgreSQL: await start({ DATABASE_URL: (await postgres()).url }),
      "empty route": await start(),
    };
    progress(`GET, ${connections} connections`);
    const comparison = await Comparison.of(legs, options.rounds);
    const row = (backend: "files" | "PostgreSQL"): Row => ({
      scenario: "HTTP",
      measure: `GET of one memory entry, ${backend}`,
      callers: String(connections),
      ours: comparison.figure(backend),
      others: { "empty route": comparison.figure("empty route") },
      checks: [atLeast(0.5, comparison.ratio(backend, "empty route"), "× empty route")],
    });
    return [row("files"), row("PostgreSQL")];
  },
};

/** @throws Error when an answer wasn't 200: errors are quick, and worth nothing */
async function requestsPerSecond(url: string, durationMs: number): Promise<number> {
  const { requests, non2xx, errors, duration } = await autocannon({
    url,
    connections,
    duration: Math.max(1, durationMs / 1000),
  });
  if (non2xx + errors > 0) throw new Error(`${url}: ${non2xx} other answers, ${errors} errors`);
  return requests.total / duration;
}

import { createStorage } from "@codespar/core";
import pg from "pg";
import { Cleanup } from "../harness/cleanup.ts";
import { Comparison } from "../harness/comparison.ts";
import { atLeast, atMost, type Row } from "../harness/report.ts";
import type { Leg } from "../harness/rounds.ts";
import { median, quantile } from "../harness/statistics.ts";
import { Worker } from "../harness/worker.ts";
import type { Appender, AuditWorker } from "../workers/audit.ts";
import type { Scenario } from "./scenario.ts";

const orgId = "bench-audit";
const callers = 64;
const othersPerSecond = 100;

/** Appends to one organisation's trail on PostgreSQL, from two processes at once and from one caller. */
export const audit: Scenario = {
  name: "audit",
  about: "audit append on PostgreSQL against unchained single-row inserts, from two processes",
  async run({ options, postgres, progress }) {
    await using cleanup = new Cleanup();
    const { url } = await postgres();
    const open = async () => {
      const module = new URL("../workers/audit.js", import.meta.url);
      const worker = cleanup.use(new Worker<AuditWorker>(module));
      await worker.call("open", { url, orgId });
      return worker;
    };
    const workers = [await open(), await open()];
    const others = await open();
    const load = (appender: Appender, count: number, each: number) =>
      new Load(workers.slice(0, count), { appender, callers: each, durationMs: options.legMs });

    progress("1 caller");
    const alone = load("ours", 1, 1);
    const single = await Comparison.of(
      { ours: alone.leg, bare: load("bare", 1, 1).leg },
      options.rounds,
    );
    const organisations = options.quick ? 50 : 1000;
    progress(`a first entry for each of ${organisations} other organisations`);
    await others.call("found", { organisations });
    progress(`2 processes × ${callers} callers`);
    const many = () => load("ours", 2, callers);
    const [quiet, crowd, dump] = [many(), many(), many()];
    const double = await Comparison.of(
      {
        ours: quiet.leg,
        bare: load("bare", 2, callers).leg,
        crowd: beside(crowd.leg, () => trickle(others)),
        dump: beside(dump.leg, () => openSnapshot(url)),
      },
      options.rounds,
    );
    progress("verifying the trail");
    const acknowledged = [alone, quiet, crowd, dump].reduce((sum, { count }) => sum + count, 0);
    const lost = Math.abs(acknowledged - (await countVerified(url)));
    for (const worker of [...workers, others]) await worker.call("close", undefined);
    return report(single, double, quiet, lost, organisations);
  },
};

function report(
  single: Comparison<Appender>,
  double: Comparison<Appender | "crowd" | "dump">,
  quiet: Load,
  lost: number,
  organisations: number,
): readonly Row[] {
  const { p50, p99 } = quiet.percentiles();
  const line = { scenario: "PostgreSQL", callers: `2 × ${callers}` };
  const alone = { alone: double.figure("ours") };
  return [
    {
      ...line,
      callers: "1",
      measure: "audit append, tree included",
      ours: single.figure("ours"),
      others: single.others("ours"),
      checks: [atLeast(0.45, single.ratio("ours", "bare"), "× bare")],
    },
    {
      ...line,
      measure: "audit append, tree included",
      ours: double.figure("ours"),
      others: { bare: double.figure("bare") },
      checks: [
        atLeast(2, double.ratio("ours", "bare"), "× bare"),
        atMost(10, p99 / p50, `× p50 (${p50.toFixed(2)} ms) is p99`),
        atMost(0, lost, "entries lost or too many", "assertion"),
      ],
    },
    {
      ...line,
      measure: `the same beside ${organisations} organisations that append too`,
      note: `they ${othersPerSecond} entries a second`,
      ours: double.figure("crowd"),
      others: alone,
      checks: [atLeast(0.85, double.ratio("crowd", "ours"), "× alone")],
    },
    {
      ...line,
      measure: "the same while a dump's snapshot is open",
      ours: double.figure("dump"),
      others: alone,
      checks: [atLeast(0.9, double.ratio("dump", "ours"), "× alone")],
    },
  ];
}

/** A leg with something else going on beside it. */
function beside(leg: Leg, start: () => Promise<AsyncDisposable>): Leg {
  return async () => {
    await using cleanup = new Cleanup();
    cleanup.use(await start());
    return await leg();
  };
}

/** Other organisations' appends, one after the other. */
async function trickle(others: Worker<AuditWorker>): Promise<AsyncDisposable> {
  await others.call("trickle", { perSecond: othersPerSecond });
  return { [Symbol.asyncDispose]: () => others.call("hush", undefined) };
}

/** What a dump holds for as long as it runs: a snapshot, which keeps whatever is replaced meanwhile. */
async function openSnapshot(url: string): Promise<AsyncDisposable> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  await client.query("SELECT 1 FROM audit_log LIMIT 1");
  return { [Symbol.asyncDispose]: () => client.end() };
}

/** Callers in some processes, and what they reported. */
class Load {
  /** Appends that were acknowledged, warm-up included. */
  count = 0;
  readonly #workers: readonly Worker<AuditWorker>[];
  readonly #load: Parameters<AuditWorker["append"]>[0];
  readonly #percentiles: { p50: number; p99: number }[] = [];

  constructor(workers: readonly Worker<AuditWorker>[], each: Parameters<AuditWorker["append"]>[0]) {
    this.#workers = workers;
    this.#load = each;
  }

  readonly leg: Leg = async () => {
    const results = await Promise.all(
      this.#workers.map((worker) => worker.call("append", this.#load)),
    );
    const latencies = results.flatMap((result) => result.latencies);
    this.#percentiles.push({ p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) });
    this.count += latencies.length;
    return results.reduce((sum, { perSecond }) => sum + perSecond, 0);
  };

  /** Medians over the rounds; the first leg warmed up. */
  percentiles(): { readonly p50: number; readonly p99: number } {
    const rounds = this.#percentiles.slice(1);
    return {
      p50: median(rounds.map(({ p50 }) => p50)),
      p99: median(rounds.map(({ p99 }) => p99)),
    };
  }
}

/** How many entries the trail has, all of them linked without a gap; 0 when it isn't intact. */
async function countVerified(url: string): Promise<number> {
  await using storage = createStorage(orgId, { databaseUrl: url });
  const { verdict, size, checks, firstFailure } = await storage.audit.verify();
  if (verdict === "tampered") console.error(firstFailure?.message);
  return verdict !== "tampered" && checks.link === size ? size : 0;
}

import { Cleanup } from "../harness/cleanup.ts";
import { Comparison, loadLeg } from "../harness/comparison.ts";
import {
  fill,
  type MemoryStore,
  memoryOperation,
  type Verb,
  verbs,
  type Workload,
} from "../harness/memory-store.ts";
import { atLeast, type Check, type Row } from "../harness/report.ts";
import type { Leg } from "../harness/rounds.ts";
import { BareDriver, getStatement, setStatement } from "../postgres/bare.ts";
import { openKeyv, openLangGraph, openOurs } from "../postgres/memory-stores.ts";
import { findPgbench, PGBENCH_MISSING, Pgbench } from "../postgres/pgbench.ts";
import { poolSize } from "../postgres/target.ts";
import type { Context, Scenario } from "./scenario.ts";

const oneOrganisation: Workload = { organisations: ["bench"], keys: 10_000 };
const manyOrganisations: Workload = {
  organisations: Array.from({ length: 64 }, (_, index) => `bench-${index}`),
  keys: 100,
};

/** Ratios to reach on one organisation, by verb and callers. */
const targets: Readonly<
  Record<Verb, Readonly<Record<number, { readonly bare: number; readonly peers?: number }>>>
> = {
  set: { 1: { bare: 0.85 }, 64: { bare: 4, peers: 10 } },
  get: { 1: { bare: 0.75 }, 64: { bare: 4, peers: 10 } },
};

type Contestant = "ours" | "bare" | "LangGraph" | "Keyv" | "pgbench";

interface Contestants {
  readonly stores: Readonly<Record<Exclude<Contestant, "pgbench">, MemoryStore>>;
  readonly pgbench: Pgbench | null;
}

/** Memory on PostgreSQL: one organisation with more and more callers, then an organisation for each caller. */
export const postgresMemory: Scenario = {
  name: "postgres",
  about: "memory on PostgreSQL against the bare driver, LangGraph, Keyv and pgbench",
  async run(context) {
    await using cleanup = new Cleanup();
    const contestants = await open(context, cleanup);
    for (const store of Object.values(contestants.stores)) await fill(store, oneOrganisation);
    const rows: Row[] = [];
    for (const callers of context.options.quick ? [1, 64] : [1, 16, 64, 256]) {
      for (const verb of verbs) {
        context.progress(`${verb}, ${callers} callers`);
        rows.push(await compare(context, contestants, verb, callers));
      }
    }
    const { ours, bare } = contestants.stores;
    for (const store of [ours, bare]) await fill(store, manyOrganisations);
    for (const verb of verbs) {
      context.progress(`${verb}, 64 callers on 64 organisations`);
      rows.push(await compareOrganisations(context, ours, bare, verb));
    }
    return rows;
  },
};

async function open(context: Context, cleanup: Cleanup): Promise<Contestants> {
  const { url } = await context.postgres();
  const program = findPgbench();
  return {
    stores: {
      ours: cleanup.use(openOurs(url, poolSize)),
      bare: cleanup.use(new BareDriver(url, poolSize)),
      LangGraph: cleanup.use(await openLangGraph(url, poolSize)),
      Keyv: cleanup.use(openKeyv(url, poolSize)),
    },
    pgbench: program === undefined ? null : cleanup.use(new Pgbench(program, url)),
  };
}

async function compare(
  { options }: Context,
  { stores, pgbench }: Contestants,
  verb: Verb,
  callers: number,
): Promise<Row> {
  const legOf = (store: MemoryStore): Leg =>
    loadLeg(callers, options.legMs, memoryOperation(store, verb, oneOrganisation));
  const statement = verb === "set" ? setStatement : getStatement;
  const connections = Math.min(callers, poolSize);
  const legs: Partial<Record<Contestant, Leg>> = {
    ours: legOf(stores.ours),
    bare: legOf(stores.bare),
    LangGraph: legOf(stores.LangGraph),
    Keyv: legOf(stores.Keyv),
  };
  if (pgbench !== null) {
    legs.pgbench = () =>
      pgbench.perSecond(statement, oneOrganisation.keys, connections, options.legMs);
  }
  const comparison = await Comparison.of(legs as Record<Contestant, Leg>, options.rounds);
  return {
    scenario: "PostgreSQL",
    measure: `memory ${verb}`,
    callers: String(callers),
    ours: comparison.figure("ours"),
    others: comparison.others("ours"),
    checks: checksOf(comparison, verb, callers, {
      pgbench: pgbench !== null,
      quick: options.quick,
    }),
    ...(pgbench === null && { note: PGBENCH_MISSING }),
  };
}

function checksOf(
  comparison: Comparison<Contestant>,
  verb: Verb,
  callers: number,
  { pgbench, quick }: { readonly pgbench: boolean; readonly quick: boolean },
): Check[] {
  const target = targets[verb][callers];
  if (target === undefined) return [];
  const checks = [atLeast(target.bare, comparison.ratio("ours", "bare"), "× bare")];
  for (const peer of target.peers === undefined ? [] : (["LangGraph", "Keyv"] as const)) {
    checks.push(atLeast(target.peers ?? 0, comparison.ratio("ours", peer), `× ${peer}`));
  }
  // With more callers a read measures Node against C.
  if (pgbench && callers === 1) {
    const kind = quick ? "target" : "assertion";
    checks.push(atLeast(0.6, comparison.ratio("bare", "pgbench"), "bare × pgbench", kind));
  }
  return checks;
}

async function compareOrganisations(
  { options }: Context,
  ours: MemoryStore,
  bare: MemoryStore,
  verb: Verb,
): Promise<Row> {
  const legOf = (store: MemoryStore): Leg =>
    loadLeg(64, options.legMs, memoryOperation(store, verb, manyOrganisations));
  const legs = { ours: legOf(ours), bare: legOf(bare) };
  const comparison = await Comparison.of(legs, options.rounds);
  return {
    scenario: "PostgreSQL",
    measure: `memory ${verb}, 64 organisations`,
    callers: "64",
    ours: comparison.figure("ours"),
    others: comparison.others("ours"),
    checks: [atLeast(0.65, comparison.ratio("ours", "bare"), "× bare")],
  };
}

import { BareLog, openMap, openOurs, openUnstorage } from "../files/memory-stores.ts";
import { Cleanup } from "../harness/cleanup.ts";
import { Comparison, loadLeg } from "../harness/comparison.ts";
import {
  agentId,
  fill,
  type MemoryStore,
  memoryOperation,
  type Verb,
  verbs,
  type Workload,
} from "../harness/memory-store.ts";
import { memoryValue } from "../harness/records.ts";
import { atLeast, type Check, type Row } from "../harness/report.ts";
import type { Leg } from "../harness/rounds.ts";
import type { Context, Scenario } from "./scenario.ts";

const workload: Workload = { organisations: ["bench"], keys: 10_000 };

/** Ratios to the bare loop, by callers. The loop itself always has one: its writes can't share a sync. */
const setTargets: Readonly<Record<number, number>> = { 1: 0.7, 64: 10 };

type Contestant = "ours" | "bare" | "unstorage (unsynced)" | "a Map of JSON texts";

interface Contestants {
  readonly ours: MemoryStore;
  readonly unstorage: MemoryStore;
  readonly map: MemoryStore;
  readonly bare: BareLog;
}

/** Memory in files. */
export const files: Scenario = {
  name: "files",
  about: "memory in files against a bare append-and-fdatasync loop and unstorage",
  async run(context) {
    await using cleanup = new Cleanup();
    const ours = cleanup.use(openOurs(await context.folder()));
    const unstorage = cleanup.use(openUnstorage(await context.folder()));
    const bare = cleanup.use(await BareLog.open(await context.folder()));
    const map = cleanup.use(openMap());
    for (const store of [ours, unstorage, map]) await fill(store, workload);
    const rows: Row[] = [];
    for (const callers of context.options.quick ? [1, 64] : [1, 16, 64, 256]) {
      for (const verb of verbs) {
        context.progress(`${verb}, ${callers} callers`);
        rows.push(await compare(context, { ours, unstorage, map, bare }, verb, callers));
      }
    }
    return rows;
  },
};

async function compare(
  { options }: Context,
  stores: Contestants,
  verb: Verb,
  callers: number,
): Promise<Row> {
  const legOf = (store: MemoryStore): Leg =>
    loadLeg(callers, options.legMs, memoryOperation(store, verb, workload));
  const append = (turn: number): Promise<void> =>
    stores.bare.append("bench", agentId, String(turn % workload.keys), memoryValue(turn));
  const legs: Partial<Record<Contestant, Leg>> = {
    ours: legOf(stores.ours),
    "unstorage (unsynced)": legOf(stores.unstorage),
  };
  if (verb === "set") legs.bare = loadLeg(1, options.legMs, append);
  else legs["a Map of JSON texts"] = legOf(stores.map);
  const comparison = await Comparison.of(legs as Record<Contestant, Leg>, options.rounds);
  return {
    scenario: "files",
    measure: `memory ${verb}`,
    callers: String(callers),
    ours: comparison.figure("ours"),
    others: comparison.others("ours"),
    checks: checksOf(comparison, verb, callers),
  };
}

function checksOf(comparison: Comparison<Contestant>, verb: Verb, callers: number): Check[] {
  if (verb === "get") return [atLeast(400_000, comparison.figure("ours").value, "/s")];
  const target = setTargets[callers];
  return target === undefined ? [] : [atLeast(target, comparison.ratio("ours", "bare"), "× bare")];
}

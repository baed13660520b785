import { isDeepStrictEqual } from "node:util";
import type { Command } from "./commands.ts";
import { type Defect, outcomeOf } from "./model/world.ts";
import { Model } from "./model.ts";

/** Whatever runs commands and tells what they came to. */
export interface Runner {
  readonly name: string;
  run(command: Command): Promise<unknown>;
}

/** How often each command came to each outcome. */
export type Tally = Map<string, number>;

/** Time that all runners share. */
export interface SharedClock {
  nowMs: number;
}

/** The model as a runner. */
export function modelRunner(clock: SharedClock, defect?: Defect): Runner {
  const model = new Model(() => clock.nowMs, defect);
  return { name: "the model", run: async (command) => outcomeOf(() => model.run(command)) };
}

/**
 * Runs the commands on all, each at the same time, and compares every outcome with that of the first.
 *
 * @throws Error naming the first command on which they differ
 */
export async function compare(
  runners: readonly Runner[],
  commands: readonly Command[],
  clock: SharedClock,
  tally?: Tally,
): Promise<void> {
  const named = runners.map((runner) => ({ runner, names: new VersionNames() }));
  for (const [index, command] of commands.entries()) {
    if (command.kind === "wait") clock.nowMs += command.ms;
    const [first, ...others] = await Promise.all(
      named.map(async ({ runner, names }) => ({
        name: runner.name,
        outcome: names.normalise(await runner.run(command)),
      })),
    );
    count(tally, command, first?.outcome);
    for (const other of others) {
      if (isDeepStrictEqual(other.outcome, first?.outcome)) continue;
      const shown = [other, first].map((each) => `${each?.name}: ${JSON.stringify(each?.outcome)}`);
      throw new Error(`command ${index}, ${JSON.stringify(command)}:\n${shown.join("\n")}`);
    }
  }
}

/** Versions are opaque: each becomes its number in the order of first appearance, and values lose their key order. */
class VersionNames {
  readonly #names = new Map<string, number>();

  normalise(value: unknown, key?: string): unknown {
    if ((key === "version" || key === "currentVersion") && typeof value === "string") {
      const name = this.#names.get(value) ?? this.#names.size;
      this.#names.set(value, name);
      return name;
    }
    if (Array.isArray(value)) return value.map((item) => this.normalise(item));
    if (typeof value !== "object" || value === null) return value;
    // Entries rather than an object, so that a property called __proto__ is one like any other.
    const sorted = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return sorted.map(([name, item]) => [name, this.normalise(item, name)]);
  }
}

function count(tally: Tally | undefined, command: Command, outcome: unknown): void {
  const [first] = outcome as [string, unknown][];
  const what = first?.[0] === "ok" ? resultOf(command, first[1]) : outcomeError(outcome);
  const pair = `${command.kind} → ${what}`;
  tally?.set(pair, (tally.get(pair) ?? 0) + 1);
}

function outcomeError(outcome: unknown): string {
  const error = (outcome as [string, unknown][]).find(([name]) => name === "error");
  return String(error?.[1]);
}

function resultOf(command: Command, result: unknown): string {
  // What memory holds may be a boolean itself.
  if (typeof result === "boolean" && command.kind !== "memory.get") return String(result);
  if (result === null) return "null";
  const created = Array.isArray(result)
    ? result.find((item) => Array.isArray(item) && item[0] === "created")
    : undefined;
  if (created !== undefined) return created[1] === true ? "created" : "not created";
  if (command.kind.endsWith(".list"))
    return (result as unknown[]).length === 0 ? "nothing" : "something";
  return "done";
}

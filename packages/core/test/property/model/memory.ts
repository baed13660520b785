import type { Step } from "../commands.ts";
import { type Entry, type Meta, ModelError, type World } from "./world.ts";

/** A verb on memory. */
export function memoryStep(world: World, step: Step): unknown {
  switch (step.kind) {
    case "memory.set": {
      world.demand(step.demand, world.entry(step.agent, step.key));
      const result = world.put(step.agent, step.key, step.value, step.ttlMs);
      if (step.record)
        world.record({
          action: "memory.set",
          target: { type: "memory", id: step.key },
          agent: { id: step.agent },
        });
      return result;
    }
    case "memory.setMany":
      if (
        step.demand === "absent" &&
        step.keys.some((key) => world.entry(step.agent, key) !== undefined)
      ) {
        throw new ModelError("PRECONDITION_FAILED");
      }
      return step.keys.map((key) => world.put(step.agent, key, step.value, null));
    case "memory.delete":
      world.demand(step.demand, world.entry(step.agent, step.key));
      return remove(world, step.agent, step.key, step.record);
    case "memory.deleteMany":
      return step.keys.map((key) => remove(world, step.agent, key, false));
    case "memory.get":
      return shown(world.entry(step.agent, step.key))?.value ?? null;
    case "memory.getEntry":
      return shown(world.entry(step.agent, step.key));
    case "memory.has":
      return world.entry(step.agent, step.key) !== undefined;
    case "memory.getMany":
      return step.keys.map((key) => shown(world.entry(step.agent, key)));
    default:
      throw new TypeError(step.kind);
  }
}

function remove(world: World, agent: string, key: string, record: boolean): boolean {
  const existed = world.entry(agent, key) !== undefined;
  world.entries(agent).delete(key);
  if (existed && record)
    world.record({
      action: "memory.deleted",
      target: { type: "memory", id: key },
      agent: { id: agent },
    });
  return existed;
}

/** Before its commit a transaction knows nothing of an entry but the version that it will have. */
export function asInTransaction(step: Step, result: unknown): unknown {
  const versionOf = ({ version }: Meta) => ({ version });
  if (step.kind === "memory.set") return versionOf(result as Meta);
  return step.kind === "memory.setMany" ? (result as Meta[]).map(versionOf) : result;
}

/** An entry as the API shows it. */
export function shown(entry: Entry | undefined) {
  if (entry === undefined) return null;
  const { text, ...meta } = entry;
  return { ...meta, value: JSON.parse(text) as unknown };
}

import type { Command, Step } from "./commands.ts";
import { integrationStep, slackStep, subscriberStep } from "./model/contacts.ts";
import { asInTransaction, memoryStep } from "./model/memory.ts";
import { query } from "./model/queries.ts";
import { agentStep, linkStep, projectStep } from "./model/registry.ts";
import {
  type Defect,
  emptyState,
  ModelError,
  outcomeOf,
  type State,
  World,
} from "./model/world.ts";

/** The contract in its simplest form: maps in memory, one call at a time. */
export class Model {
  readonly #world: World;
  readonly #defect: Defect | undefined;
  readonly #states: [State, State] = [emptyState(), emptyState()];

  constructor(clock: () => number, defect?: Defect) {
    this.#world = new World(clock, defect);
    this.#defect = defect;
  }

  /** Runs one command. @throws ModelError */
  run(command: Command): unknown {
    this.#world.state = this.#states[command.org];
    if (command.kind === "transaction") return this.#transaction(command);
    if (this.#commitsAlone(command.kind)) {
      const before = structuredClone(this.#world.state);
      try {
        const result = step(this.#world, command as Step);
        this.#assertUnique(command.org);
        return result;
      } catch (error) {
        this.#restore(command.org, before);
        throw error;
      }
    }
    return query(this.#world, command);
  }

  #commitsAlone(kind: Command["kind"]): boolean {
    return !/\.(list|count|getBySlug|getTokens|getCredentials)$|^agents\.get$|^audit\.|^(wait|reopen|bad)$/.test(
      kind,
    );
  }

  #restore(org: 0 | 1, state: State): void {
    this.#states[org] = state;
    this.#world.state = state;
  }

  #transaction(command: Extract<Command, { kind: "transaction" }>): unknown {
    const attempts = command.end === "throw" ? 1 : 5;
    const met = Math.min(command.interferences, attempts);
    for (let n = 0; n < met; n += 1) this.#world.put("a", "k", `interference ${n}`, null);
    if (command.end === "commit" && met === 5) throw new ModelError("CONFLICT");
    const before = structuredClone(this.#world.state);
    const size = this.#world.state.audit.length;
    this.#world.put("marker", "k", "in a transaction", null);
    const outcomes = command.steps.map((each) =>
      outcomeOf(() => asInTransaction(each, step(this.#world, each))),
    );
    try {
      if (command.end === "throw") throw new ModelError("UNSUPPORTED");
      this.#assertUnique(command.org);
    } catch (error) {
      if (this.#defect !== "leaks a failed transaction") this.#restore(command.org, before);
      throw error;
    }
    return { value: outcomes, audit: this.#world.state.audit.slice(size) };
  }

  /** Slugs are unique in an organisation, Slack teams among all: as of the commit, whatever happened on the way. */
  #assertUnique(org: 0 | 1): void {
    const slugs = [...this.#world.state.projects.values()].map(({ slug }) => slug);
    if (new Set(slugs).size !== slugs.length) throw new ModelError("ALREADY_EXISTS");
    const other = this.#states[org === 0 ? 1 : 0];
    for (const team of this.#world.state.slack.keys())
      if (other.slack.has(team)) throw new ModelError("ALREADY_EXISTS");
  }
}

function step(world: World, step: Step): unknown {
  const [domain] = step.kind.split(".");
  switch (domain) {
    case "memory":
      return memoryStep(world, step);
    case "agents":
      return agentStep(world, step);
    case "projects":
      return projectStep(world, step);
    case "links":
      return linkStep(world, step);
    case "subscribers":
      return subscriberStep(world, step);
    case "slack":
      return slackStep(world, step);
    default:
      return integrationStep(world, step);
  }
}

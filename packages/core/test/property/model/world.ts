import type { ErrorCode } from "../../../src/index.ts";
import type { Demand } from "../commands.ts";

/** A defect to plant in the model, to see that the comparison finds it. */
export type Defect =
  | "ignores ifVersion"
  | "returns what has expired"
  | "orders by UTF-16"
  | "forgets an audit entry"
  | "leaks a failed transaction";

/** The error that the contract asks for. */
export class ModelError extends Error {
  readonly code: ErrorCode;
  readonly currentVersion: string | null | undefined;

  constructor(code: ErrorCode, currentVersion?: string | null) {
    super(code);
    this.code = code;
    this.currentVersion = currentVersion;
  }
}

/** What every record has. */
export interface Meta {
  readonly version: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}
/** One entry of memory; its value as JSON text. */
export interface Entry extends Meta {
  readonly key: string;
  readonly text: string;
  readonly expiresAt: string | null;
}
/** A record of any other table. */
export type Row = Readonly<Record<string, unknown>> & Meta;

/** Everything that one organisation holds. */
export interface State {
  memory: Map<string, Map<string, Entry>>;
  agents: Map<string, Row>;
  projects: Map<string, Row>;
  links: Map<string, Row>;
  subscribers: Map<string, Row>;
  slack: Map<string, Row>;
  integrations: Map<string, Row>;
  audit: Readonly<Record<string, unknown>>[];
}

/** An organisation without anything. */
export const emptyState = (): State => ({
  memory: new Map(),
  agents: new Map(),
  projects: new Map(),
  links: new Map(),
  subscribers: new Map(),
  slack: new Map(),
  integrations: new Map(),
  audit: [],
});

const byBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** One organisation in the model's hands, and what every verb needs. */
export class World {
  state: State = emptyState();
  readonly #clock: () => number;
  readonly #defect: Defect | undefined;
  #versions = 0;

  constructor(clock: () => number, defect?: Defect) {
    this.#clock = clock;
    this.#defect = defect;
  }

  now(): string {
    return new Date(this.#clock()).toISOString();
  }

  #version(): string {
    this.#versions += 1;
    return `model ${this.#versions}`;
  }

  stored(before: Meta | undefined): Meta {
    return {
      version: this.#version(),
      createdAt: before?.createdAt ?? this.now(),
      updatedAt: this.now(),
    };
  }

  demand(demand: Demand, before: Meta | undefined): void {
    const holds =
      demand === "nothing" ||
      (demand === "absent" && before === undefined) ||
      (demand === "current" && before !== undefined) ||
      (demand === "stale" && this.#defect === "ignores ifVersion");
    if (!holds) throw new ModelError("PRECONDITION_FAILED", before?.version ?? null);
  }

  record(entry: Readonly<Record<string, unknown>>): void {
    if (this.#defect === "forgets an audit entry" && entry["action"] === "repository.unlinked")
      return;
    const said = {
      actor: { type: "system", id: "library" },
      outcome: "success",
      target: null,
      agent: null,
      project: null,
      details: null,
      ...entry,
    };
    this.state.audit.push({ seq: this.state.audit.length, ...said });
  }

  entries(agent: string): Map<string, Entry> {
    const found = this.state.memory.get(agent) ?? new Map<string, Entry>();
    this.state.memory.set(agent, found);
    return found;
  }

  entry(agent: string, key: string): Entry | undefined {
    const entry = this.entries(agent).get(key);
    const expired =
      entry !== undefined &&
      entry.expiresAt !== null &&
      Date.parse(entry.expiresAt) <= this.#clock();
    return expired && this.#defect !== "returns what has expired" ? undefined : entry;
  }

  live(agent: string): Entry[] {
    return [...this.entries(agent).keys()].flatMap((key) => this.entry(agent, key) ?? []);
  }

  put(agent: string, key: string, value: unknown, ttlMs: number | null) {
    const before = this.entry(agent, key);
    const expiresAt = ttlMs === null ? null : new Date(this.#clock() + ttlMs).toISOString();
    const entry = { key, text: JSON.stringify(value), ...this.stored(before), expiresAt };
    this.entries(agent).set(key, entry);
    const { text: _, ...meta } = entry;
    return { ...meta, created: before === undefined };
  }

  sorted<Item>(items: readonly Item[], keyOf: (item: Item) => string, reverse: boolean): Item[] {
    const compare =
      this.#defect === "orders by UTF-16" ? (a: string, b: string) => (a < b ? -1 : 1) : byBytes;
    const sorted = items.toSorted((a, b) => compare(keyOf(a), keyOf(b)));
    return reverse ? sorted.toReversed() : sorted;
  }
}

/** What a call came to, as data. */
export function outcomeOf(call: () => unknown): unknown {
  try {
    return { ok: call() };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    return {
      error: error.code,
      ...(error.currentVersion !== undefined && { currentVersion: error.currentVersion }),
    };
  }
}

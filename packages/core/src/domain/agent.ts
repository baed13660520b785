import type { RecordMeta } from "./memory.ts";

/** What an agent is doing. */
export const agentStatuses = ["active", "idle", "suspended", "error"] as const;

/** A status of an agent. */
export type AgentStatus = (typeof agentStatuses)[number];

/** Autonomy runs from 0 (asks before everything) to 5 (acts alone). */
export const autonomyLevels = { min: 0, max: 5, default: 1 } as const;

/** What can be said about an agent; whatever is left out takes its default. */
export interface AgentInput {
  /** What kind of agent it is, for example `project` or `reviewer`. Default `agent`. */
  readonly type?: string;
  /** Shown to people. Default: the agent's id. */
  readonly name?: string;
  /** Default `idle`. */
  readonly status?: AgentStatus;
  /** Whole number from 0 to 5. Default 1. */
  readonly autonomyLevel?: number;
  /** Id of the project it works on. Default `null`. */
  readonly projectId?: string | null;
  /** When it last did something. Default `null`. */
  readonly lastActivityAt?: Date | string | null;
}

/** An agent: its identity, status and how much it may do by itself. */
export interface AgentState {
  readonly id: string;
  readonly type: string;
  readonly name: string;
  readonly status: AgentStatus;
  readonly autonomyLevel: number;
  readonly projectId: string | null;
  readonly lastActivityAt: string | null;
  /** `false` for an agent known only by the memory written for it: all else then shows the defaults. */
  readonly registered: boolean;
  /** `null` exactly when `registered` is `false`. */
  readonly version: RecordMeta["version"] | null;
  readonly createdAt: string | null;
  readonly updatedAt: string | null;
}

/** What a write demands of the record's version; `current` is looked up right before the call. */
export type Demand = "nothing" | "absent" | "current" | "stale";

/** One call on the storage of one of two organisations, as plain data. */
export type Command = { readonly org: 0 | 1 } & (
  | Simple
  | {
      readonly kind: "transaction";
      readonly steps: readonly Step[];
      readonly end: "commit" | "throw";
      readonly interferences: number;
    }
);

/** What can be done in a transaction as well as outside. */
export type Step =
  | {
      readonly kind: "memory.set";
      readonly agent: string;
      readonly key: string;
      readonly value: unknown;
      readonly ttlMs: number | null;
      readonly demand: Demand;
      readonly record: boolean;
    }
  | {
      readonly kind: "memory.delete";
      readonly agent: string;
      readonly key: string;
      readonly demand: Exclude<Demand, "absent">;
      readonly record: boolean;
    }
  | {
      readonly kind: "memory.get" | "memory.getEntry" | "memory.has";
      readonly agent: string;
      readonly key: string;
    }
  | {
      readonly kind: "memory.getMany" | "memory.deleteMany";
      readonly agent: string;
      readonly keys: readonly string[];
    }
  | {
      readonly kind: "memory.setMany";
      readonly agent: string;
      readonly keys: readonly string[];
      readonly value: unknown;
      readonly demand: "nothing" | "absent";
    }
  | {
      readonly kind: "agents.set";
      readonly agent: string;
      readonly input: AgentFields;
      readonly demand: Demand;
    }
  | {
      readonly kind: "agents.update";
      readonly agent: string;
      readonly input: AgentFields;
      readonly demand: Exclude<Demand, "absent">;
    }
  | {
      readonly kind: "agents.delete";
      readonly agent: string;
      readonly demand: Exclude<Demand, "absent">;
    }
  | { readonly kind: "agents.touch" | "agents.has"; readonly agent: string }
  | {
      readonly kind: "projects.create";
      readonly id: string;
      readonly name: string;
      readonly slug: string;
    }
  | {
      readonly kind: "projects.update";
      readonly id: string;
      readonly patch: { readonly slug?: string; readonly agentId?: string | null };
      readonly demand: Exclude<Demand, "absent">;
    }
  | { readonly kind: "projects.rename"; readonly id: string; readonly name: string }
  | {
      readonly kind: "projects.delete";
      readonly id: string;
      readonly demand: Exclude<Demand, "absent">;
    }
  | { readonly kind: "projects.get"; readonly id: string }
  | { readonly kind: "links.link"; readonly agent: string; readonly repository: string }
  | {
      readonly kind: "links.update";
      readonly agent: string;
      readonly webhookId: string | null;
      readonly demand: Exclude<Demand, "absent">;
    }
  | {
      readonly kind: "links.unlink";
      readonly agent: string;
      readonly demand: Exclude<Demand, "absent">;
    }
  | { readonly kind: "links.get"; readonly agent: string }
  | { readonly kind: "subscribers.subscribe"; readonly email: string; readonly source: string }
  | {
      readonly kind: "subscribers.confirm" | "subscribers.unsubscribe" | "subscribers.get";
      readonly email: string;
    }
  | {
      readonly kind: "slack.set";
      readonly team: string;
      readonly token: string;
      readonly demand: Demand;
    }
  | {
      readonly kind: "slack.delete";
      readonly team: string;
      readonly demand: Exclude<Demand, "absent">;
    }
  | { readonly kind: "slack.get"; readonly team: string }
  | {
      readonly kind: "integrations.set";
      readonly integration: string;
      readonly token: string;
      readonly demand: Demand;
    }
  | {
      readonly kind: "integrations.delete";
      readonly integration: string;
      readonly demand: Exclude<Demand, "absent">;
    }
  | { readonly kind: "integrations.get"; readonly integration: string };

/** A command that is one call. */
export type Simple =
  | Step
  | { readonly kind: "agents.get"; readonly agent: string }
  | {
      readonly kind: "memory.list";
      readonly agent: string;
      readonly prefix: string;
      readonly limit: number;
      readonly reverse: boolean;
    }
  | {
      readonly kind: "agents.list";
      readonly status: AgentFields["status"];
      readonly limit: number;
      readonly reverse: boolean;
    }
  | {
      readonly kind: "projects.list" | "links.list" | "slack.list" | "integrations.list";
      readonly limit: number;
      readonly reverse: boolean;
    }
  | { readonly kind: "projects.getBySlug"; readonly slug: string }
  | { readonly kind: "slack.getTokens"; readonly team: string }
  | { readonly kind: "integrations.getCredentials"; readonly integration: string }
  | {
      readonly kind: "subscribers.list";
      readonly status: "pending" | "confirmed" | "unsubscribed" | undefined;
      readonly limit: number;
    }
  | { readonly kind: "subscribers.count" | "audit.verify" | "reopen" }
  | {
      readonly kind: "audit.append";
      readonly id: string | undefined;
      readonly action: string;
      readonly actorId: string;
      readonly details: unknown;
    }
  | { readonly kind: "audit.get"; readonly seq: number }
  | { readonly kind: "audit.getById"; readonly id: string }
  | {
      readonly kind: "audit.list";
      readonly action: string | undefined;
      readonly actorId: string | undefined;
      readonly agentId: string | undefined;
      readonly order: "asc" | "desc";
      readonly limit: number;
    }
  | { readonly kind: "wait"; readonly ms: number }
  | {
      readonly kind: "bad";
      readonly call:
        | "key"
        | "value"
        | "large"
        | "level"
        | "status"
        | "slug"
        | "repository"
        | "email"
        | "integration"
        | "action"
        | "ttl"
        | "limit";
    };

/** What a command may say of an agent. */
export interface AgentFields {
  readonly name?: string;
  readonly status?: "active" | "idle" | "suspended" | "error" | undefined;
  readonly autonomyLevel?: number;
  readonly projectId?: string | null;
}

import type { Step } from "../commands.ts";
import { ModelError, type Row, type World } from "./world.ts";

/** A verb on subscribers. */
export function subscriberStep(world: World, step: Step): unknown {
  if (!("email" in step)) throw new TypeError(step.kind);
  const email = step.email.toLowerCase();
  const before = world.state.subscribers.get(email);
  const current = before?.["status"] === "unsubscribed" ? undefined : before;
  const put = (fields: object): Row => {
    const after = { email, ...fields, ...world.stored(before) } as Row;
    world.state.subscribers.set(email, after);
    return after;
  };
  switch (step.kind) {
    case "subscribers.subscribe":
      if (current !== undefined) return { subscriber: current, created: false };
      return {
        subscriber: put({
          source: step.source,
          status: "pending",
          subscribedAt: world.now(),
          confirmedAt: null,
          unsubscribedAt: null,
        }),
        created: true,
      };
    case "subscribers.confirm":
      if (current === undefined) throw new ModelError("NOT_FOUND");
      return current["status"] === "confirmed"
        ? current
        : put({ ...current, status: "confirmed", confirmedAt: world.now() });
    case "subscribers.unsubscribe":
      if (current !== undefined)
        put({ ...current, status: "unsubscribed", unsubscribedAt: world.now() });
      return current !== undefined;
    case "subscribers.get":
      return before ?? null;
  }
}

/** What the two tables of sealed secrets have of their own. */
const tables = {
  slack: {
    target: (id: string) => ({ type: "slack_installation", id: `team:${id}` }),
    shown: (id: string, before: Row | undefined, now: string) => ({
      teamId: id,
      scopes: [],
      tokenNames: ["token"],
      installedAt: before?.["installedAt"] ?? now,
    }),
    details: { tokens: ["token"] },
    actions: ["slack.installed", "slack.updated", "slack.uninstalled"],
  },
  integrations: {
    target: (id: string) => ({ type: "integration", id }),
    shown: (id: string) => ({ integration: id, settings: {}, credentialNames: ["token"] }),
    details: { credentials: ["token"] },
    actions: ["integration.configured", "integration.updated", "integration.removed"],
  },
} as const;

/** A verb on Slack installations. */
export function slackStep(world: World, step: Step): unknown {
  if (!("team" in step)) throw new TypeError(step.kind);
  return secretStep(world, "slack", step.team, step);
}

/** A verb on integrations. */
export function integrationStep(world: World, step: Step): unknown {
  if (!("integration" in step)) throw new TypeError(step.kind);
  return secretStep(world, "integrations", step.integration, step);
}

function secretStep(world: World, name: keyof typeof tables, id: string, step: Step): unknown {
  const { shown, target, details, actions } = tables[name];
  const rows = world.state[name];
  const before = rows.get(id);
  if ("token" in step) {
    world.demand(step.demand, before);
    const after: Row = {
      ...shown(id, before, world.now()),
      token: step.token,
      ...world.stored(before),
    };
    rows.set(id, after);
    world.record({ action: actions[before === undefined ? 0 : 1], target: target(id), details });
    return withoutToken(after);
  }
  if ("demand" in step) {
    world.demand(step.demand, before);
    const removed = { action: actions[2], target: target(id) };
    world.record(before === undefined ? { ...removed, ...fruitless } : removed);
    return rows.delete(id);
  }
  if (before === undefined) return null;
  return withoutToken(before);
}

/** What an entry says of a secret that isn't there. */
const fruitless = { outcome: "failure", details: { why: "not_found" } } as const;

/** The secret in clear, and the entry that says who has it, or wanted it. */
export function readSecret(world: World, name: keyof typeof tables, id: string): unknown {
  const { target, details } = tables[name];
  const row = world.state[name].get(id);
  const read = { action: "secret.read", target: target(id) };
  world.record(row === undefined ? { ...read, ...fruitless } : { ...read, details });
  if (row === undefined) return null;
  return { token: row["token"] };
}

/** What a listing shows of it. */
export function withoutToken({ token: _, ...row }: Row): object {
  return row;
}

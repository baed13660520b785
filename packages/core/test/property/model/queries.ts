import type { AgentFields, Command } from "../commands.ts";
import { readSecret, withoutToken } from "./contacts.ts";
import { shown } from "./memory.ts";
import { implied } from "./registry.ts";
import { ModelError, type Row, type World } from "./world.ts";

const statusOf = (fields: AgentFields) => fields.status ?? "idle";

/** What only reads, and what concerns the trail. */
export function query(world: World, command: Command): unknown {
  const { agents, projects, links, slack, integrations, subscribers, audit } = world.state;
  switch (command.kind) {
    case "agents.get":
      return (
        agents.get(command.agent) ??
        (world.live(command.agent).length > 0 ? implied(command.agent) : null)
      );
    case "memory.list": {
      const found = world.live(command.agent).filter(({ key }) => key.startsWith(command.prefix));
      return world.sorted(found, ({ key }) => key, command.reverse).map(shown);
    }
    case "agents.list": {
      const ids = new Set([
        ...agents.keys(),
        ...[...world.state.memory.keys()].filter((id) => world.live(id).length > 0),
      ]);
      const found = [...ids].map((id) => agents.get(id) ?? implied(id));
      const asked = found.filter(
        (agent) =>
          command.status === undefined || statusOf(agent as AgentFields) === command.status,
      );
      return world.sorted(
        asked,
        (agent) => String(agent["id" as keyof typeof agent]),
        command.reverse,
      );
    }
    case "projects.list":
      return world
        .sorted([...projects.entries()], ([id]) => id, command.reverse)
        .map(([, row]) => row);
    case "links.list":
      return world
        .sorted([...links.entries()], ([id]) => id, command.reverse)
        .map(([, row]) => row);
    case "slack.list":
      return world
        .sorted([...slack.entries()], ([id]) => id, command.reverse)
        .map(([, row]) => withoutToken(row));
    case "integrations.list":
      return world
        .sorted([...integrations.entries()], ([id]) => id, command.reverse)
        .map(([, row]) => withoutToken(row));
    case "slack.getTokens":
      return readSecret(world, "slack", command.team);
    case "integrations.getCredentials":
      return readSecret(world, "integrations", command.integration);
    case "subscribers.list": {
      const asked = [...subscribers.values()].filter(
        ({ status }) => command.status === undefined || status === command.status,
      );
      return world.sorted(asked, ({ email }) => String(email), false);
    }
    case "projects.getBySlug":
      return [...projects.values()].find(({ slug }) => slug === command.slug) ?? null;
    case "subscribers.count":
      return counted([...subscribers.values()]);
    case "audit.append":
      return append(world, command);
    case "audit.get":
      return audit[command.seq] ?? null;
    case "audit.getById":
      return audit.find(({ id }) => id === command.id) ?? null;
    case "audit.list":
      return listAudit(world, command);
    case "audit.verify":
      return { verdict: "unanchored", size: audit.length };
    case "bad":
      throw new ModelError(
        command.call === "large" || command.call === "ttl" ? "LIMIT_EXCEEDED" : "VALIDATION",
      );
    default:
      return null;
  }
}

function append(world: World, command: Extract<Command, { kind: "audit.append" }>): unknown {
  const { id, action, actorId, details = null } = command;
  const said = {
    action,
    actor: { type: "user", id: actorId },
    details,
    ...(id !== undefined && { id }),
    hasDetails: command.details !== undefined,
  };
  const there =
    id === undefined ? undefined : world.state.audit.find((entry) => entry["id"] === id);
  if (there === undefined) world.record(said);
  else if (
    Object.entries(said).some(
      ([name, value]) => JSON.stringify(there[name]) !== JSON.stringify(value),
    )
  )
    throw new ModelError("ALREADY_EXISTS");
  return there ?? world.state.audit.at(-1);
}

function listAudit(world: World, command: Extract<Command, { kind: "audit.list" }>): unknown {
  const prefix = command.action?.endsWith("*") ? command.action.slice(0, -1) : undefined;
  const found = world.state.audit.filter(({ action, actor, agent }) => {
    const said = String(action);
    const byAction =
      prefix === undefined
        ? command.action === undefined || said === command.action
        : said.startsWith(prefix);
    const byActor =
      command.actorId === undefined || (actor as { id: string }).id === command.actorId;
    const byAgent =
      command.agentId === undefined || (agent as { id: string } | null)?.id === command.agentId;
    return byAction && byActor && byAgent;
  });
  return command.order === "asc" ? found : found.toReversed();
}

function counted(rows: readonly Row[]) {
  const current = rows.filter(({ status }) => status !== "unsubscribed");
  const bySource: Record<string, number> = {};
  for (const { source } of current) bySource[String(source)] = (bySource[String(source)] ?? 0) + 1;
  const confirmed = current.filter(({ status }) => status === "confirmed").length;
  return { total: current.length, confirmed, unsubscribed: rows.length - current.length, bySource };
}

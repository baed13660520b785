import {
  PreconditionFailedError,
  type SlackInstallation,
  type Storage,
  StorageError,
  type Transaction,
} from "../../src/index.ts";
import type { Demand, Step } from "./commands.ts";

/** The verbs that a step uses: a handle's, or a transaction's. */
export type Verbs = Pick<
  Storage,
  | "agentStates"
  | "projects"
  | "projectConfigs"
  | "subscribers"
  | "slackInstallations"
  | "channelConfigs"
> & {
  readonly memory: Pick<
    Storage["memory"],
    "get" | "getEntry" | "has" | "getMany" | "delete" | "deleteMany"
  > &
    Transaction["memory"];
};
/** The options that demand a version; `current` asks for it first. */
async function demanded(
  demand: Demand,
  read: () => Promise<{ readonly version: string | null } | null>,
): Promise<object> {
  if (demand === "nothing") return {};
  if (demand === "absent") return { ifAbsent: true };
  const version = demand === "current" ? (await read())?.version : "stale";
  return { ifVersion: version ?? "no such version" };
}

/** Runs one step on a handle or in a transaction. */
export async function step(on: Verbs, command: Step): Promise<unknown> {
  switch (command.kind) {
    case "memory.set": {
      const { agent, key, value, ttlMs, demand, record } = command;
      const options = await demanded(demand, () => on.memory.getEntry(agent, key));
      return on.memory.set(agent, key, value, {
        ...options,
        ...(ttlMs !== null && { ttlMs }),
        record,
      });
    }
    case "memory.setMany": {
      const { agent, keys, value, demand } = command;
      const items = keys.map((key) => ({
        key,
        value,
        ...(demand === "absent" && { ifAbsent: true }),
      }));
      return on.memory.setMany(agent, items).catch((error: unknown) => {
        // Which of several keys failed first is nobody's promise.
        if (!(error instanceof PreconditionFailedError)) throw error;
        throw new StorageError("PRECONDITION_FAILED", error.message);
      });
    }
    case "memory.delete": {
      const { agent, key, demand, record } = command;
      return on.memory.delete(agent, key, {
        ...(await demanded(demand, () => on.memory.getEntry(agent, key))),
        record,
      });
    }
    case "memory.deleteMany":
      return on.memory.deleteMany(command.agent, command.keys);
    case "memory.get":
      return on.memory.get(command.agent, command.key);
    case "memory.getEntry":
      return on.memory.getEntry(command.agent, command.key);
    case "memory.has":
      return on.memory.has(command.agent, command.key);
    case "memory.getMany":
      return on.memory.getMany(command.agent, command.keys);
    default:
      return recordStep(on, command);
  }
}

type RecordStep = Exclude<Step, { readonly kind: `memory.${string}` }>;

async function recordStep(on: Verbs, command: RecordStep): Promise<unknown> {
  const { agentStates, projects, projectConfigs } = on;
  switch (command.kind) {
    case "agents.set": {
      // Inside a transaction and outside, the version of a registered agent only.
      const options = await demanded(command.demand, () => agentStates.get(command.agent));
      return agentStates.set(command.agent, command.input as object, options);
    }
    case "agents.update":
      return agentStates.update(
        command.agent,
        command.input as object,
        await demanded(command.demand, () => agentStates.get(command.agent)),
      );
    case "agents.delete":
      return agentStates.delete(
        command.agent,
        await demanded(command.demand, () => agentStates.get(command.agent)),
      );
    case "agents.touch":
      return agentStates.touch(command.agent);
    case "agents.has":
      return agentStates.has(command.agent);
    case "projects.create":
      return projects.create({ id: command.id, name: command.name, slug: command.slug });
    case "projects.update":
      return projects.update(
        command.id,
        command.patch,
        await demanded(command.demand, () => projects.get(command.id)),
      );
    case "projects.rename":
      return projects.rename(command.id, command.name);
    case "projects.delete":
      return projects.delete(
        command.id,
        await demanded(command.demand, () => projects.get(command.id)),
      );
    case "projects.get":
      return projects.get(command.id);
    case "links.link":
      return projectConfigs.link(command.agent, { repository: command.repository });
    case "links.update":
      return projectConfigs.update(
        command.agent,
        { webhookId: command.webhookId },
        await demanded(command.demand, () => projectConfigs.get(command.agent)),
      );
    case "links.unlink":
      return projectConfigs.unlink(
        command.agent,
        await demanded(command.demand, () => projectConfigs.get(command.agent)),
      );
    case "links.get":
      return projectConfigs.get(command.agent);
    default:
      return otherStep(on, command);
  }
}

type OtherStep = Exclude<
  RecordStep,
  { readonly kind: `${"agents" | "projects" | "links"}.${string}` }
>;

async function otherStep(
  { subscribers, slackInstallations, channelConfigs }: Verbs,
  command: OtherStep,
): Promise<unknown> {
  const query = "team" in command ? { teamId: command.team } : {};
  switch (command.kind) {
    case "subscribers.subscribe":
      return subscribers.subscribe(command.email, { source: command.source });
    case "subscribers.confirm":
      return subscribers.confirm(command.email);
    case "subscribers.unsubscribe":
      return subscribers.unsubscribe(command.email);
    case "subscribers.get":
      return subscribers.get(command.email);
    case "slack.set": {
      const options = await demanded(command.demand, () => slackInstallations.get(query));
      return installationOf(
        await slackInstallations.set({ ...query, tokens: { token: command.token } }, options),
      );
    }
    case "slack.delete":
      return slackInstallations.delete(
        query,
        await demanded(command.demand, () => slackInstallations.get(query)),
      );
    case "slack.get":
      return installationOf(await slackInstallations.get(query));
    case "integrations.set": {
      const options = await demanded(command.demand, () => channelConfigs.get(command.integration));
      return channelConfigs.set(
        command.integration,
        { credentials: { token: command.token } },
        options,
      );
    }
    case "integrations.delete":
      return channelConfigs.delete(
        command.integration,
        await demanded(command.demand, () => channelConfigs.get(command.integration)),
      );
    case "integrations.get":
      return channelConfigs.get(command.integration);
  }
}

/** An installation less what no command sets. */
export function installationOf(installation: SlackInstallation | null): unknown {
  if (installation === null) return null;
  const { teamId, scopes, tokenNames, installedAt, version, createdAt, updatedAt } = installation;
  return { teamId, scopes, tokenNames, installedAt, version, createdAt, updatedAt };
}

import type { Step } from "../commands.ts";
import { ModelError, type Row, type World } from "./world.ts";

const repositories: Readonly<Record<string, object>> = {
  "acme/app": {
    repositoryUrl: "https://github.com/acme/app",
    host: "github.com",
    owner: "acme",
    name: "app",
  },
  "git@gitlab.com:acme/team/app.git": {
    repositoryUrl: "https://gitlab.com/acme/team/app",
    host: "gitlab.com",
    owner: "acme/team",
    name: "app",
  },
};

/** A verb on agents. */
export function agentStep(world: World, step: Step): unknown {
  if (!("agent" in step)) throw new TypeError(step.kind);
  const before = world.state.agents.get(step.agent);
  const { version: _v, createdAt: _c, updatedAt: _u, ...defaults } = implied(step.agent);
  switch (step.kind) {
    case "agents.set":
      world.demand(step.demand, before);
      return putAgent(world, step.agent, before, { ...defaults, ...given(step.input) });
    case "agents.update":
      world.demand(step.demand, before);
      if (before === undefined && world.live(step.agent).length === 0)
        throw new ModelError("NOT_FOUND");
      return putAgent(world, step.agent, before, { ...defaults, ...before, ...given(step.input) });
    case "agents.touch": {
      if (before === undefined) throw new ModelError("NOT_FOUND");
      const after = { ...before, lastActivityAt: world.now(), ...world.stored(before) };
      world.state.agents.set(step.agent, after);
      return after;
    }
    case "agents.has":
      return before !== undefined;
    case "agents.delete":
      world.demand(step.demand, before);
      if (before !== undefined)
        world.record({
          action: "agent.deleted",
          target: { type: "agent", id: step.agent },
          agent: { id: step.agent },
        });
      return world.state.agents.delete(step.agent);
    default:
      throw new TypeError(step.kind);
  }
}

function putAgent(
  world: World,
  id: string,
  before: Row | undefined,
  fields: Readonly<Record<string, unknown>>,
): Row {
  const after: Row = { ...fields, registered: true, ...world.stored(before) };
  const changes = changed(
    ["type", "name", "status", "autonomyLevel", "projectId", "lastActivityAt"],
    before,
    after,
  );
  const what =
    "autonomyLevel" in changes
      ? "agent.autonomy_changed"
      : "status" in changes
        ? "agent.status_changed"
        : "agent.updated";
  const action = before === undefined ? "agent.registered" : what;
  world.record({
    action,
    target: { type: "agent", id },
    agent: { id },
    project: after["projectId"],
    details: { changes },
  });
  world.state.agents.set(id, after);
  return after;
}

/** A verb on projects. */
export function projectStep(world: World, step: Step): unknown {
  if (!("id" in step)) throw new TypeError(step.kind);
  const before = world.state.projects.get(step.id);
  switch (step.kind) {
    case "projects.create": {
      if (before !== undefined) throw new ModelError("ALREADY_EXISTS");
      const { id, name, slug } = step;
      return putProject(world, id, undefined, { id, name, slug, repository: null, agentId: null });
    }
    case "projects.update":
      if (before === undefined) throw new ModelError("NOT_FOUND");
      world.demand(step.demand, before);
      return putProject(world, step.id, before, { ...before, ...given(step.patch) });
    case "projects.rename":
      if (before === undefined) throw new ModelError("NOT_FOUND");
      return putProject(world, step.id, before, { ...before, name: step.name });
    case "projects.delete":
      world.demand(step.demand, before);
      if (before !== undefined)
        world.record({
          action: "project.deleted",
          target: { type: "project", id: step.id },
          project: step.id,
        });
      return world.state.projects.delete(step.id);
    case "projects.get":
      return before ?? null;
  }
}

function putProject(
  world: World,
  id: string,
  before: Row | undefined,
  fields: Readonly<Record<string, unknown>>,
): Row {
  const after: Row = { ...fields, ...world.stored(before) };
  const details = { changes: changed(["name", "slug", "repository", "agentId"], before, after) };
  const action = before === undefined ? "project.created" : "project.updated";
  world.record({ action, target: { type: "project", id }, project: id, details });
  world.state.projects.set(id, after);
  return after;
}

/** A verb on linked repositories. */
export function linkStep(world: World, step: Step): unknown {
  if (!("agent" in step)) throw new TypeError(step.kind);
  const before = world.state.links.get(step.agent);
  const about = (row: Row) => ({
    target: { type: "repository", id: `${row["host"]}/${row["owner"]}/${row["name"]}` },
    agent: { id: step.agent },
  });
  switch (step.kind) {
    case "links.link": {
      if (before !== undefined) throw new ModelError("ALREADY_EXISTS");
      const made = {
        agentId: step.agent,
        ...repositories[step.repository],
        defaultBranch: "main",
        webhookConfigured: false,
        webhookId: null,
      };
      const after: Row = {
        ...made,
        linkedAt: world.now(),
        linkedBy: "library",
        ...world.stored(undefined),
      };
      world.state.links.set(step.agent, after);
      world.record({ action: "repository.linked", ...about(after), details: "changes" });
      return after;
    }
    case "links.update": {
      if (before === undefined) throw new ModelError("NOT_FOUND");
      world.demand(step.demand, before);
      const after: Row = { ...before, webhookId: step.webhookId, ...world.stored(before) };
      world.state.links.set(step.agent, after);
      world.record({ action: "repository.updated", ...about(after), details: "changes" });
      return after;
    }
    case "links.unlink":
      world.demand(step.demand, before);
      if (before !== undefined) world.record({ action: "repository.unlinked", ...about(before) });
      return world.state.links.delete(step.agent);
    case "links.get":
      return before ?? null;
    default:
      throw new TypeError(step.kind);
  }
}

/** An agent known only by its memory. */
export function implied(id: string) {
  const fields = {
    id,
    type: "agent",
    name: id,
    status: "idle",
    autonomyLevel: 1,
    projectId: null,
    lastActivityAt: null,
  };
  return { ...fields, registered: false, version: null, createdAt: null, updatedAt: null };
}

function given(fields: object): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function changed(names: readonly string[], before: Row | undefined, after: Row) {
  const differing = names.filter((name) => (before?.[name] ?? null) !== after[name]);
  return Object.fromEntries(
    differing.map((name) => [name, { from: before?.[name] ?? null, to: after[name] }]),
  );
}

import { testSecret } from "../../../../tooling/secrets.ts";
import {
  type AuditEntry,
  type Listing,
  PreconditionFailedError,
  type Secret,
  type Storage,
  StorageError,
} from "../../src/index.ts";
import type { Command, Step } from "./commands.ts";
import { installationOf, step, type Verbs } from "./subject-steps.ts";

/** Runs commands on a real storage, and tells what they came to in the model's terms. */
export class Subject {
  readonly #open: () => Storage;
  readonly #orgIds: readonly [string, string];
  readonly #mark: string;
  #handle: Storage;

  /** @param mark - makes the sequence's Slack teams its own: they belong to one organisation of the whole deployment */
  constructor(open: () => Storage, orgIds: readonly [string, string], mark: string) {
    this.#open = open;
    this.#orgIds = orgIds;
    this.#mark = mark;
    this.#handle = open();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  async run(command: Command): Promise<unknown> {
    const storage = this.#handle.forOrg(this.#orgIds[command.org]);
    if (command.kind === "reopen") {
      await this.#handle.close();
      this.#handle = this.#open();
      return { ok: null };
    }
    const outcome = await outcomeOf(() => dispatch(storage, this.#marked(command)));
    return unmarked(outcome, this.#mark);
  }

  #marked(command: Command): Command {
    if (command.kind === "transaction")
      return { ...command, steps: command.steps.map((each) => this.#markedStep(each)) };
    return "team" in command ? { ...command, team: `${this.#mark}${command.team}` } : command;
  }

  #markedStep(each: Step): Step {
    return "team" in each ? { ...each, team: `${this.#mark}${each.team}` } : each;
  }
}

function unmarked(outcome: unknown, mark: string): unknown {
  return JSON.parse(JSON.stringify(outcome ?? null).replaceAll(mark, ""));
}

function dispatch(storage: Storage, command: Command): Promise<unknown> {
  if (command.kind === "transaction") return runTransaction(storage, command);
  if (
    /\.(list|count|getBySlug|getTokens|getCredentials)$|^agents\.get$|^audit\.|^(wait|bad)$/.test(
      command.kind,
    )
  )
    return query(storage, command);
  return step(storage, command as Step);
}

async function outcomeOf(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return { ok: await call() };
  } catch (error) {
    if (!StorageError.is(error)) throw error;
    const failed = error instanceof PreconditionFailedError;
    return { error: error.code, ...(failed && { currentVersion: error.currentVersion }) };
  }
}

async function runTransaction(
  storage: Storage,
  command: Extract<Command, { kind: "transaction" }>,
): Promise<unknown> {
  let attempt = 0;
  const { value, audit } = await storage.transaction(async (tx) => {
    attempt += 1;
    await tx.memory.get("a", "k");
    if (attempt <= command.interferences)
      await storage.memory.set("a", "k", `interference ${attempt - 1}`);
    await tx.memory.set("marker", "k", "in a transaction");
    const outcomes: unknown[] = [];
    // What a transaction doesn't have, no step uses.
    for (const each of command.steps)
      outcomes.push(await outcomeOf(() => step(tx as unknown as Verbs, each)));
    if (command.end === "throw")
      throw new StorageError("UNSUPPORTED", "thrown by the transaction's function");
    return outcomes;
  });
  return { value, audit: audit.map(entryOf) };
}

async function query(storage: Storage, command: Command): Promise<unknown> {
  switch (command.kind) {
    case "agents.get":
      return storage.agentStates.get(command.agent);
    case "memory.list": {
      const { agent, prefix, limit, reverse } = command;
      return collect(storage.memory.list(agent, { prefix, limit, reverse }));
    }
    case "agents.list": {
      const { status, limit, reverse } = command;
      return collect(storage.agentStates.list({ limit, reverse, ...(status && { status }) }));
    }
    case "projects.list":
      return collect(storage.projects.list(page(command)));
    case "links.list":
      return collect(storage.projectConfigs.list(page(command)));
    case "slack.list":
      return (await collect(storage.slackInstallations.list(page(command)))).map(installationOf);
    case "integrations.list":
      return collect(storage.channelConfigs.list(page(command)));
    case "projects.getBySlug":
      return storage.projects.getBySlug(command.slug);
    case "slack.getTokens":
      return revealed(await storage.slackInstallations.getTokens({ teamId: command.team }));
    case "integrations.getCredentials":
      return revealed(await storage.channelConfigs.getCredentials(command.integration));
    case "subscribers.list":
      return collect(
        storage.subscribers.list({
          limit: command.limit,
          ...(command.status && { status: command.status }),
        }),
      );
    case "subscribers.count":
      return storage.subscribers.count();
    case "bad":
      return badCall(storage, command.call);
    default:
      return trail(storage, command);
  }
}

async function trail({ audit }: Storage, command: Command): Promise<unknown> {
  switch (command.kind) {
    case "audit.append": {
      const { id, action, actorId, details } = command;
      const said = { action, actor: { type: "user", id: actorId } as const };
      return entryOf(
        await audit.append({
          ...said,
          ...(id !== undefined && { id }),
          ...(details !== undefined && { details }),
        }),
      );
    }
    case "audit.get":
      return entryOf(await audit.get(command.seq));
    case "audit.getById":
      return entryOf(await audit.getById(command.id));
    case "audit.list": {
      const { action, actorId, agentId, order, limit } = command;
      const filter = {
        ...(action && { action }),
        ...(actorId && { actorId }),
        ...(agentId && { agentId }),
      };
      return (await collect(audit.list({ ...filter, order, limit }))).map(entryOf);
    }
    case "audit.verify": {
      const { verdict, size } = await audit.verify();
      return { verdict, size };
    }
    default:
      return null;
  }
}

function badCall(
  storage: Storage,
  call: Extract<Command, { kind: "bad" }>["call"],
): PromiseLike<unknown> & Promise<unknown> {
  const calls = {
    key: () => storage.memory.set("a", "", 1),
    value: () => storage.memory.set("a", "k", undefined),
    large: () => storage.memory.set("a", "k", "x".repeat(300_000)),
    level: () => storage.agentStates.set("a", { autonomyLevel: 6 }),
    status: () => storage.agentStates.update("a", { status: "asleep" as "idle" }),
    slug: () => storage.projects.create({ id: "p9", name: "Bad", slug: "Not a slug" }),
    repository: () => storage.projectConfigs.link("z", { repository: "https://example.com/a/b" }),
    email: () => storage.subscribers.subscribe("nobody"),
    integration: () => storage.channelConfigs.set("No", { credentials: { token: testSecret() } }),
    action: () => storage.audit.append({ action: "Not an action" }),
    ttl: () => storage.memory.set("a", "k", 1, { ttlMs: 5 }),
    limit: async () => storage.memory.list("a", { limit: 0 }),
  } as const;
  return calls[call]();
}

const page = ({ limit, reverse }: { readonly limit: number; readonly reverse: boolean }) => ({
  limit,
  reverse,
});

async function collect<Item>(listing: Listing<Item>): Promise<Item[]> {
  const items: Item[] = [];
  for await (const item of listing) items.push(item);
  return items;
}

function revealed(secrets: Readonly<Record<string, Secret>> | null): unknown {
  if (secrets === null) return null;
  return Object.fromEntries(
    Object.entries(secrets).map(([name, secret]) => [name, secret.reveal()]),
  );
}

/** An entry less what no two trails have in common. */
function entryOf(entry: AuditEntry | null): unknown {
  if (entry === null) return null;
  const { seq, actor, action, outcome, target, agent, project, details, parts } = entry;
  const chosen = entry.id.startsWith("0190163d-8694-739b-aea5-966c26f8ad9") && { id: entry.id };
  const own = action.startsWith("test.") && { hasDetails: "details" in parts };
  const shown = action.startsWith("repository.") && details !== null ? "changes" : details;
  return { seq, actor, action, outcome, target, agent, project, details: shown, ...chosen, ...own };
}

import fc from "fast-check";
import type { AgentFields, Command, Demand, Simple, Step } from "./commands.ts";

// Few names, so that commands meet; odd ones, so that what they meet is worth something.
const agent = fc.constantFrom("a", "a", "a", "a", "a:b", "a😀", "a～");
const key = fc.constantFrom("k", "k", "k", "k", "k😀", "k～", "__proto__");
const keys = fc.uniqueArray(key, { maxLength: 4 });
const value = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom(null, "\u0000", "\ud800", 0, "x"),
);
const projectId = fc.constantFrom("p1", "p2", "p😀");
const slug = fc.constantFrom("one", "two");
const email = fc.constantFrom("a@example.com", "A@Example.com", "ü@example.com");
const normal = fc.constantFrom<Exclude<Demand, "absent">>("nothing", "nothing", "current", "stale");
const demand = fc.constantFrom<Demand>(
  "nothing",
  "nothing",
  "nothing",
  "absent",
  "current",
  "stale",
);
const limit = fc.constantFrom(1, 2, 100);
const status = fc.constantFrom("active", "idle", "suspended", "error", undefined);
const integration = fc.constantFrom("sentry", "sentry", "vercel");
const team = fc.constantFrom("T1", "T1", "T2");
const token = fc.string({ unit: "binary", maxLength: 20 }).filter((text) => text.isWellFormed());
const ids = ["0190163d-8694-739b-aea5-966c26f8ad90", "0190163d-8694-739b-aea5-966c26f8ad91"];
const agentFields = fc.record(
  {
    name: fc.constantFrom("One", "Two"),
    status: fc.constantFrom("active", "idle", "suspended"),
    autonomyLevel: fc.integer({ min: 0, max: 5 }),
    projectId: fc.constantFrom("p1", null),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<AgentFields>;

function kind<const Kind extends string, Fields extends object = object>(
  name: Kind,
  fields?: { [Name in keyof Fields]: fc.Arbitrary<Fields[Name]> },
) {
  return fc.record({ kind: fc.constant(name), ...fields }) as unknown as fc.Arbitrary<
    { kind: Kind } & Fields
  >;
}

const ttlMs = fc.constantFrom(null, null, 1000, 60_000);
const record = fc.boolean();

const steps: readonly fc.WeightedArbitrary<Step>[] = [
  { weight: 11, arbitrary: kind("memory.set", { agent, key, value, ttlMs, demand, record }) },
  { weight: 5, arbitrary: kind("memory.delete", { agent, key, demand: normal, record }) },
  { weight: 5, arbitrary: kind("memory.get", { agent, key }) },
  { weight: 5, arbitrary: kind("memory.getEntry", { agent, key }) },
  { weight: 4, arbitrary: kind("memory.has", { agent, key }) },
  { weight: 2, arbitrary: kind("memory.getMany", { agent, keys }) },
  {
    weight: 8,
    arbitrary: kind("memory.setMany", {
      agent,
      keys,
      value,
      demand: fc.constantFrom("nothing", "absent"),
    }),
  },
  { weight: 1, arbitrary: kind("memory.deleteMany", { agent, keys }) },
  { weight: 6, arbitrary: kind("agents.set", { agent, input: agentFields, demand }) },
  { weight: 6, arbitrary: kind("agents.update", { agent, input: agentFields, demand: normal }) },
  { weight: 9, arbitrary: kind("agents.delete", { agent, demand: normal }) },
  { weight: 8, arbitrary: kind("agents.touch", { agent }) },
  { weight: 8, arbitrary: kind("agents.has", { agent }) },
  {
    weight: 16,
    arbitrary: kind("projects.create", {
      id: projectId,
      name: fc.constantFrom("One", "Two"),
      slug,
    }),
  },
  {
    weight: 16,
    arbitrary: kind("projects.update", {
      id: projectId,
      patch: fc.record({ slug, agentId: fc.constantFrom("a", null) }, { requiredKeys: ["slug"] }),
      demand: normal,
    }),
  },
  {
    weight: 4,
    arbitrary: kind("projects.rename", { id: projectId, name: fc.constantFrom("Three", "Four") }),
  },
  { weight: 7, arbitrary: kind("projects.delete", { id: projectId, demand: normal }) },
  { weight: 5, arbitrary: kind("projects.get", { id: projectId }) },
  {
    weight: 8,
    arbitrary: kind("links.link", {
      agent,
      repository: fc.constantFrom("acme/app", "git@gitlab.com:acme/team/app.git"),
    }),
  },
  {
    weight: 14,
    arbitrary: kind("links.update", {
      agent,
      webhookId: fc.constantFrom("42", null),
      demand: normal,
    }),
  },
  { weight: 8, arbitrary: kind("links.unlink", { agent, demand: normal }) },
  { weight: 7, arbitrary: kind("links.get", { agent }) },
  {
    weight: 5,
    arbitrary: kind("subscribers.subscribe", {
      email,
      source: fc.constantFrom("landing", "footer"),
    }),
  },
  { weight: 7, arbitrary: kind("subscribers.confirm", { email }) },
  { weight: 8, arbitrary: kind("subscribers.unsubscribe", { email }) },
  { weight: 7, arbitrary: kind("subscribers.get", { email }) },
  { weight: 18, arbitrary: kind("slack.set", { team, token, demand }) },
  { weight: 8, arbitrary: kind("slack.delete", { team, demand: normal }) },
  { weight: 4, arbitrary: kind("slack.get", { team }) },
  { weight: 9, arbitrary: kind("integrations.set", { integration, token, demand }) },
  { weight: 6, arbitrary: kind("integrations.delete", { integration, demand: normal }) },
  { weight: 5, arbitrary: kind("integrations.get", { integration }) },
];

const others: readonly fc.WeightedArbitrary<Simple>[] = [
  { weight: 3, arbitrary: kind("agents.get", { agent }) },
  {
    weight: 6,
    arbitrary: kind("memory.list", {
      agent,
      prefix: fc.constantFrom("", "k", "k%", "k😀", "z"),
      limit,
      reverse: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: kind("agents.list", { status, limit, reverse: fc.boolean() }) },
  { weight: 3, arbitrary: kind("projects.list", { limit, reverse: fc.boolean() }) },
  { weight: 4, arbitrary: kind("links.list", { limit, reverse: fc.boolean() }) },
  { weight: 4, arbitrary: kind("slack.list", { limit, reverse: fc.boolean() }) },
  { weight: 4, arbitrary: kind("integrations.list", { limit, reverse: fc.boolean() }) },
  { weight: 6, arbitrary: kind("projects.getBySlug", { slug }) },
  { weight: 8, arbitrary: kind("slack.getTokens", { team }) },
  { weight: 8, arbitrary: kind("integrations.getCredentials", { integration }) },
  {
    weight: 6,
    arbitrary: kind("subscribers.list", {
      status: fc.constantFrom("pending", "confirmed", "unsubscribed", undefined),
      limit,
    }),
  },
  { weight: 3, arbitrary: kind("subscribers.count") },
  {
    weight: 12,
    arbitrary: kind("audit.append", {
      id: fc.constantFrom(...ids, undefined, undefined),
      action: fc.constantFrom("test.a", "test.b"),
      actorId: fc.constantFrom("ada", "eve"),
      details: fc.constantFrom(undefined, null, { x: 1 }),
    }),
  },
  { weight: 7, arbitrary: kind("audit.get", { seq: fc.integer({ min: 0, max: 30 }) }) },
  { weight: 7, arbitrary: kind("audit.getById", { id: fc.constantFrom(...ids) }) },
  {
    weight: 5,
    arbitrary: kind("audit.list", {
      action: fc.constantFrom(undefined, "test.*", "agent.registered", "t*"),
      actorId: fc.constantFrom(undefined, "ada"),
      agentId: fc.constantFrom(undefined, "a"),
      order: fc.constantFrom("asc", "desc"),
      limit: fc.constantFrom(3, 100),
    }),
  },
  { weight: 3, arbitrary: kind("audit.verify") },
  { weight: 3, arbitrary: kind("wait", { ms: fc.constantFrom(1, 999, 1000, 60_000) }) },
  { weight: 2, arbitrary: kind("reopen") },
  {
    weight: 9,
    arbitrary: kind("bad", {
      call: fc.constantFrom(
        "key",
        "value",
        "large",
        "level",
        "status",
        "slug",
        "repository",
        "email",
        "integration",
        "action",
        "ttl",
        "limit",
      ),
    }),
  },
];

const step = fc.oneof(...steps);
const inTransaction = kind("transaction", {
  steps: fc.array(step, { maxLength: 6 }),
  end: fc.constantFrom("commit", "commit", "commit", "throw"),
  interferences: fc.constantFrom(0, 0, 0, 1, 2, 5),
});

// Most happens in one organisation; the other one shows what leaks.
const org = fc.constantFrom<0 | 1>(0, 0, 0, 1);

/** Any one command. */
export const command: fc.Arbitrary<Command> = fc
  .tuple(org, fc.oneof(...steps, ...others, { weight: 30, arbitrary: inTransaction }))
  .map(([chosen, what]) => ({ org: chosen, ...what }) as Command);

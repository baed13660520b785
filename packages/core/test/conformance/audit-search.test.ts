import fc from "fast-check";
import { expect, test } from "vitest";
import type { AuditEntry, AuditInput, AuditListOptions, Storage } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";

const rounds = Number(process.env["CODESPAR_TEST_ROUNDS"] ?? 1);

const oneOf = <const Values extends readonly unknown[]>(values: Values) =>
  fc.constantFrom<Values[number]>(...values);
const maybe = <Value>(arbitrary: fc.Arbitrary<Value>) => fc.option(arbitrary, { nil: undefined });

const actions = [
  "deploy",
  "deploy.prod.ended",
  "deploy.started",
  "deploy_x.started",
  "issue.read",
] as const;
const outcomes = ["success", "failure", "denied", "pending"] as const;
const people = ["ada", "eve"] as const;
const agents = ["a1", "a2", "a3"] as const;
const correlations = ["c-1", "c-2", "c-3", "c-4"] as const;
const risks = ["low", "high"] as const;
const types = ["user", "agent", "system"] as const;

const said: fc.Arbitrary<AuditInput> = fc.record(
  {
    action: oneOf(actions),
    actor: fc.record({ type: oneOf(types), id: oneOf(people) }),
    outcome: oneOf(outcomes),
    agent: fc.record({ id: oneOf(agents) }),
    project: oneOf(["shop", "bank"]),
    risk: oneOf(risks),
    correlationId: oneOf(correlations),
  },
  { requiredKeys: ["action", "actor"] },
);

const filter = fc.record({
  actorType: maybe(oneOf(types)),
  actorId: maybe(oneOf(people)),
  action: maybe(oneOf([...actions, "deploy*", "deploy.*", "issue.*", "none.*", "*"])),
  outcome: maybe(oneOf(outcomes)),
  agentId: maybe(oneOf(agents)),
  project: maybe(oneOf(["shop", "bank", "none"])),
  risk: maybe(oneOf(risks)),
  correlationId: maybe(oneOf(correlations)),
  unresolved: maybe(fc.boolean()),
  from: maybe(fc.integer({ min: 0, max: 130 })),
  to: maybe(fc.integer({ min: 0, max: 130 })),
  order: oneOf(["asc", "desc"]),
  limit: oneOf([1, 3, 10, 1000]),
});

type Asked = typeof filter extends fc.Arbitrary<infer Value> ? Value : never;

/** Up to three of the filters, as people ask: with all at once hardly anything is found. */
const someFilters = filter.chain(({ order, limit, ...all }) =>
  fc
    .subarray(Object.entries(all), { maxLength: 3 })
    .map((kept): Partial<Asked> => ({ ...Object.fromEntries(kept), order, limit })),
);

/** What a filter lets through, by looking at every entry. */
function expected(entries: readonly AuditEntry[], asked: Partial<Asked>, at: (n: number) => Date) {
  const found = entries.filter((entry) => {
    const sealed = Date.parse(entry.sealedAt);
    const is = (wanted: unknown, has: unknown) => wanted === undefined || wanted === has;
    return (
      is(asked.actorType, entry.actor.type) &&
      is(asked.actorId, entry.actor.id) &&
      is(asked.outcome, entry.outcome) &&
      is(asked.agentId, entry.agent?.id) &&
      is(asked.project, entry.project) &&
      is(asked.risk, entry.risk) &&
      is(asked.correlationId, entry.correlationId) &&
      (asked.action === undefined ||
        (asked.action.endsWith("*")
          ? entry.action.startsWith(asked.action.slice(0, -1))
          : entry.action === asked.action)) &&
      (asked.from === undefined || sealed >= at(asked.from).getTime()) &&
      (asked.to === undefined || sealed < at(asked.to).getTime()) &&
      (asked.unresolved !== true || isUnresolved(entries, entry))
    );
  });
  return (asked.order === "asc" ? found : found.toReversed()).map(({ seq }) => seq);
}

function isUnresolved(entries: readonly AuditEntry[], intent: AuditEntry): boolean {
  const { correlationId, outcome, seq } = intent;
  if (outcome !== "pending" || correlationId === null) return false;
  return !entries.some(
    (later) =>
      later.seq > seq && later.correlationId === correlationId && later.outcome !== "pending",
  );
}

async function seqsOf(storage: Storage, options: AuditListOptions): Promise<number[]> {
  const seqs: number[] = [];
  for await (const { seq } of storage.audit.list(options)) seqs.push(seq);
  return seqs;
}

describeEachBackend("searching the trail", (backend) => {
  test("finds, page by page, what looking at every entry finds", async () => {
    const storage = backend.open();
    const base = backend.clock.nowMs;
    const entries: AuditEntry[] = [];
    for (const entry of fc.sample(said, { numRuns: 120, seed: 7 })) {
      entries.push(await storage.audit.append(entry));
      backend.clock.advance(1000);
    }
    // Others' entries lie between, with the same words.
    const beside = backend.open(`${backend.orgId}-beside`);
    for (const entry of fc.sample(said, { numRuns: 10, seed: 8 })) await beside.audit.append(entry);
    const at = (n: number) => new Date(base + n * 1000);

    await fc.assert(
      fc.asyncProperty(someFilters, async (asked) => {
        const { from, to, ...rest } = asked;
        const options = {
          ...rest,
          ...(from === undefined ? {} : { from: at(from) }),
          ...(to === undefined ? {} : { to: at(to) }),
        };
        expect(await seqsOf(storage, options as AuditListOptions)).toEqual(
          expected(entries, asked, at),
        );
      }),
      { numRuns: 150 * rounds },
    );
  });

  test("finds a prefix among more actions than it takes one by one", async () => {
    const storage = backend.open();
    const appends = Array.from({ length: 240 }, (_, n) => ({
      action: n % 2 === 0 ? `tool.t${n}` : "other.action",
      agent: { id: n % 4 === 0 ? "a1" : "a2" },
    }));
    await storage.transaction(async (tx) => {
      for (const entry of appends.slice(0, 120)) await tx.audit.append(entry);
    });
    await storage.transaction(async (tx) => {
      for (const entry of appends.slice(120)) await tx.audit.append(entry);
    });
    const every = (step: number, offset = 0) =>
      Array.from({ length: 240 / step }, (_, n) => n * step + offset);
    expect(await seqsOf(storage, { action: "tool.*", order: "asc", limit: 50 })).toEqual(every(2));
    expect(await seqsOf(storage, { action: "tool.*", limit: 50 })).toEqual(every(2).toReversed());
    expect(
      await seqsOf(storage, { action: "tool.*", agentId: "a1", order: "asc", limit: 7 }),
    ).toEqual(every(4));
    expect(
      await seqsOf(storage, {
        action: "tool.*",
        agentId: "a2",
        outcome: "success",
        order: "desc",
        limit: 7,
      }),
    ).toEqual(every(4, 2).toReversed());
  });

  test("lists intents until something else of the same correlation follows", async () => {
    const { audit } = backend.open();
    const seqs = async () => seqsOf(backend.open(), { unresolved: true, order: "asc" });
    const intent = (correlationId?: string) =>
      audit.append({
        action: "payment.made",
        outcome: "pending",
        ...(correlationId === undefined ? {} : { correlationId }),
      });
    await intent("a");
    await intent("b");
    await intent("a");
    await intent();
    expect(await seqs()).toEqual([0, 1, 2]);
    await audit.append({ action: "payment.made", correlationId: "a" });
    expect(await seqs()).toEqual([1]);
    await intent("a");
    expect(await seqs()).toEqual([1, 5]);
    await audit.append({ action: "payment.made", outcome: "denied", correlationId: "c" });
    await audit.append({ action: "payment.made", outcome: "error", correlationId: "b" });
    expect(await seqs()).toEqual([5]);
  });

  test("knows intents and their outcomes that are sealed together", async () => {
    const storage = backend.open();
    await storage.transaction(async (tx) => {
      await tx.audit.append({ action: "a", outcome: "pending", correlationId: "one" });
      await tx.audit.append({ action: "a", outcome: "success", correlationId: "one" });
      await tx.audit.append({ action: "a", outcome: "pending", correlationId: "two" });
      await tx.audit.append({ action: "a", outcome: "failure", correlationId: "three" });
      await tx.audit.append({ action: "a", outcome: "pending", correlationId: "three" });
    });
    expect(await seqsOf(storage, { unresolved: true, order: "asc" })).toEqual([2, 4]);
    expect(await seqsOf(storage, { unresolved: true, limit: 1 })).toEqual([4, 2]);
  });
});

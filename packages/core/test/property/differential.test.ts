import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createStorage } from "../../src/index.ts";
import { type Leg, legs, type Target } from "../support/legs.ts";
import { command } from "./arbitraries.ts";
import type { Command } from "./commands.ts";
import { compare, modelRunner, type Runner, type SharedClock, type Tally } from "./comparison.ts";
import type { Defect } from "./model/world.ts";
import { Subject } from "./subject.ts";

/** `CODESPAR_TEST_ROUNDS` multiplies how many sequences are tried, and how often each outcome is asked for. */
const rounds = Number(process.env["CODESPAR_TEST_ROUNDS"] ?? 1);
const leastOfEach = 50 * rounds;
const atOnce = 4;
const perLane = 10;
const sequencesAtMost = 1000 * rounds;

interface NamedTarget {
  readonly name: string;
  readonly target: Target;
}

/** Where sequences run one after another; those of several lanes wait for disks at the same time. */
interface Lane {
  readonly databases: readonly NamedTarget[];
  readonly folders: readonly Leg[];
}

const commands = fc.array(command, { minLength: 80, maxLength: 120 });

/** Every command with the outcomes that it must have come to. */
const expected: Readonly<Record<string, readonly string[]>> = {
  "memory.set": ["created", "not created", "PRECONDITION_FAILED"],
  "memory.setMany": ["done", "PRECONDITION_FAILED"],
  "memory.get": ["done", "null"],
  "memory.getEntry": ["done", "null"],
  "memory.has": ["true", "false"],
  "memory.getMany": ["done"],
  "memory.delete": ["true", "false", "PRECONDITION_FAILED"],
  "memory.deleteMany": ["done"],
  "memory.list": ["something", "nothing"],
  "agents.set": ["done", "PRECONDITION_FAILED"],
  "agents.update": ["done", "NOT_FOUND", "PRECONDITION_FAILED"],
  "agents.touch": ["done", "NOT_FOUND"],
  "agents.delete": ["true", "false", "PRECONDITION_FAILED"],
  "agents.has": ["true", "false"],
  "agents.get": ["done", "null"],
  "agents.list": ["something", "nothing"],
  "projects.create": ["done", "ALREADY_EXISTS"],
  "projects.update": ["done", "NOT_FOUND", "ALREADY_EXISTS", "PRECONDITION_FAILED"],
  "projects.rename": ["done", "NOT_FOUND"],
  "projects.delete": ["true", "false", "PRECONDITION_FAILED"],
  "projects.get": ["done", "null"],
  "projects.getBySlug": ["done", "null"],
  "projects.list": ["something", "nothing"],
  "links.link": ["done", "ALREADY_EXISTS"],
  "links.update": ["done", "NOT_FOUND", "PRECONDITION_FAILED"],
  "links.unlink": ["true", "false", "PRECONDITION_FAILED"],
  "links.get": ["done", "null"],
  "links.list": ["something", "nothing"],
  "subscribers.subscribe": ["created", "not created"],
  "subscribers.confirm": ["done", "NOT_FOUND"],
  "subscribers.unsubscribe": ["true", "false"],
  "subscribers.get": ["done", "null"],
  "subscribers.list": ["something", "nothing"],
  "subscribers.count": ["done"],
  "slack.set": ["done", "ALREADY_EXISTS", "PRECONDITION_FAILED"],
  "slack.get": ["done", "null"],
  "slack.getTokens": ["done", "null"],
  "slack.delete": ["true", "false", "PRECONDITION_FAILED"],
  "slack.list": ["something", "nothing"],
  "integrations.set": ["done", "PRECONDITION_FAILED"],
  "integrations.get": ["done", "null"],
  "integrations.getCredentials": ["done", "null"],
  "integrations.delete": ["true", "false", "PRECONDITION_FAILED"],
  "integrations.list": ["something", "nothing"],
  "audit.append": ["done", "ALREADY_EXISTS"],
  "audit.get": ["done", "null"],
  "audit.getById": ["done", "null"],
  "audit.list": ["something", "nothing"],
  "audit.verify": ["done"],
  transaction: ["done", "CONFLICT", "ALREADY_EXISTS", "UNSUPPORTED"],
  bad: ["VALIDATION", "LIMIT_EXCEEDED"],
  reopen: ["null"],
};

describe("random sequences of commands", () => {
  const compared = legs.filter(({ alsoDifferential }) => alsoDifferential);
  const lanes: Lane[] = [];
  beforeAll(async () => {
    for (let lane = 0; lane < atOnce; lane += 1) lanes.push(await openLane(compared));
  });
  afterAll(async () => {
    for (const { databases } of lanes) for (const { target } of databases) await target.close();
  });

  test("give the same results on every backend and in a simple model", async () => {
    const tally: Tally = new Map();
    const pairs = Object.entries(expected).flatMap(([kind, outcomes]) =>
      outcomes.map((outcome) => `${kind} → ${outcome}`),
    );
    const rare = () => pairs.filter((pair) => (tally.get(pair) ?? 0) < leastOfEach);
    let sequences = 0;
    for (; rare().length > 0 && sequences < sequencesAtMost; sequences += atOnce * perLane) {
      const runs = lanes.map((lane) =>
        fc.assert(
          fc.asyncProperty(commands, (sequence) => runInLane(lane, sequence, tally)),
          { numRuns: perLane },
        ),
      );
      await Promise.all(runs);
    }
    const seen = [...tally.entries()].toSorted();
    process.stdout.write(
      `${sequences} sequences:\n${seen.map(([pair, times]) => `  ${pair}: ${times}`).join("\n")}\n`,
    );
    expect(rare()).toEqual([]);
    const unexpected = seen.filter(([pair]) => !pairs.includes(pair) && !pair.startsWith("wait"));
    expect(unexpected).toEqual([]);
  }, 600_000);
});

async function openLane(compared: readonly Leg[]): Promise<Lane> {
  const databases: NamedTarget[] = [];
  for (const leg of compared.filter(({ kind }) => kind === "postgres"))
    databases.push({ name: leg.name, target: await leg.open() });
  return { databases, folders: compared.filter(({ kind }) => kind === "file") };
}

/** A folder for each sequence, as one that holds the organisations of all of them takes ever longer to open. */
async function runInLane(
  { databases, folders }: Lane,
  sequence: readonly Command[],
  tally: Tally,
): Promise<void> {
  const opened: NamedTarget[] = [];
  try {
    for (const leg of folders) opened.push({ name: leg.name, target: await leg.open() });
    await runOnAll([...opened, ...databases], sequence, tally);
  } finally {
    for (const { target } of opened) await target.close();
  }
}

/** Slack teams belong to one organisation of a deployment, so every sequence starts with organisations and teams of its own. */
async function runOnAll(
  targets: readonly NamedTarget[],
  sequence: readonly Command[],
  tally: Tally,
): Promise<void> {
  const run = randomBytes(6).toString("hex");
  const clock: SharedClock = { nowMs: Date.parse("2024-05-06T07:08:09.123Z") };
  const read = () => clock.nowMs;
  const subjects = targets.map(({ name, target }) => {
    const open = () => createStorage(`run-${run}`, { ...target.options, clock: read });
    return { name, subject: new Subject(open, [`run-${run}`, `run-${run}-b`], run) };
  });
  const runners: Runner[] = subjects.map(({ name, subject }) => ({
    name,
    run: (each) => subject.run(each),
  }));
  try {
    await compare([modelRunner(clock), ...runners], sequence, clock, tally);
  } finally {
    for (const { subject } of subjects) await subject.close();
  }
}

describe("a planted difference is found:", () => {
  const defects: readonly Defect[] = [
    "ignores ifVersion",
    "returns what has expired",
    "orders by UTF-16",
    "forgets an audit entry",
    "leaks a failed transaction",
  ];
  test.each(defects)("one that %s", async (defect) => {
    const property = fc.asyncProperty(commands, async (sequence) => {
      const clock: SharedClock = { nowMs: 0 };
      await compare([modelRunner(clock), modelRunner(clock, defect)], sequence, clock);
    });
    const details = await fc.check(property, { numRuns: 500, endOnFailure: true });
    expect(details.failed).toBe(true);
  });

  test("and without one there is none", async () => {
    const property = fc.asyncProperty(commands, async (sequence) => {
      const clock: SharedClock = { nowMs: 0 };
      await compare([modelRunner(clock), modelRunner(clock)], sequence, clock);
    });
    expect((await fc.check(property, { numRuns: 100 })).failed).toBe(false);
  });
});

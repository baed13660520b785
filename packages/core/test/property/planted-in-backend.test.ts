import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createStorage } from "../../src/index.ts";
import type { Backend, Commit, Write } from "../../src/storage/backend.ts";
import { FileBackend } from "../../src/storage/file/file-backend.ts";
import { PostgresBackend } from "../../src/storage/postgres/postgres-backend.ts";
import { type Leg, legs, type Target } from "../support/legs.ts";
import { command } from "./arbitraries.ts";
import type { Command } from "./commands.ts";
import { compare, modelRunner, type SharedClock } from "./comparison.ts";
import { Subject } from "./subject.ts";

type Method = "commit" | "read" | "list";

/** Makes a method of all backends of a kind do something else with what the real one does. */
function replace<Name extends Method>(
  backend: Pick<Backend, Method>,
  name: Name,
  wrap: (real: Backend[Name]) => Backend[Name],
): void {
  const real: Pick<Backend, Method>[Name] = backend[name];
  function planted(this: Backend, ...args: Parameters<Backend[Name]>) {
    return Reflect.apply(wrap(real.bind(this) as Backend[Name]), this, args);
  }
  vi.spyOn(backend, name as Method).mockImplementation(planted as never);
}

/** Changes what is written before the backend sees it. */
function rewrite(backend: Backend, change: (write: Write) => Write): void {
  replace(backend, "commit", (real) => (orgId, commit, context) => {
    const changed: Commit = { ...commit, writes: commit.writes.map(change) };
    return real(orgId, changed, context);
  });
}

const planted: Readonly<Record<string, (backend: Backend) => void>> = {
  "drops the time to live": (backend) =>
    rewrite(backend, (write) => (write.kind === "put" ? { ...write, expiresAt: null } : write)),
  "drops the preconditions": (backend) => rewrite(backend, ({ expect: _, ...write }) => write),
  "returns what has expired": (backend) =>
    replace(
      backend,
      "read",
      (real) => (orgId, refs, context) => real(orgId, refs, { ...context, now: 0 }),
    ),
  "loses the last of a full page": (backend) =>
    replace(backend, "list", (real) => async (orgId, query, context) => {
      const found = await real(orgId, query, context);
      return found.length === query.limit ? found.slice(0, -1) : found;
    }),
};

/** As the differential test has them, but time passes more often. */
const wait = fc.constant<Command>({ kind: "wait", org: 0, ms: 60_000 });
const commands = fc.array(
  fc.oneof({ weight: 9, arbitrary: command }, { weight: 1, arbitrary: wait }),
  { minLength: 100, maxLength: 150 },
);
const prototypes = { file: FileBackend.prototype, postgres: PostgresBackend.prototype };

describe.each(legs.filter(({ alsoDifferential }) => alsoDifferential))(
  "a difference planted in the backend of $name is found: one that",
  (leg) => {
    let target: Target;

    beforeAll(async () => {
      target = await leg.open();
    });

    afterAll(() => target.close());

    test.each(Object.keys(planted))("%s", async (defect) => {
      planted[defect]?.(prototypes[leg.kind]);
      const property = fc.asyncProperty(commands, (sequence) => run(leg, target, sequence));
      const { failed, errorInstance } = await fc.check(property, {
        numRuns: 60,
        endOnFailure: true,
      });
      expect(failed).toBe(true);
      expect(String(errorInstance)).toMatch(
        new RegExp(`^Error: command \\d+, .*\\n${leg.name}: .*\\nthe model: `),
      );
    });

    test("isn't there", async () => {
      const property = fc.asyncProperty(commands, (sequence) => run(leg, target, sequence));
      expect(await fc.check(property, { numRuns: 5 })).toMatchObject({ failed: false });
    });
  },
);

/** Compares the backend with the model, in organisations of the sequence's own. */
async function run(leg: Leg, target: Target, sequence: readonly Command[]): Promise<void> {
  const mark = randomBytes(6).toString("hex");
  const clock: SharedClock = { nowMs: Date.parse("2024-05-06T07:08:09.123Z") };
  const options = { ...target.options, clock: () => clock.nowMs };
  const subject = new Subject(
    () => createStorage(`run-${mark}`, options),
    [`run-${mark}`, `run-${mark}-b`],
    mark,
  );
  try {
    const runner = { name: leg.name, run: (each: Command) => subject.run(each) };
    await compare([modelRunner(clock), runner], sequence, clock);
  } finally {
    await subject.close();
  }
}

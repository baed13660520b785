import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe } from "vitest";
import { createStorage, type Storage, type StorageOptions } from "../../src/index.ts";
import { type Leg, legs, logins, type Target } from "./legs.ts";

/** One backend as a conformance test sees it. */
export interface TestBackend {
  readonly kind: "file" | "postgres";
  /** An organisation of this test's own. */
  readonly orgId: string;
  /** The clock of every handle: it stands still until it is moved. */
  readonly clock: TestClock;
  /** Where the data lies, for tests that look at it from outside. */
  readonly target: Target;
  /** Opens a handle; it is closed after the test. @defaultValue the test's organisation and clock */
  open(orgId?: string, options?: StorageOptions): Storage;
  /** As {@link TestBackend.open}, without naming an organisation. */
  openUnnamed(): Storage;
  /** What {@link TestBackend.open} passes to `createStorage`. */
  options(): StorageOptions;
}

/** Time that only moves when told. */
export interface TestClock {
  readonly nowMs: number;
  advance(ms: number): void;
  /** Now, or so many milliseconds later, as the API writes instants. */
  iso(offsetMs?: number): string;
}

/** How a suite wants its targets. */
export interface SuiteOptions {
  /** A database of its own for each test, not only for the suite. Files are each test's own anyway. */
  readonly targetPerTest?: boolean;
  /** The suite reaches its target from other processes too, so it can't be one that exists only in this process. */
  readonly otherProcesses?: boolean;
  /** Also as a plain owner, as a member of `codespar_app` and behind PgBouncer, not only as superuser. */
  readonly everyLogin?: boolean;
  /** The suite seals stored secrets anew, which takes the rights of the tables' owner. */
  readonly needsOwner?: boolean;
}

type Suite = (backend: TestBackend) => void;

/** Runs the suite on every backend and in every way it can be run: see `legs.ts`. */
export function describeEachBackend(topic: string, suite: Suite): void;
export function describeEachBackend(topic: string, options: SuiteOptions, suite: Suite): void;
export function describeEachBackend(topic: string, ...rest: [Suite] | [SuiteOptions, Suite]): void {
  const [options, suite] = rest.length === 2 ? rest : [{}, rest[0]];
  const all = options.everyLogin === true ? [...legs, ...logins] : legs;
  const isFit = ({ inThisProcess, isNoOwner }: Leg) =>
    !(options.otherProcesses && inThisProcess) && !(options.needsOwner && isNoOwner);
  for (const leg of all.filter(isFit)) {
    const reason = leg.missing === undefined ? "" : ` (${leg.missing})`;
    describe.skipIf(leg.missing !== undefined)(`${topic} on ${leg.name}${reason}`, () => {
      suite(prepare(leg, leg.kind === "file" || options.targetPerTest === true));
    });
  }
}

function prepare(leg: Leg, targetPerTest: boolean): TestBackend {
  let target: Target | undefined;
  let orgId = "";
  let clock = newClock();
  const open: Storage[] = [];
  async function openTarget(): Promise<void> {
    target = await leg.open();
  }
  async function closeTarget(): Promise<void> {
    await target?.close();
    target = undefined;
  }
  if (!targetPerTest) beforeAll(openTarget);
  beforeEach(async () => {
    if (targetPerTest) await openTarget();
    orgId = `org-${randomBytes(6).toString("hex")}`;
    clock = newClock();
  });
  afterEach(async () => {
    for (const storage of open.splice(0)) await storage.close();
    if (targetPerTest) await closeTarget();
  });
  if (!targetPerTest) afterAll(closeTarget);

  function current(): Target {
    if (target === undefined) throw new Error("the backend is there only inside tests and hooks");
    return target;
  }
  function track(storage: Storage): Storage {
    open.push(storage);
    return storage;
  }
  const options = (): StorageOptions => ({ ...current().options, clock: clock.read });
  return {
    kind: leg.kind,
    get orgId() {
      return orgId;
    },
    get clock() {
      return clock;
    },
    get target() {
      return current();
    },
    options,
    open: (id = orgId, more = {}) => track(createStorage(id, { ...options(), ...more })),
    openUnnamed: () => track(createStorage(undefined, options())),
  };
}

function newClock(): TestClock & { readonly read: () => number } {
  // In the past: a backend reclaims only what has expired by its own clock too.
  let nowMs = Date.now() - 400 * 24 * 60 * 60 * 1000;
  return {
    get nowMs() {
      return nowMs;
    },
    read: () => nowMs,
    advance(ms) {
      nowMs += ms;
    },
    iso: (offsetMs = 0) => new Date(nowMs + offsetMs).toISOString(),
  };
}

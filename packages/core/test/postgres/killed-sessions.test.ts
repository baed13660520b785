import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Cluster, startCluster } from "../../../../tooling/postgres.ts";
import { createStorage, migrate } from "../../src/index.ts";
import { query } from "./support.ts";

const rounds = Number(process.env["CODESPAR_TEST_ROUNDS"] ?? 1);
const processes = 8;
const callers = 64;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
  await migrate({ databaseUrl: cluster.adminUrl });
});

afterAll(() => cluster[Symbol.asyncDispose]());

/** A process of its own and the lines that it printed. */
class Child {
  readonly lines: string[] = [];
  readonly #process: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly #read: Promise<unknown>;

  constructor(script: URL, ...args: readonly string[]) {
    const path = fileURLToPath(script);
    this.#process = spawn(process.execPath, ["--import", "tsx", path, ...args], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#closed = once(this.#process, "close");
    const lines = createInterface({ input: this.#process.stdout ?? process.stdin });
    lines.on("line", (line) => this.lines.push(line));
    this.#read = once(lines, "close");
  }

  /** Waits for the line, failing when the process ends without it. */
  async said(line: string): Promise<void> {
    while (!this.lines.includes(line)) {
      if (this.#process.exitCode !== null) throw new Error(`ended without saying "${line}"`);
      await sleep(20);
    }
  }

  /** Tells the process to end. @returns what it printed last */
  async end(): Promise<unknown> {
    this.#process.stdin?.write("\n");
    const [code] = (await this.#closed) as [number | null];
    await this.#read;
    expect(code).toBe(0);
    return JSON.parse(this.lines.at(-1) ?? "null");
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }
}

type Acknowledged = readonly (readonly [id: string, seq: number, hash: string])[];

test.each(Array.from({ length: rounds }, (_, round) => round + 1))(
  `${processes} processes × ${callers} callers append to one trail while their sessions are killed: each entry once, no gap, no fork, round %i`,
  async (round) => {
    const orgId = `killed-${round}`;
    const { adminUrl } = cluster;
    const appenders = Array.from(
      { length: processes },
      () =>
        new Child(
          new URL("./append-process.ts", import.meta.url),
          adminUrl,
          orgId,
          String(callers),
        ),
    );
    const killer = new Child(new URL("./kill-process.ts", import.meta.url), adminUrl);
    try {
      await Promise.all(appenders.map((appender) => appender.said("ready")));
      await killer.said("crashed");
      // Somebody was left without an answer, and asked again under the same id.
      await Promise.race(appenders.map((appender) => appender.said("unknown")));
      expect(await killer.end()).toBeGreaterThanOrEqual(10);
      const results = await Promise.all(appenders.map((appender) => appender.end()));
      await expectSealedOnce(orgId, (results as Acknowledged[]).flat());
    } finally {
      for (const child of [killer, ...appenders]) child.kill();
    }
  },
  180_000,
);

/** The trail holds what was acknowledged and nothing else, where it was said to be, and is whole. */
async function expectSealedOnce(orgId: string, acknowledged: Acknowledged): Promise<void> {
  const stored = (await query(
    cluster.adminUrl,
    "SELECT json_build_array(id, seq, encode(hash, 'hex')) FROM audit_log WHERE org_id = $1 ORDER BY seq",
    [orgId],
  )) as Acknowledged;
  expect(stored.map(([, seq]) => seq)).toEqual(stored.map((_, seq) => seq));
  expect(acknowledged.toSorted(([, a], [, b]) => a - b)).toEqual(stored);
  await using storage = createStorage(orgId, { databaseUrl: cluster.adminUrl });
  expect(await storage.audit.verify()).toMatchObject({
    verdict: "unanchored",
    size: acknowledged.length,
    firstFailure: null,
  });
}

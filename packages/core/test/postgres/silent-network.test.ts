import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { createStorage } from "../../src/index.ts";
import { expectEach } from "../support/expect-code.ts";
import { expectHonest, expectKept, expectNoLeak, Load } from "./load.ts";
import { migratedDatabase, withClient } from "./support.ts";
import { type Direction, TcpProxy } from "./tcp-proxy.ts";

const rounds = Number(process.env["CODESPAR_TEST_ROUNDS"] ?? 1);

/** Long enough that it is the network that a call meets, not a busy machine. */
const timeoutMs = 2000;

const ways: readonly (readonly Direction[])[] = [
  ["requests"],
  ["replies"],
  ["requests", "replies"],
];

/** 48 callers on one organisation and 16 on theirs, while the network goes silent and comes back. */
async function survive(fault: "lose" | "hold", directions: readonly Direction[]): Promise<void> {
  await using database = await migratedDatabase();
  await using proxy = await TcpProxy.start(database.url);
  await using storage = createStorage("shared", {
    databaseUrl: proxy.through(database.url),
    statementTimeoutMs: timeoutMs,
    connectionTimeoutMs: timeoutMs,
  });
  await storage.memory.set("agent", "first", 1);
  const others = Array.from({ length: 16 }, (_, n) => storage.forOrg(`other ${n}`));
  const loads = [new Load(storage, 48), ...others.map((other) => new Load(other, 1))];
  await Promise.all(loads.map((load) => load.goesOn()));
  await sleep(Math.random() * 200);
  proxy[fault](...directions);
  // It stays silent for as long as anybody waits.
  await Promise.all(loads.map((load) => load.eachFails()));
  proxy.heal();
  await storage.memory.set("agent", "healed", 1).catch(() => undefined);
  await storage.memory.set("agent", "healed", 1);
  await Promise.all(loads.map((load) => load.goesOn()));
  await Promise.all(loads.map((load) => load.stop()));
  for (const load of loads) {
    expectHonest(load.errors);
    await expectKept(load);
  }
  await expectNoLeak(storage, database.url);
}

describe("a network that goes silent under load", () => {
  const cases = Array.from({ length: rounds }, (_, round) =>
    (["lose", "hold"] as const).map((fault) => [fault, round + 1] as const),
  ).flat();

  test.each(cases)(
    "whichever way it does so (%s), costs no acknowledged write, no connection, and no call waits for it to come back, round %i",
    async (fault) => {
      const outcomes = await Promise.allSettled(
        ways.map((directions) => survive(fault, directions)),
      );
      const failed = outcomes.flatMap((outcome, i) =>
        outcome.status === "rejected" ? [{ ways: ways[i], reason: outcome.reason as unknown }] : [],
      );
      expect(failed).toEqual([]);
    },
  );

  test("for good doesn't hold up closing", async () => {
    await using database = await migratedDatabase();
    await using proxy = await TcpProxy.start(database.url);
    const storage = createStorage("org", {
      databaseUrl: proxy.through(database.url),
      statementTimeoutMs: timeoutMs,
      connectionTimeoutMs: timeoutMs,
    });
    const load = new Load(storage, 64);
    await load.goesOn();
    proxy.blackhole();
    const stopped = load.stop();
    await storage.close();
    await stopped;
    // A call after closing hears that; those that were under way end like any other.
    expectHonest(load.errors.filter(({ message }) => !message.includes("closed")));
  });
});

test("calls that meet a locked table all end in their time, not one after the other", async () => {
  await using database = await migratedDatabase();
  await using storage = createStorage("org", {
    databaseUrl: database.url,
    statementTimeoutMs: timeoutMs,
  });
  await storage.memory.set("agent", "first", 1);
  await withClient(database.url, async (client) => {
    await client.query("BEGIN");
    await client.query("LOCK TABLE agent_memory IN ACCESS EXCLUSIVE MODE");
    const start = performance.now();
    const calls = Array.from({ length: 64 }, (_, n) => storage.memory.set("agent", `${n}`, n));
    for (const { message } of await expectEach(calls, "UNAVAILABLE"))
      expect(message).toMatch(/Nothing was written|it was not sent/);
    expect(performance.now() - start).toBeLessThan((calls.length * timeoutMs) / 2);
  });
  expect(await storage.memory.list("agent")).toMatchObject({ items: [{ key: "first" }] });
});

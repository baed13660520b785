import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { type Storage, StorageError } from "../../src/index.ts";
import { query } from "./support.ts";

/** Writes, appends and reads until told to stop; keeps what was acknowledged and what was refused. */
export class Load {
  readonly storage: Storage;
  /** Keys of memory, each its own value. */
  readonly acknowledged: string[] = [];
  /** Ids of audit entries. */
  readonly appended: string[] = [];
  readonly errors: StorageError[] = [];
  /** Keys and ids whose write failed, and nothing was said of an unknown outcome. */
  readonly refused: string[] = [];
  readonly #callers: number;
  #failedSince = new Set<number>();
  #stopped = false;
  readonly #work: Promise<unknown>;

  constructor(storage: Storage, callers: number) {
    this.storage = storage;
    this.#callers = callers;
    this.#work = Promise.all(Array.from({ length: callers }, (_, caller) => this.#run(caller)));
  }

  /** Resolves once another write was acknowledged. */
  async goesOn(): Promise<void> {
    const before = this.acknowledged.length;
    while (this.acknowledged.length === before) await sleep(5);
  }

  /** Resolves once each caller has had a call fail from now on: none of them waits for what doesn't come. */
  async eachFails(): Promise<void> {
    this.#failedSince = new Set();
    while (this.#failedSince.size < this.#callers) await sleep(20);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work;
  }

  async #run(caller: number): Promise<void> {
    const { memory, audit } = this.storage;
    for (let n = 0; !this.#stopped; n += 1) {
      const key = `${caller} ${n}`;
      const set = await this.#call(caller, key, () => memory.set("agent", key, key));
      if (set === null) continue;
      this.acknowledged.push(key);
      const id = randomUUID();
      const entry = await this.#call(caller, id, () => audit.append({ id, action: "test.load" }));
      if (entry !== null) this.appended.push(id);
      const read = await this.#call(caller, null, () => memory.getMany("agent", [key]));
      if (read !== null) expect(read[0]?.value).toBe(key);
    }
  }

  async #call<Result>(
    caller: number,
    writes: string | null,
    call: () => Promise<Result>,
  ): Promise<Result | null> {
    try {
      return await call();
    } catch (error) {
      if (!StorageError.is(error)) throw error;
      this.errors.push(error);
      this.#failedSince.add(caller);
      if (writes !== null && !error.message.includes("outcome unknown")) this.refused.push(writes);
      await sleep(20);
      return null;
    }
  }
}

/** Whatever was acknowledged is there, what failed for certain isn't, and the trail is whole. */
export async function expectKept(load: Load): Promise<void> {
  const { storage, acknowledged, appended, refused } = load;
  expect(acknowledged.length).toBeGreaterThan(0);
  for (let i = 0; i < acknowledged.length; i += 100) {
    const keys = acknowledged.slice(i, i + 100);
    const entries = await storage.memory.getMany("agent", keys);
    expect(entries.map((entry) => entry?.value)).toEqual(keys);
  }
  const seen = new Set<string>();
  for await (const { id } of storage.audit.list({ limit: 1000 })) seen.add(id);
  for await (const { key } of storage.memory.list("agent", { limit: 1000 })) seen.add(key);
  expect(appended.filter((id) => !seen.has(id))).toEqual([]);
  expect(refused.filter((name) => seen.has(name))).toEqual([]);
  expect(await storage.audit.verify()).toMatchObject({ verdict: "unanchored" });
}

/** Faults leave no connection behind: no more than the pool's while it is open, and none once it is closed. */
export async function expectNoLeak(storage: Storage, databaseUrl: string): Promise<void> {
  const text =
    "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'codespar'";
  const connections = async () => Number((await query(databaseUrl, text))[0]);
  // The server takes a moment to notice that one was cut.
  await expect.poll(connections).toBeLessThanOrEqual(10);
  await storage.close();
  await expect.poll(connections).toBe(0);
}

/** What a failure may be: unavailable, and honest where the outcome isn't known. */
export function expectHonest(errors: readonly StorageError[]): void {
  for (const { code, message } of errors) {
    expect(code).toBe("UNAVAILABLE");
    expect(message).toMatch(/PostgreSQL/);
  }
}

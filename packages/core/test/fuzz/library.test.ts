import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  authenticateApiKey,
  createStorage,
  deploymentOf,
  hasApiKeys,
  KeyRing,
  parseRepository,
  type Storage,
  StorageError,
  storageTarget,
  verifyReceipt,
} from "../../src/index.ts";
import { legs, type Target } from "../support/legs.ts";
import { anything } from "./arguments.ts";

const rounds = Number(process.env["CODESPAR_TEST_ROUNDS"] ?? 1);
/** Calls of each function. */
const runs = 40 * rounds;
/** A short run repeats itself, so that a change is told from luck; longer ones look further, each elsewhere. */
const seed = rounds === 1 ? { seed: 1 } : {};

type Function = (...given: unknown[]) => unknown;

/** The functions of a handle's domains, by name. Closing it is tested elsewhere. */
function functionsOf(storage: object): [name: string, call: Function][] {
  return Object.entries(storage).flatMap(([domain, value]): [string, Function][] => {
    if (typeof value === "function") return domain === "close" ? [] : [[domain, value as Function]];
    if (typeof value !== "object" || value === null) return [];
    return Object.entries(value as object).flatMap(([verb, call]): [string, Function][] =>
      typeof call === "function" ? [[`${domain}.${verb}`, call as Function]] : [],
    );
  });
}

/** Those that answer at once, and so throw at once. */
const synchronous = new Set(["as", "forOrg"]);

/** Takes what a call gives: a promise, one page, or the first item of what has no end. */
async function taken(result: unknown): Promise<void> {
  if (typeof result !== "object" || result === null) return;
  if ("then" in result) {
    await (result as PromiseLike<unknown>);
    return;
  }
  if (!(Symbol.asyncIterator in result)) return;
  const iterator = (result as AsyncIterable<unknown>)[Symbol.asyncIterator]();
  const first = iterator.next();
  const ended = new Promise((resolve) => setImmediate(resolve));
  await Promise.race([first, ended]);
  first.catch(() => undefined);
  void iterator.return?.();
}

async function expectOurs(what: string, call: () => unknown, mayThrow: boolean): Promise<void> {
  let result: unknown;
  try {
    result = call();
  } catch (error) {
    if (mayThrow && StorageError.is(error)) return;
    throw new Error(`${what} threw ${String(error)}`, { cause: error });
  }
  try {
    await taken(result);
  } catch (error) {
    if (StorageError.is(error) && !["CORRUPTION", "UNAVAILABLE"].includes(error.code)) return;
    throw new Error(`${what} rejected with ${String(error)}`, { cause: error });
  }
}

async function everythingOf(storage: Storage): Promise<string> {
  const lists = await Promise.all([
    storage.memory.list("a"),
    storage.agentStates.list(),
    storage.projects.list(),
    storage.projectConfigs.list(),
    storage.channelConfigs.list(),
    storage.slackInstallations.list(),
    storage.subscribers.list(),
    storage.apiKeys.list(),
    storage.audit.list(),
  ]);
  return JSON.stringify(lists);
}

const args = fc.array(anything, { maxLength: 4 });

describe.each(legs.slice(0, 2))("the library on $name", (leg) => {
  let target: Target;
  let storage: Storage;
  beforeAll(async () => {
    target = await leg.open();
    storage = createStorage("fuzzed", target.options);
  });
  afterAll(async () => {
    await storage.close();
    await target.close();
  });

  test(
    "takes anything or refuses it with an error of its own, and touches nobody else",
    async () => {
      const bystander = storage.forOrg("bystander");
      await bystander.memory.set("a", "k", { text: "known" });
      await bystander.apiKeys.create({ name: "known", scopes: ["read"] });
      const before = await everythingOf(bystander);
      const functions = functionsOf(storage);
      expect(functions.length).toBeGreaterThan(60);
      for (const [name, call] of functions) {
        const property = fc.asyncProperty(args, (given) =>
          expectOurs(name, () => call(...given), synchronous.has(name)),
        );
        await expect(fc.assert(property, { numRuns: runs, ...seed })).resolves.toBeUndefined();
      }
      expect(await everythingOf(bystander)).toBe(before);
      expect(Object.keys(Object.prototype)).toEqual([]);
    },
    120_000 * rounds,
  );

  test(
    "does so inside a transaction",
    async () => {
      const names = await storage.transaction(async (tx) => functionsOf(tx).map(([name]) => name));
      for (const name of names.value) {
        const property = fc.asyncProperty(args, (given) =>
          expectOurs(
            `tx.${name}`,
            () =>
              storage.transaction(async (tx) =>
                taken(new Map(functionsOf(tx)).get(name)?.(...given)),
              ),
            false,
          ),
        );
        await expect(fc.assert(property, { numRuns: runs / 2, ...seed })).resolves.toBeUndefined();
      }
    },
    120_000 * rounds,
  );

  test("tells whose a token is, whatever is presented", async () => {
    const property = fc.asyncProperty(args, async ([token, options]) => {
      await expectOurs(
        "authenticateApiKey",
        () => authenticateApiKey(storage, token as string, options as object),
        false,
      );
    });
    await expect(fc.assert(property, { numRuns: runs, ...seed })).resolves.toBeUndefined();
  });
});

test.each<[string, Function]>([
  ["createStorage", createStorage as Function],
  ["storageTarget", storageTarget as Function],
  ["parseRepository", parseRepository as Function],
  ["KeyRing.parse", (text) => KeyRing.parse(text as string)],
  ["verifyReceipt", verifyReceipt as Function],
  ["hasApiKeys", hasApiKeys as Function],
  ["deploymentOf", deploymentOf as Function],
])("%s takes anything or refuses it with an error of its own", async (name, call) => {
  const property = fc.asyncProperty(args, async (given) => {
    await expectOurs(
      name,
      () => {
        const result = call(...given);
        // Connects with its first use only, of which there is none.
        if (name === "createStorage") void (result as Storage).close();
        return result === null || name === "createStorage" ? null : result;
      },
      true,
    );
  });
  await expect(fc.assert(property, { numRuns: runs * 3, ...seed })).resolves.toBeUndefined();
});

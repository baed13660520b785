import { expect, test } from "vitest";
import { testSecret } from "../../../../tooling/secrets.ts";
import type { CallOptions, Storage } from "../../src/index.ts";
import { StorageError } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

/** One call of every verb that takes a signal. */
function everyCall(
  storage: Storage,
  options: CallOptions,
): Readonly<Record<string, () => PromiseLike<unknown>>> {
  const {
    memory,
    agentStates,
    projects,
    projectConfigs,
    audit,
    subscribers,
    slackInstallations,
    channelConfigs,
  } = storage;
  const slack = { teamId: `T${storage.orgId}` };
  return {
    "memory.get": () => memory.get("agent", "key", options),
    "memory.getEntry": () => memory.getEntry("agent", "key", options),
    "memory.has": () => memory.has("agent", "key", options),
    "memory.getMany": () => memory.getMany("agent", ["key"], options),
    "memory.set": () => memory.set("agent", "key", 1, options),
    "memory.setMany": () => memory.setMany("agent", [{ key: "key", value: 1 }], options),
    "memory.delete": () => memory.delete("agent", "key", options),
    "memory.delete recorded": () => memory.delete("agent", "key", { ...options, record: true }),
    "memory.deleteMany": () => memory.deleteMany("agent", ["key"], options),
    "memory.list": () => memory.list("agent", options),
    "agentStates.get": () => agentStates.get("agent", options),
    "agentStates.has": () => agentStates.has("agent", options),
    "agentStates.set": () => agentStates.set("agent", {}, options),
    "agentStates.update": () => agentStates.update("agent", {}, options),
    "agentStates.touch": () => agentStates.touch("agent", options),
    "agentStates.delete": () => agentStates.delete("agent", options),
    "agentStates.list": () => agentStates.list(options),
    "projects.create": () => projects.create({ name: "p" }, options),
    "projects.get": () => projects.get("p", options),
    "projects.getBySlug": () => projects.getBySlug("p", options),
    "projects.update": () => projects.update("p", {}, options),
    "projects.rename": () => projects.rename("p", "q", options),
    "projects.delete": () => projects.delete("p", options),
    "projects.list": () => projects.list(options),
    "projectConfigs.get": () => projectConfigs.get("agent", options),
    "projectConfigs.link": () => projectConfigs.link("agent", { repository: "acme/app" }, options),
    "projectConfigs.update": () => projectConfigs.update("agent", {}, options),
    "projectConfigs.unlink": () => projectConfigs.unlink("agent", options),
    "projectConfigs.list": () => projectConfigs.list(options),
    "audit.append": () => audit.append({ action: "test.aborted" }, options),
    "audit.get": () => audit.get(0, options),
    "audit.getById": () => audit.getById("0190163d-8694-739b-aea5-966c26f8ad90", options),
    "audit.list": () => audit.list(options),
    "audit.verify": () => audit.verify(options),
    "subscribers.subscribe": () => subscribers.subscribe("a@example.com", options),
    "subscribers.get": () => subscribers.get("a@example.com", options),
    "subscribers.confirm": () => subscribers.confirm("a@example.com", options),
    "subscribers.unsubscribe": () => subscribers.unsubscribe("a@example.com", options),
    "subscribers.list": () => subscribers.list(options),
    "subscribers.count": () => subscribers.count(options),
    "slackInstallations.set": () =>
      slackInstallations.set({ ...slack, tokens: { t: testSecret() } }, options),
    "slackInstallations.get": () => slackInstallations.get(slack, options),
    "slackInstallations.getTokens": () => slackInstallations.getTokens(slack, options),
    "slackInstallations.delete": () => slackInstallations.delete(slack, options),
    "slackInstallations.list": () => slackInstallations.list(options),
    "channelConfigs.set": () =>
      channelConfigs.set("sentry", { credentials: { t: testSecret() } }, options),
    "channelConfigs.get": () => channelConfigs.get("sentry", options),
    "channelConfigs.getCredentials": () => channelConfigs.getCredentials("sentry", options),
    "channelConfigs.delete": () => channelConfigs.delete("sentry", options),
    "channelConfigs.list": () => channelConfigs.list(options),
    transaction: () => storage.transaction(async (tx) => tx.memory.set("agent", "key", 1), options),
  };
}

describeEachBackend("an abort signal", (backend) => {
  test("that has fired stops every call before anything is sent", async () => {
    const storage = backend.open();
    const reason = new Error("the user left");
    const signal = AbortSignal.abort(reason);
    for (const [name, call] of Object.entries(everyCall(storage, { signal }))) {
      const error = await expectCode(call(), "ABORTED").catch((cause: unknown) => {
        throw new Error(`${name} doesn't respect the signal`, { cause });
      });
      expect(error.message, name).toMatch(/nothing was written/);
      expect(error.cause, name).toBe(reason);
    }
    expect((await storage.memory.list("agent")).items).toEqual([]);
    expect(await storage.audit.verify()).toMatchObject({ size: 0 });
  });

  test("that never fires changes nothing, and nothing keeps listening to it", async () => {
    const storage = backend.open();
    const controller = new AbortController();
    let listening = 0;
    const { signal } = controller;
    const [add, remove] = [
      signal.addEventListener.bind(signal),
      signal.removeEventListener.bind(signal),
    ];
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listening += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listening -= 1;
      remove(...args);
    };
    await storage.memory.set("agent", "key", 1, { signal });
    await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        await storage.memory.set("agent", `key ${n}`, n, { signal });
        expect(await storage.memory.get("agent", `key ${n}`, { signal })).toBe(n);
      }),
    );
    expect(listening).toBe(0);
  });

  test("that fires after sending rejects at once and says that the outcome is unknown", async () => {
    const storage = backend.open();
    await storage.memory.set("agent", "key", "before");
    const controller = new AbortController();
    const call = storage.memory.set("agent", "key", "after", { signal: controller.signal });
    const settled = call.then(
      () => null,
      (error: unknown) => error,
    );
    await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    const error = await settled;
    // It may have been faster than the signal; then it simply succeeded.
    if (error !== null) {
      expect(StorageError.is(error, "ABORTED")).toBe(true);
      expect((error as StorageError).message).toMatch(/outcome unknown|nothing was written/);
    }
    const stored = await storage.memory.get("agent", "key");
    expect(["before", "after"]).toContain(stored);
    if (error === null) expect(stored).toBe("after");
  });

  test("of one caller never disturbs others who share its statement", async () => {
    const storage = backend.open();
    const controllers = Array.from({ length: 32 }, () => new AbortController());
    const calls = controllers.map((controller, n) =>
      storage.memory.set("agent", `key ${n}`, n, { signal: controller.signal }).then(
        () => "stored",
        (error: unknown) => {
          if (!StorageError.is(error, "ABORTED")) throw error;
          return error.message;
        },
      ),
    );
    for (const controller of controllers.filter((_, n) => n % 2 === 0)) controller.abort();
    const outcomes = await Promise.all(calls);
    for (const [n, outcome] of outcomes.entries()) {
      const stored = await storage.memory.has("agent", `key ${n}`);
      if (n % 2 === 1) expect([outcome, stored]).toEqual(["stored", true]);
      if (/nothing was written/.test(outcome)) expect(stored).toBe(false);
    }
  });

  test("between a transaction's function and its commit writes nothing", async () => {
    const storage = backend.open();
    const controller = new AbortController();
    const call = storage.transaction(
      async (tx) => {
        await tx.memory.set("agent", "key", 1);
        controller.abort();
      },
      { signal: controller.signal },
    );
    expect((await expectCode(call, "ABORTED")).message).toMatch(/nothing was written/);
    expect(await storage.memory.has("agent", "key")).toBe(false);
  });

  test("of the wrong type is refused", async () => {
    const storage = backend.open();
    for (const signal of [{}, "abort", 1, null]) {
      const options = { signal } as unknown as CallOptions;
      await expectCode(storage.memory.set("agent", "key", 1, options), "VALIDATION");
    }
    expect(await storage.memory.has("agent", "key")).toBe(false);
  });
});

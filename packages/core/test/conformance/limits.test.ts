import { expect, test } from "vitest";
import { testSecret } from "../../../../tooling/secrets.ts";
import { limits } from "../../src/domain/limits.ts";
import type { AuditInput, Transaction } from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode, expectEach, expectThrown } from "../support/expect-code.ts";

/** Text of exactly this many UTF-8 bytes, most of it in characters of four. */
function textOf(bytes: number): string {
  return "x".repeat(bytes % 4) + "😀".repeat(Math.floor(bytes / 4));
}

/** A value whose JSON text has exactly this many UTF-8 bytes. */
const jsonOf = (bytes: number): string => textOf(bytes - 2);

describeEachBackend("limits", (backend) => {
  test("an organisation id has at most 128 bytes", async () => {
    const longest = backend.open(textOf(limits.orgIdBytes));
    await longest.memory.set("agent", backend.orgId, 1);
    expect(await longest.memory.get("agent", backend.orgId)).toBe(1);
    expectThrown(() => backend.open(textOf(limits.orgIdBytes + 1)), "LIMIT_EXCEEDED");
    expectThrown(() => longest.forOrg(textOf(limits.orgIdBytes + 1)), "LIMIT_EXCEEDED");
  });

  test("an agent id, and every other record id, has at most 128 bytes", async () => {
    const storage = backend.open();
    const longest = textOf(limits.idBytes);
    await storage.memory.set(longest, "key", 1);
    await storage.agentStates.set(longest, { projectId: longest });
    await storage.projects.create({ id: longest, name: "n", slug: "s", agentId: longest });
    await storage.projectConfigs.link(longest, { repository: "acme/app", linkedBy: longest });
    expect(await storage.memory.get(longest, "key")).toBe(1);
    expect((await storage.agentStates.get(longest))?.projectId).toBe(longest);
    expect((await storage.projects.get(longest))?.agentId).toBe(longest);
    expect((await storage.projectConfigs.get(longest))?.linkedBy).toBe(longest);

    const tooLong = textOf(limits.idBytes + 1);
    const calls = [
      storage.memory.set(tooLong, "key", 1),
      storage.memory.get(tooLong, "key"),
      storage.memory.list(tooLong),
      storage.agentStates.set(tooLong, {}),
      storage.agentStates.set("agent", { projectId: tooLong }),
      storage.projects.create({ id: tooLong, name: "n" }),
      storage.projects.create({ name: "n", agentId: tooLong }),
      storage.projectConfigs.link(tooLong, { repository: "acme/app" }),
      storage.projectConfigs.link("agent", { repository: "acme/app", linkedBy: tooLong }),
      storage.slackInstallations.set({
        teamId: `T${"x".repeat(limits.idBytes)}`,
        tokens: { t: testSecret() },
      }),
    ];
    await expectEach(calls, "LIMIT_EXCEEDED");
  });

  test("an actor, and every id that an audit entry names, has at most 128 bytes", async () => {
    const storage = backend.open();
    const id = textOf(limits.idBytes);
    const full: AuditInput = {
      action: "x".repeat(limits.idBytes),
      actor: { type: "user", id },
      target: { type: id, id },
      agent: { id, run: id, model: id },
      project: id,
      correlationId: id,
    };
    const { action, actor, target, agent, project, correlationId } =
      await storage.audit.append(full);
    expect({ action, actor, target, agent, project, correlationId }).toEqual(full);
    const longer = `${id}x`;
    const variants: AuditInput[] = [
      { action: "x".repeat(limits.idBytes + 1) },
      { action: "a", actor: { type: "user", id: longer } },
      { action: "a", target: { type: longer, id } },
      { action: "a", target: { type: id, id: textOf(limits.keyBytes + 1) } },
      { action: "a", agent: { id: longer } },
      { action: "a", agent: { id, run: longer } },
      { action: "a", agent: { id, model: longer } },
      { action: "a", project: longer },
      { action: "a", correlationId: longer },
    ];
    for (const entry of variants) await expectCode(storage.audit.append(entry), "LIMIT_EXCEEDED");
    expectThrown(() => storage.as({ type: "user", id: longer }), "LIMIT_EXCEEDED");
    expect(await storage.audit.verify()).toMatchObject({ size: 1 });
  });

  test("a key has at most 512 bytes, also beside the longest ids", async () => {
    const { memory } = backend.open(textOf(limits.orgIdBytes));
    const agent = `${backend.orgId}${textOf(limits.idBytes - backend.orgId.length)}`;
    // Incompressible: an index that compresses keys must take them too.
    const noise = Array.from({ length: limits.keyBytes / 4 }, (_, index) =>
      String.fromCodePoint(0x20000 + ((index * 7919) % 40_000)),
    ).join("");
    expect(Buffer.byteLength(noise)).toBe(limits.keyBytes);
    await memory.set(agent, noise, 1, { record: true });
    expect(await memory.get(agent, noise)).toBe(1);
    const { items } = await memory.list(agent, { prefix: noise.slice(0, -2), limit: 1 });
    expect(items.map(({ key }) => key)).toEqual([noise]);
    const calls = [
      memory.set(agent, `${noise}x`, 1),
      memory.get(agent, `${noise}x`),
      memory.getMany(agent, [`${noise}x`]),
      memory.deleteMany(agent, [`${noise}x`]),
    ];
    await expectEach(calls, "LIMIT_EXCEEDED");
  });

  test("a name, a URL and an e-mail address have at most 1,024 bytes", async () => {
    const { agentStates, projects, subscribers } = backend.open();
    const name = textOf(limits.textBytes);
    expect((await agentStates.set("agent", { name })).name).toBe(name);
    expect((await projects.create({ id: "p", name, slug: "p" })).name).toBe(name);
    const calls = [
      agentStates.set("agent", { name: `${name}x` }),
      projects.create({ name: `${name}x`, slug: "q" }),
      projects.rename("p", `${name}x`),
    ];
    await expectEach(calls, "LIMIT_EXCEEDED");
    const call = subscribers.subscribe(`${"x".repeat(limits.textBytes)}@example.com`);
    await expect(call).rejects.toMatchObject({
      code: expect.stringMatching(/LIMIT_EXCEEDED|VALIDATION/),
    });
  });

  test("a value has at most 256 KiB of JSON", async () => {
    const { memory } = backend.open();
    const largest = jsonOf(limits.valueBytesDefault);
    expect(Buffer.byteLength(JSON.stringify(largest))).toBe(limits.valueBytesDefault);
    await memory.set("agent", "key", largest);
    expect(await memory.get("agent", "key")).toBe(largest);
    const tooLarge = jsonOf(limits.valueBytesDefault + 1);
    await expectCode(memory.set("agent", "key", tooLarge), "LIMIT_EXCEEDED");
    await expectCode(
      memory.setMany("agent", [{ key: "other", value: tooLarge }]),
      "LIMIT_EXCEEDED",
    );
    expect(await memory.get("agent", "key")).toBe(largest);
  });

  test("maxValueBytes moves that limit, up to 1 MiB", async () => {
    const large = backend.open(backend.orgId, { maxValueBytes: limits.valueBytesMax });
    const largest = jsonOf(limits.valueBytesMax);
    await large.memory.set("agent", "key", largest);
    expect(await large.memory.get("agent", "key")).toBe(largest);
    await expectCode(large.memory.set("agent", "key", `${largest}x`), "LIMIT_EXCEEDED");
    await large.close();
    const small = backend.open(backend.orgId, { maxValueBytes: 10 });
    await small.memory.set("agent", "small", "12345678");
    await expectCode(small.memory.set("agent", "small", "123456789"), "LIMIT_EXCEEDED");
    // What was stored under another limit is still read.
    expect(await small.memory.get("agent", "key")).toBe(largest);
    await small.close();
    for (const maxValueBytes of [limits.valueBytesMax + 1, 0, -1, 1.5, Number.NaN]) {
      const attempt = () => backend.open(backend.orgId, { maxValueBytes });
      expect(attempt).toThrow(/maxValueBytes/);
    }
  });

  test("an audit entry has at most 64 KiB, its details included", async () => {
    const { audit } = backend.open();
    const fits = limits.auditEntryBytes - 2048;
    const entry = await audit.append({ action: "test.large", details: "x".repeat(fits) });
    expect(entry.details).toHaveLength(fits);
    const tooLarge = { action: "test.large", details: "x".repeat(limits.auditEntryBytes) };
    await expectCode(audit.append(tooLarge), "LIMIT_EXCEEDED");
    expect(await audit.verify()).toMatchObject({ size: 1, verdict: "unanchored" });
  });

  test("one byte decides whether an audit entry is too large", async () => {
    const { audit } = backend.open();
    const append = (bytes: number) =>
      audit.append({ action: "test.large", details: "x".repeat(bytes) }).then(
        () => true,
        () => false,
      );
    let fits = limits.auditEntryBytes - 2048;
    let fails = limits.auditEntryBytes;
    while (fails - fits > 1) {
      const middle = Math.floor((fits + fails) / 2);
      if (await append(middle)) fits = middle;
      else fails = middle;
    }
    expect([await append(fits), await append(fails)]).toEqual([true, false]);
    expect(fits).toBeGreaterThan(limits.auditEntryBytes - 2048);
  });

  test("secrets have at most 64 KiB together", async () => {
    const { channelConfigs, slackInstallations } = backend.open();
    // {"token":"…"} as JSON: twelve bytes around the secret.
    const longest = testSecret().padEnd(limits.secretBytes - 12, "s");
    await channelConfigs.set("sentry", { credentials: { token: longest } });
    const credentials = await channelConfigs.getCredentials("sentry");
    expect(credentials?.["token"]?.reveal()).toBe(longest);
    const tooLong = { token: `${longest}s` };
    await expectCode(channelConfigs.set("sentry", { credentials: tooLong }), "LIMIT_EXCEEDED");
    const teamId = `T${backend.orgId}`;
    await expectCode(slackInstallations.set({ teamId, tokens: tooLong }), "LIMIT_EXCEEDED");
    await slackInstallations.set({ teamId, tokens: { token: longest } });
    expect((await slackInstallations.getTokens({ teamId }))?.["token"]?.reveal()).toBe(longest);
  });

  test("calls on many keys take at most 128 of them", async () => {
    const { memory } = backend.open();
    const keys = Array.from({ length: limits.transactionOperations }, (_, index) => `key ${index}`);
    const items = keys.map((key) => ({ key, value: 1 }));
    expect(await memory.setMany("agent", items)).toHaveLength(128);
    expect(await memory.getMany("agent", keys)).toHaveLength(128);
    const one = { key: "one more", value: 1 };
    await expectCode(memory.setMany("agent", [...items, one]), "LIMIT_EXCEEDED");
    await expectCode(memory.getMany("agent", [...keys, one.key]), "LIMIT_EXCEEDED");
    await expectCode(memory.deleteMany("agent", [...keys, one.key]), "LIMIT_EXCEEDED");
    expect(await memory.deleteMany("agent", keys)).toEqual(keys.map(() => true));
  });

  test("their audit entries count, on a handle as in a transaction", async () => {
    const storage = backend.open();
    const keysOf = (count: number) => Array.from({ length: count }, (_, n) => `key ${n}`);
    const itemsOf = (count: number) => keysOf(count).map((key) => ({ key, value: 1 }));
    const inTransaction = (work: (tx: Transaction) => Promise<unknown>) =>
      storage.transaction(work);
    const record = { record: true };
    for (const call of [
      () => storage.memory.setMany("agent", itemsOf(65), record),
      () => inTransaction((tx) => tx.memory.setMany("agent", itemsOf(65), record)),
    ])
      await expectCode(call(), "LIMIT_EXCEEDED");
    expect(await storage.memory.has("agent", "key 0")).toBe(false);
    await inTransaction((tx) => tx.memory.setMany("agent", itemsOf(64), record));
    await storage.memory.setMany("agent", itemsOf(64), record);
    // What isn't there leaves no entry: 64 that are and 64 that would leave them are 128; one more key is one too many.
    for (const call of [
      () => storage.memory.deleteMany("agent", keysOf(65), record),
      () => inTransaction((tx) => tx.memory.deleteMany("agent", keysOf(65), record)),
    ])
      await expectCode(call(), "LIMIT_EXCEEDED");
    expect(await storage.memory.has("agent", "key 0")).toBe(true);
    await storage.memory.deleteMany("agent", keysOf(64), record);
    expect(await storage.memory.deleteMany("agent", keysOf(128), record)).not.toContain(true);
    expect(await storage.audit.verify()).toMatchObject({ size: 3 * 64 });
  });

  test("a transaction holds at most 128 operations", async () => {
    const storage = backend.open();
    const write = (count: number) =>
      storage.transaction(async (tx) => {
        for (let n = 0; n < count; n += 1) await tx.memory.set("agent", `key ${n}`, n);
      });
    await write(limits.transactionOperations);
    await expectCode(write(limits.transactionOperations + 1), "LIMIT_EXCEEDED");
    // Reads that are checked and entries that are appended count too.
    const mixed = (count: number) =>
      storage.transaction(async (tx) => {
        for (let n = 0; n < count; n += 1) {
          await tx.memory.set("mixed", `key ${n}`, n);
          await tx.memory.get("mixed", `absent ${n}`);
          await tx.audit.append({ action: "test.mixed" });
        }
      });
    await mixed(42);
    expect(await storage.audit.verify()).toMatchObject({ size: 42 });
    await expectCode(mixed(43), "LIMIT_EXCEEDED");
    expect(await storage.audit.verify()).toMatchObject({ size: 42 });
  });

  test("a transaction writes at most 4 MiB of values", async () => {
    const storage = backend.open();
    const sixteenth = jsonOf(limits.valueBytesDefault);
    const write = (count: number, more: Readonly<Record<string, unknown>> = {}) =>
      storage.transaction(async (tx) => {
        for (let n = 0; n < count; n += 1) await tx.memory.set("agent", `key ${n}`, sixteenth);
        for (const [key, value] of Object.entries(more)) await tx.memory.set("agent", key, value);
      });
    await write(16);
    await expectCode(write(16, { more: 1 }), "LIMIT_EXCEEDED");
    expect(await storage.memory.has("agent", "more")).toBe(false);
    const items = Array.from({ length: 17 }, (_, n) => ({ key: `many ${n}`, value: sixteenth }));
    await expectCode(storage.memory.setMany("agent", items), "LIMIT_EXCEEDED");
    await storage.memory.setMany("agent", items.slice(1));
  });

  test("a page holds at most 1,000 records and 100 when nobody says", async () => {
    const { memory } = backend.open();
    for (let page = 0; page < 8; page += 1) {
      await memory.setMany(
        "agent",
        Array.from({ length: 128 }, (_, n) => ({
          key: `${page}-${String(n).padStart(3, "0")}`,
          value: n,
        })),
      );
    }
    expect((await memory.list("agent")).items).toHaveLength(limits.pageDefault);
    expect((await memory.list("agent", { limit: limits.pageMax })).items).toHaveLength(1000);
    await expectCode(memory.list("agent", { limit: limits.pageMax + 1 }), "LIMIT_EXCEEDED");
    for (const limit of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      await expectCode(memory.list("agent", { limit }), "VALIDATION");
    }
  });

  test("a time to live lies between one second and ten years", async () => {
    const { memory } = backend.open();
    for (const ttlMs of [limits.ttlMinMs, limits.ttlMaxMs]) {
      const expiresAt = backend.clock.iso(ttlMs);
      expect(await memory.set("agent", "ttl", 1, { ttlMs })).toMatchObject({ expiresAt });
      expect(await memory.set("agent", "at", 1, { expiresAt })).toMatchObject({ expiresAt });
    }
    for (const ttlMs of [limits.ttlMinMs - 1, limits.ttlMaxMs + 1, 0, -1]) {
      await expectCode(memory.set("agent", "ttl", 1, { ttlMs }), "LIMIT_EXCEEDED");
      const expiresAt = backend.clock.iso(ttlMs);
      await expectCode(memory.set("agent", "at", 1, { expiresAt }), "LIMIT_EXCEEDED");
    }
    for (const ttlMs of [1000.5, Number.NaN]) {
      await expectCode(memory.set("agent", "ttl", 1, { ttlMs }), "VALIDATION");
    }
  });
});

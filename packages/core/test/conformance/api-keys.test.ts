import { expect, test } from "vitest";
import {
  type ApiKeyInput,
  type ApiKeyScope,
  type AuthenticatedKey,
  apiKeyScopes,
  authenticateApiKey,
  hasApiKeys,
  type Storage,
  StorageError,
} from "../../src/index.ts";
import { describeEachBackend } from "../support/backends.ts";
import { expectCode } from "../support/expect-code.ts";

const uuidv7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const everything: ApiKeyInput = { name: "all of it", scopes: apiKeyScopes };

/** What the trail says, oldest first. */
async function said(storage: Storage) {
  return (await storage.audit.list({ order: "asc" })).items;
}

describeEachBackend("API keys", { everyLogin: true }, (backend) => {
  test("are made with a token that shows only once", async () => {
    const storage = backend.open().as({ type: "user", id: "ada" });
    const scopes: ApiKeyScope[] = ["audit:read", "read"];
    const { key, token } = await storage.apiKeys.create({ name: "CI", scopes });
    const now = backend.clock.iso();
    expect(key).toEqual({
      id: expect.stringMatching(uuidv7),
      name: "CI",
      scopes: ["read", "audit:read"],
      createdBy: "user:ada",
      expiresAt: null,
      lastUsedAt: null,
      revokedAt: null,
      version: expect.any(String),
      createdAt: now,
      updatedAt: now,
    });
    const organisation = Buffer.from(backend.orgId).toString("base64url");
    expect(token.reveal()).toMatch(new RegExp(`^csk_${organisation}_${key.id}_[A-Za-z0-9_-]{43}$`));
    expect(await storage.apiKeys.get(key.id)).toEqual(key);
    expect((await storage.apiKeys.list()).items).toEqual([key]);
    expect(await storage.apiKeys.get("other")).toBeNull();
    expect(JSON.stringify({ key, token })).not.toContain("csk_");
  });

  test("are stored as a hash, and the trail has neither hash nor token", async () => {
    const storage = backend.open();
    const first = await storage.apiKeys.create(everything);
    const second = await storage.apiKeys.rotate(first.key.id, { overlapMs: 60_000 });
    await storage.apiKeys.revoke(second.key.id);
    await storage.close();
    const stored = await backend.target.everythingStored();
    for (const { token, key } of [first, second]) {
      const secret = token.reveal().slice(-43);
      expect(stored).toContain(key.id);
      for (const form of [secret, Buffer.from(secret, "base64url").toString("hex")])
        expect(stored).not.toContain(form);
    }
    const reopened = backend.open();
    const details = (await said(reopened)).map((entry) =>
      JSON.stringify([entry.target, entry.details]),
    );
    expect(details.join()).not.toMatch(/csk_|[0-9a-f]{64}|[A-Za-z0-9_-]{43}/);
  });

  test("write an entry for each change, and none for their use", async () => {
    const storage = backend.open().as({ type: "user", id: "ada" });
    const { key, token } = await storage.apiKeys.create({
      name: "CI",
      scopes: ["write"],
      expiresAt: backend.clock.iso(3_600_000),
    });
    await authenticateApiKey(storage, token.reveal());
    const { key: next } = await storage.apiKeys.rotate(key.id, { overlapMs: 1000 });
    await storage.apiKeys.revoke(next.id);
    const entries = (await said(storage)).map(({ actor, action, target, outcome, details }) => ({
      actor: actor.id,
      action,
      target: target?.id,
      outcome,
      details,
    }));
    const common = { actor: "ada", outcome: "success" };
    expect(entries).toEqual([
      {
        ...common,
        action: "api_key.created",
        target: key.id,
        details: { name: "CI", scopes: ["write"], expiresAt: backend.clock.iso(3_600_000) },
      },
      {
        ...common,
        action: "api_key.created",
        target: next.id,
        details: {
          name: "CI",
          scopes: ["write"],
          expiresAt: backend.clock.iso(3_600_000),
          rotatedFrom: key.id,
        },
      },
      {
        ...common,
        action: "api_key.rotated",
        target: key.id,
        details: { replacedBy: next.id, overlapMs: 1000 },
      },
      { ...common, action: "api_key.revoked", target: next.id, details: null },
    ]);
  });

  test("that aren't acceptable are refused", async () => {
    const { apiKeys, audit } = backend.open();
    const wrong: unknown[] = [
      null,
      {},
      { name: "x" },
      { name: "", scopes: ["read"] },
      { name: "x", scopes: [] },
      { name: "x", scopes: "read" },
      { name: "x", scopes: ["root"] },
      { name: "x", scopes: ["read", null] },
      { name: "x", scopes: ["read"], expiresAt: "tomorrow" },
      { name: "x", scopes: ["read"], expiresAt: null },
      { name: "x", scopes: ["read"], id: "mine" },
      { name: "x", scopes: [...apiKeyScopes, "read"] },
    ];
    for (const input of wrong) await expectCode(apiKeys.create(input as ApiKeyInput), "VALIDATION");
    for (const expiresAt of [backend.clock.iso(), backend.clock.iso(-1000), "2999-01-01T00:00:00Z"])
      await expectCode(apiKeys.create({ ...everything, expiresAt }), "LIMIT_EXCEEDED");
    await expectCode(apiKeys.create({ ...everything, name: "n".repeat(1025) }), "LIMIT_EXCEEDED");
    const { key } = await apiKeys.create(everything);
    await expectCode(apiKeys.create({ ...everything, id: key.id }), "ALREADY_EXISTS");
    for (const overlapMs of [-1, 0.5, "1000", null])
      await expectCode(apiKeys.rotate(key.id, { overlapMs: overlapMs as number }), "VALIDATION");
    await expectCode(apiKeys.rotate(key.id, { overlapMs: 31 * 86_400_000 }), "LIMIT_EXCEEDED");
    for (const expiresAt of ["soon", null, 7])
      await expectCode(apiKeys.rotate(key.id, { expiresAt: expiresAt as string }), "VALIDATION");
    for (const expiresAt of [backend.clock.iso(), backend.clock.iso(999), "2999-01-01T00:00:00Z"])
      await expectCode(apiKeys.rotate(key.id, { expiresAt }), "LIMIT_EXCEEDED");
    for (const verb of [apiKeys.revoke, apiKeys.rotate])
      await expectCode(verb("none"), "NOT_FOUND");
    const changed = await audit.list({ outcome: "success" });
    expect(changed.items).toMatchObject([{ action: "api_key.created" }]);
  });

  test("aren't shown by what refuses a token in the place of its id", async () => {
    const { apiKeys } = backend.open();
    const token = (await apiKeys.create(everything)).token.reveal();
    for (const call of [apiKeys.get(token), apiKeys.revoke(token), apiKeys.rotate(token)]) {
      const { message } = await expectCode(call, "VALIDATION");
      expect(message).toContain("codespar keys list");
      expect(message).not.toContain("csk_");
    }
    expect(new StorageError("NOT_FOUND", `There is no "${token}".`).message).toBe(
      'There is no "csk_[secret]".',
    );
  });

  test("are listed in pages, in the order in which they were made", async () => {
    const { apiKeys } = backend.open();
    const ids: string[] = [];
    for (let i = 0; i < 5; i += 1) ids.push((await apiKeys.create(everything)).key.id);
    const listed: string[] = [];
    for await (const { id } of apiKeys.list({ limit: 2 })) listed.push(id);
    expect(listed).toEqual(ids);
  });
});

describeEachBackend("a token", { everyLogin: true }, (backend) => {
  test("is told to be its key's, through a handle of any organisation", async () => {
    const { apiKeys } = backend.open();
    const { key, token } = await apiKeys.create(everything);
    const elsewhere = backend.open(`${backend.orgId}-elsewhere`);
    const caller = await authenticateApiKey(elsewhere, token.reveal());
    expect(caller).toMatchObject({
      orgId: backend.orgId,
      key: { id: key.id, scopes: apiKeyScopes },
    });
  });

  test.each(["a/b", "_", "ä€😀", "csk_x_y", "-", "x".repeat(128)])(
    "carries the organisation %j",
    async (suffix) => {
      const orgId = `${backend.orgId}${suffix}`.slice(-128);
      const { token } = await backend.open(orgId).apiKeys.create(everything);
      expect(token.reveal()).toMatch(/^[A-Za-z0-9_-]+$/);
      expect(await authenticateApiKey(backend.open(), token.reveal())).toMatchObject({ orgId });
    },
  );

  test("is nobody's when it is wrong in any way", async () => {
    const storage = backend.open();
    const { token } = await storage.apiKeys.create(everything);
    const right = token.reveal();
    const other = (await storage.apiKeys.create(everything)).token.reveal();
    const unknown = await backend.open(`${backend.orgId}-b`).apiKeys.create(everything);
    const wrong = [
      right.replace(/.$/, right.endsWith("A") ? "E" : "A"),
      right.slice(0, -43) + other.slice(-43),
      right.slice(0, -43) + unknown.token.reveal().slice(-43),
      unknown.token
        .reveal()
        .replace(/_[^_]*?_/, `_${Buffer.from(backend.orgId).toString("base64url")}_`),
      right.replace(/[0-9a-f]{8}-/, "00000000-"),
      right.replace(/^csk_[^_]+/, `csk_${Buffer.from("nobody").toString("base64url")}`),
      `${right} `,
      right.slice(4),
      right.toUpperCase(),
      "",
      "csk___",
      "x".repeat(100_000),
    ];
    for (const text of wrong) {
      expect(text).not.toBe(right);
      expect(await authenticateApiKey(storage, text), text.slice(0, 300)).toBeNull();
    }
    expect(await authenticateApiKey(storage, 7 as unknown as string)).toBeNull();
  });

  test("stops working when its key expires, and only its organisation is told", async () => {
    const storage = backend.open();
    const { key, token } = await storage.apiKeys.create({
      ...everything,
      expiresAt: backend.clock.iso(5000),
    });
    const told: [AuthenticatedKey, string][] = [];
    const ask = (text = token.reveal()) =>
      authenticateApiKey(storage, text, { onEnded: (...all) => told.push(all) });
    backend.clock.advance(4999);
    expect(await ask()).not.toBeNull();
    backend.clock.advance(1);
    expect(await ask()).toBeNull();
    expect(told).toEqual([[expect.objectContaining({ orgId: backend.orgId }), "expired"]]);
    expect(told[0]?.[0].key.id).toBe(key.id);
    // Of who doesn't know the secret nothing is told.
    expect(await ask(token.reveal().slice(0, -43) + "A".repeat(43))).toBeNull();
    expect(told).toHaveLength(1);
    await expectCode(storage.apiKeys.rotate(key.id), "NOT_FOUND");
  });

  test("stops working when its key is revoked", async () => {
    const storage = backend.open();
    const { key, token } = await storage.apiKeys.create(everything);
    expect(await authenticateApiKey(storage, token.reveal())).not.toBeNull();
    const revoked = await storage.apiKeys.revoke(key.id);
    expect(revoked.revokedAt).toBe(backend.clock.iso());
    const told: string[] = [];
    const options = { onEnded: (_: AuthenticatedKey, how: string) => told.push(how) };
    expect(await authenticateApiKey(storage, token.reveal(), options)).toBeNull();
    expect(told).toEqual(["revoked"]);
    backend.clock.advance(1000);
    expect(await storage.apiKeys.revoke(key.id)).toMatchObject({ revokedAt: revoked.revokedAt });
    await expectCode(storage.apiKeys.rotate(key.id), "NOT_FOUND");
    expect((await storage.apiKeys.list()).items).toHaveLength(1);
  });

  test("gives way to the one it is rotated to, at once or after the overlap", async () => {
    const storage = backend.open();
    const works = async (token: { reveal(): string }) =>
      (await authenticateApiKey(storage, token.reveal())) !== null;
    const lifetime = { ...everything, expiresAt: backend.clock.iso(100_000) };
    const first = await storage.apiKeys.create(lifetime);
    backend.clock.advance(40_000);
    const second = await storage.apiKeys.rotate(first.key.id, { overlapMs: 5000 });
    expect(second.key).toMatchObject({ name: "all of it", scopes: apiKeyScopes });
    expect(second.key.expiresAt).toBe(first.key.expiresAt);
    expect([await works(first.token), await works(second.token)]).toEqual([true, true]);
    backend.clock.advance(5000);
    expect([await works(first.token), await works(second.token)]).toEqual([false, true]);
    const third = await storage.apiKeys.rotate(second.key.id);
    expect([await works(second.token), await works(third.token)]).toEqual([false, true]);
    // An overlap doesn't let a key live longer than it would have.
    const short = await storage.apiKeys.create({
      ...everything,
      expiresAt: backend.clock.iso(2000),
    });
    await storage.apiKeys.rotate(short.key.id, { overlapMs: 60_000 });
    expect((await storage.apiKeys.get(short.key.id))?.expiresAt).toBe(short.key.expiresAt);
  });

  test("ends when the one would have that it is rotated from, unless another end is given", async () => {
    const { apiKeys } = backend.open();
    let { key } = await apiKeys.create({ ...everything, expiresAt: backend.clock.iso(2000) });
    const end = key.expiresAt;
    // Also where that is nearer than a new key's end may be.
    for (let i = 0; i < 3; i += 1) {
      backend.clock.advance(600);
      ({ key } = await apiKeys.rotate(key.id));
      expect(key.expiresAt).toBe(end);
    }
    ({ key } = await apiKeys.rotate(key.id, { expiresAt: backend.clock.iso(90_000) }));
    expect(key.expiresAt).toBe(backend.clock.iso(90_000));
    backend.clock.advance(90_000);
    await expectCode(apiKeys.rotate(key.id), "NOT_FOUND");
    const { key: endless } = await apiKeys.create(everything);
    expect((await apiKeys.rotate(endless.id)).key.expiresAt).toBeNull();
  });

  test("notes its use once a minute", async () => {
    const storage = backend.open();
    const { key, token } = await storage.apiKeys.create(everything);
    const used = async () => (await storage.apiKeys.get(key.id))?.lastUsedAt ?? null;
    for (let i = 0; i < 3; i += 1) await authenticateApiKey(storage, token.reveal());
    await expect.poll(used).toBe(backend.clock.iso());
    const noted = await storage.apiKeys.get(key.id);
    backend.clock.advance(59_999);
    await authenticateApiKey(storage, token.reveal());
    // What would have been written is, by the time another transaction is.
    await storage.apiKeys.create(everything);
    expect(await storage.apiKeys.get(key.id)).toEqual(noted);
    backend.clock.advance(1);
    await authenticateApiKey(storage, token.reveal());
    await expect.poll(used).toBe(backend.clock.iso());
    expect((await said(storage)).map(({ action }) => action)).toEqual([
      "api_key.created",
      "api_key.created",
    ]);
  });
});

describeEachBackend("that there are API keys", { targetPerTest: true }, (backend) => {
  test("shows as soon as any organisation has one, and stays", async () => {
    const storage = backend.open();
    expect(await hasApiKeys(storage)).toBe(false);
    const { key } = await backend.open("elsewhere").apiKeys.create(everything);
    expect(await hasApiKeys(storage)).toBe(true);
    await backend.open("elsewhere").apiKeys.revoke(key.id);
    backend.clock.advance(10_000);
    expect(await hasApiKeys(storage)).toBe(true);
  });

  test("shows after a restart too", async () => {
    const before = [backend.open(), backend.open("elsewhere")] as const;
    // Only looks like a line of the journal.
    await before[1].memory.set("a", "k", '\n{"put":"api_keys",');
    expect(await hasApiKeys(before[0])).toBe(false);
    const { token } = await before[1].apiKeys.create(everything);
    for (const storage of before) await storage.close();
    const storage = backend.open();
    expect(await authenticateApiKey(storage, token.reveal())).not.toBeNull();
    expect(await hasApiKeys(storage)).toBe(true);
  });
});

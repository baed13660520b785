import { inspect } from "node:util";
import { expect, onTestFinished, test, vi } from "vitest";
import { testKey, testSecret } from "../../../../tooling/secrets.ts";
import { createStorage, KeyRing, Secret, StorageError } from "../../src/index.ts";
import type { ColumnValue, RecordRef } from "../../src/storage/backend.ts";
import { openBackend } from "../../src/storage/create-storage.ts";
import { describeEachBackend, type TestBackend } from "../support/backends.ts";
import { expectCode, expectEach } from "../support/expect-code.ts";

/** Not to be found anywhere but in the caller's hands. */
const secret = testSecret("clear").padEnd(60, "x");
const sentry: RecordRef = { table: "channel_configs", key: ["sentry"] };

async function storedColumns(backend: TestBackend, orgId: string, ref: RecordRef) {
  const port = openBackend(backend.options());
  try {
    const [record] = await port.read(orgId, [ref], { now: backend.clock.nowMs });
    return record?.columns ?? {};
  } finally {
    await port.close();
  }
}

/** Writes columns as they are, as somebody with access to the database or the files could. */
async function plant(
  backend: TestBackend,
  orgId: string,
  ref: RecordRef,
  columns: Record<string, ColumnValue>,
) {
  const port = openBackend(backend.options());
  try {
    const put = {
      kind: "put",
      ...ref,
      columns,
      version: `planted-${Math.random()}`,
      expiresAt: null,
    } as const;
    await port.commit(
      orgId,
      { checks: [], writes: [put], appends: [] },
      { now: backend.clock.nowMs },
    );
  } finally {
    await port.close();
  }
}

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}

const onTargetsOfTheirOwn = { targetPerTest: true, everyLogin: true };

describeEachBackend("secrets", onTargetsOfTheirOwn, (backend) => {
  test("are nowhere in clear: not at rest, in listings, in the trail, in inspect or JSON", async () => {
    const storage = backend.open();
    const teamId = `T${backend.orgId}`;
    await storage.channelConfigs.set("sentry", {
      credentials: { token: secret },
      settings: { shown: "in-clear" },
    });
    await storage.slackInstallations.set({ teamId, tokens: { botToken: secret } });
    const credentials = await storage.channelConfigs.getCredentials("sentry");
    const shown = [
      await storage.channelConfigs.get("sentry"),
      await storage.channelConfigs.list(),
      await storage.slackInstallations.get({ teamId }),
      await storage.slackInstallations.list(),
      await storage.audit.list(),
      credentials,
      await storage.slackInstallations.getTokens({ teamId }),
      await storage.health({ timeoutMs: 20_000 }),
      storage,
    ];
    for (const value of shown) {
      expect(inspect(value, { depth: 20, showHidden: true })).not.toContain(secret);
      expect(JSON.stringify(value) ?? "").not.toContain(secret);
      expect(String(value)).not.toContain(secret);
    }
    expect(credentials?.["token"]?.reveal()).toBe(secret);
    await storage.close();
    const everything = await backend.target.everythingStored();
    expect(everything).toContain("in-clear");
    expect(everything).not.toContain(secret);
    expect(everything).not.toContain(Buffer.from(secret).toString("base64").slice(0, 40));
    expect(everything).not.toContain(Buffer.from(secret).toString("hex").slice(0, 40));
  });

  test("are sealed anew each time, so that equal ones don't show", async () => {
    const storage = backend.open();
    await storage.channelConfigs.set("sentry", { credentials: { token: secret } });
    await storage.channelConfigs.set("vercel", { credentials: { token: secret } });
    await storage.close();
    const one = await storedColumns(backend, backend.orgId, sentry);
    const other = await storedColumns(backend, backend.orgId, { ...sentry, key: ["vercel"] });
    expect(one["credentials"]).not.toBe(other["credentials"]);
    expect(String(one["credentials"])).toMatch(/^v1\.[0-9a-f]{12}\.[A-Za-z0-9_-]+$/);
  });

  test("don't open where they were moved to", async () => {
    const storage = backend.open();
    const other = storage.forOrg(`${backend.orgId}-b`);
    const teamId = `T${backend.orgId}`;
    await storage.channelConfigs.set("sentry", { credentials: { token: secret } });
    await storage.channelConfigs.set("vercel", { credentials: { token: testSecret("its own") } });
    await other.channelConfigs.set("sentry", { credentials: { token: testSecret("its own") } });
    await storage.slackInstallations.set({ teamId, tokens: { token: testSecret("its own") } });
    await storage.close();

    const columns = await storedColumns(backend, backend.orgId, sentry);
    const slackRef: RecordRef = { table: "slack_installations", key: [`team:${teamId}`] };
    const slack = await storedColumns(backend, backend.orgId, slackRef);
    await plant(backend, backend.orgId, { ...sentry, key: ["vercel"] }, { ...columns });
    await plant(backend, other.orgId, sentry, { ...columns });
    await plant(backend, backend.orgId, slackRef, {
      ...slack,
      tokens: columns["credentials"] ?? null,
    });

    const again = backend.open();
    const moved = [
      again.channelConfigs.getCredentials("vercel"),
      again.forOrg(other.orgId).channelConfigs.getCredentials("sentry"),
      again.slackInstallations.getTokens({ teamId }),
    ];
    for (const error of await expectEach(moved, "DECRYPTION_FAILED")) {
      expect(inspect(error, { depth: 20 })).not.toContain(secret);
    }
    // Whoever moved them, or tried to read what was moved, is seen.
    for (const { orgId, attempts } of [
      { orgId: backend.orgId, attempts: 2 },
      { orgId: other.orgId, attempts: 1 },
    ]) {
      const { items } = await again.forOrg(orgId).audit.list({ action: "secret.read" });
      const said = items.map(({ outcome, details }) => ({ outcome, details }));
      const unreadable = { outcome: "failure", details: { why: "unreadable" } };
      expect(said).toEqual(Array.from({ length: attempts }, () => unreadable));
    }
    expect((await again.channelConfigs.getCredentials("sentry"))?.["token"]?.reveal()).toBe(secret);
    // What isn't secret of the record is still there to see.
    expect(await again.channelConfigs.get("vercel")).not.toBeNull();
  });

  test("that were changed anywhere don't open", async () => {
    const storage = backend.open();
    await storage.channelConfigs.set("sentry", { credentials: { token: secret } });
    await storage.close();
    const columns = await storedColumns(backend, backend.orgId, sentry);
    const envelope = String(columns["credentials"]);
    const [format, keyId, body = ""] = envelope.split(".");
    const flipped = (at: number) => {
      const bytes = Buffer.from(body, "base64url");
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      return `${format}.${keyId}.${bytes.toString("base64url")}`;
    };
    const size = Buffer.from(body, "base64url").length;
    const broken = [
      flipped(0),
      flipped(12),
      flipped(Math.floor(size / 2)),
      flipped(size - 1),
      flipped(size - 17),
      `${format}.${keyId}.${body.slice(0, -8)}`,
      `${format}.${keyId}.`,
      `v2.${keyId}.${body}`,
      `${format}.000000000000.${body}`,
      "",
      // Written in clear on purpose, so none that the run is searched for.
      "as it was given",
      "..",
    ];
    for (const credentials of broken) {
      await plant(backend, backend.orgId, sentry, { ...columns, credentials });
      const again = backend.open();
      await expectCode(again.channelConfigs.getCredentials("sentry"), "DECRYPTION_FAILED");
      await again.close();
    }
  });

  test("under another key are KEY_MISMATCH, and nothing is written", async () => {
    const first = backend.open();
    await first.channelConfigs.set("sentry", { credentials: { token: secret } });
    await first.close();
    const wrong = backend.open(backend.orgId, { encryptionKey: testKey() });
    await expectCode(wrong.channelConfigs.getCredentials("sentry"), "KEY_MISMATCH");
    await expectCode(
      wrong.channelConfigs.set("vercel", { credentials: { token: testSecret() } }),
      "KEY_MISMATCH",
    );
    const teamId = `T${backend.orgId}`;
    await expectCode(
      wrong.slackInstallations.set({ teamId, tokens: { t: testSecret() } }),
      "KEY_MISMATCH",
    );
    expect(await wrong.channelConfigs.get("vercel")).toBeNull();
    expect((await wrong.health({ timeoutMs: 20_000 })).encryption).toBe("mismatch");
    // What needs no key works.
    await wrong.memory.set("agent", "key", 1);
    await wrong.close();
    const right = backend.open();
    expect((await right.channelConfigs.getCredentials("sentry"))?.["token"]?.reveal()).toBe(secret);
    // That it was stored, and that it was read now.
    expect(await right.audit.verify()).toMatchObject({ size: 2, verdict: "unanchored" });
  });

  test("are KEY_MISMATCH under another key although the canary is lost, and nothing is written", async () => {
    const [old, fresh] = [testKey(), testKey()];
    const place = { orgId: backend.orgId, table: "channel_configs", record: "sentry" };
    const sealed = KeyRing.parse(old).seal(JSON.stringify({ token: secret }), {
      ...place,
      field: "credentials",
    });
    // Written below the keys, it leaves no canary.
    await plant(backend, backend.orgId, sentry, {
      settings: "{}",
      credential_names: '["token"]',
      credentials: sealed,
    });
    const before = await backend.target.everythingStored();
    const wrong = backend.open(backend.orgId, { encryptionKey: fresh });
    expect((await wrong.health({ timeoutMs: 20_000 })).encryption).toBe("mismatch");
    await expectCode(
      wrong.channelConfigs.set("vercel", { credentials: { token: testSecret() } }),
      "KEY_MISMATCH",
    );
    await expectCode(wrong.channelConfigs.getCredentials("sentry"), "KEY_MISMATCH");
    expect((await wrong.health({ timeoutMs: 20_000 })).encryption).toBe("mismatch");
    await wrong.close();
    if (backend.kind === "postgres") {
      expect(await backend.target.everythingStored()).toBe(before);
    } else {
      expect(await backend.target.everythingStored()).not.toContain(KeyRing.parse(fresh).keyIds[0]);
    }
    const right = backend.open(backend.orgId, { encryptionKey: old });
    expect((await right.channelConfigs.getCredentials("sentry"))?.["token"]?.reveal()).toBe(secret);
    await right.channelConfigs.set("vercel", { credentials: { token: testSecret() } });
    expect((await right.health({ timeoutMs: 20_000 })).encryption).toBe("ready");
  });

  test("open under a ring that lists the earlier key after the new one", async () => {
    const [old, fresh] = [testKey(), testKey()];
    const first = backend.open(backend.orgId, { encryptionKey: old });
    await first.channelConfigs.set("sentry", { credentials: { token: secret } });
    await first.close();
    const ring = backend.open(backend.orgId, { encryptionKey: `${fresh},${old}` });
    expect((await ring.channelConfigs.getCredentials("sentry"))?.["token"]?.reveal()).toBe(secret);
    await ring.channelConfigs.set("vercel", { credentials: { token: secret } });
    await ring.close();
    const [port, key] = [
      await storedColumns(backend, backend.orgId, { ...sentry, key: ["vercel"] }),
      KeyRing.parse(fresh).keyIds[0],
    ];
    expect(String(port["credentials"])).toContain(`.${key}.`);
  });

  test("with a key that isn't one are refused at once without showing it", () => {
    onTestFinished(() => void vi.unstubAllEnvs());
    const unusable = [
      "not-a-key-but-still-private",
      "short",
      "k1:abc",
      "ab".repeat(31),
      "",
      " , ",
      `${testKey()},garbage`,
    ];
    for (const encryptionKey of unusable) {
      const attempts = [
        () => backend.open(backend.orgId, { encryptionKey }),
        () => {
          vi.stubEnv("CODESPAR_ENCRYPTION_KEY", encryptionKey);
          const { encryptionKey: _, ...others } = backend.options();
          return createStorage(backend.orgId, others);
        },
      ];
      for (const [i, attempt] of attempts.entries()) {
        const error = thrownBy(attempt);
        expect(StorageError.is(error, "VALIDATION"), encryptionKey).toBe(true);
        const shown = inspect(error, { depth: 20 });
        expect(shown).toContain(
          i === 0 ? "encryptionKey is not" : "CODESPAR_ENCRYPTION_KEY is not",
        );
        expect(shown).toContain("openssl rand -base64 32");
        for (const key of encryptionKey.split(",").filter((part) => part.trim() !== ""))
          expect(String(error)).not.toContain(key);
      }
    }
  });

  test("are refused where they would be stored as [secret]", async () => {
    const storage = backend.open();
    const hidden = new Secret(secret);
    const values = [
      hidden,
      { deep: [1, { hidden }] },
      { toJSON: () => hidden },
      [{ toJSON: () => [hidden] }],
    ];
    for (const value of values) {
      const settings = { value };
      for (const call of [
        storage.memory.set("agent", "key", value),
        storage.memory.setMany("agent", [{ key: "key", value }]),
        storage.transaction(async (tx) => tx.memory.set("agent", "key", value)),
        storage.audit.append({ action: "test.done", details: settings as never }),
        storage.channelConfigs.set("sentry", { credentials: {}, settings: settings as never }),
      ]) {
        const error = await expectCode(call, "VALIDATION");
        expect(error.message).toMatch(
          /is a Secret, which can't be stored here: use channelConfigs/,
        );
        expect(inspect(error, { depth: 20 })).not.toContain(secret);
      }
    }
    expect(await storage.memory.has("agent", "key")).toBe(false);
    expect(await storage.audit.verify()).toMatchObject({ size: 0 });
  });

  test("aren't in the errors of calls that refuse them", async () => {
    const { channelConfigs, slackInstallations } = backend.open();
    const calls = [
      channelConfigs.set("sentry", { credentials: { token: `${secret}\ud800` } }),
      channelConfigs.set("sentry", { credentials: [secret] as never }),
      channelConfigs.set("sentry", secret as never),
      channelConfigs.set("Sentry", { credentials: { token: secret } }),
      slackInstallations.set({ tokens: { token: secret } }),
      slackInstallations.set({ teamId: "T", tokens: secret as never }),
      channelConfigs.set("sentry", { credentials: { token: secret.repeat(2000) } }),
    ];
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome.status === "rejected" && StorageError.is(outcome.reason)).toBe(true);
      expect(inspect(outcome, { depth: 20 })).not.toContain(secret);
    }
  });
});

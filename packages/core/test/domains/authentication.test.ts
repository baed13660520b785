import { afterEach, expect, test, vi } from "vitest";
import { newToken } from "../../src/crypto/api-token.ts";
import { systemActor } from "../../src/domain/actor.ts";
import type { Backend, StoredRecord } from "../../src/storage/backend.ts";
import { authenticateApiKey } from "../../src/storage/domains/authentication.ts";
import { storageHandle } from "../../src/storage/domains/handle.ts";
import { RecentReads } from "../../src/storage/domains/recent-reads.ts";

const { work } = vi.hoisted(() => ({ work: [] as string[] }));

vi.mock("node:crypto", async (original) => {
  const crypto = await original<typeof import("node:crypto")>();
  return {
    ...crypto,
    createHash: (algorithm: string) => {
      work.push(`hash ${algorithm}`);
      return crypto.createHash(algorithm);
    },
    timingSafeEqual: (a: Uint8Array, b: Uint8Array) => {
      work.push(`compare ${a.length} with ${b.length}`);
      return crypto.timingSafeEqual(a, b);
    },
  };
});

afterEach(() => {
  work.length = 0;
});

let now = Date.parse("2030-01-01T00:00:00Z");
const uuid = (n: number) => `0199a7c2-1b2f-7d3c-8e4f-5a6b7c8d9e0${n}`;

/** A handle on a store of keys that counts what is asked of it. */
function storageOf(records: Readonly<Record<string, StoredRecord>>) {
  const backend: Partial<Backend> = {
    kind: "file",
    findApiKey: async (orgId, id) => {
      work.push("read");
      return records[`${orgId}/${id}`] ?? null;
    },
  };
  return storageHandle(
    {
      backend: backend as Backend,
      maxValueBytes: 1,
      clock: () => now,
      assertOpen: () => undefined,
      release: async () => undefined,
    },
    "default",
    systemActor,
  );
}

function record(id: string, hash: string, more: object = {}): StoredRecord {
  const instant = new Date(now).toISOString();
  const columns = {
    name: "k",
    hash,
    scopes: '["read"]',
    created_by: "user:ada",
    valid_until: null,
    last_used_at: instant,
    revoked_at: null,
    ...more,
  };
  const meta = { version: "v", createdAt: instant, updatedAt: instant, expiresAt: null };
  return { key: [id], columns, ...meta };
}

test("whatever a token is, telling so takes one read, one hash and one comparison of the same length", async () => {
  const [good, expired, revoked] = [1, 2, 3].map((n) =>
    newToken({ orgId: "acme", keyId: uuid(n) }),
  );
  if (!good || !expired || !revoked) throw new Error("three");
  const past = new Date(now - 1).toISOString();
  const records = {
    [`acme/${uuid(1)}`]: record(uuid(1), good.hash),
    [`acme/${uuid(2)}`]: record(uuid(2), expired.hash, { valid_until: past }),
    [`acme/${uuid(3)}`]: record(uuid(3), revoked.hash, { revoked_at: past }),
  };
  const text = good.token.reveal();
  const tokens = {
    right: text,
    expired: expired.token.reveal(),
    revoked: revoked.token.reveal(),
    "wrong secret": text.slice(0, -43) + "A".repeat(43),
    "wrong key": text.replace(uuid(1), uuid(9)),
    "wrong organisation": newToken({ orgId: "nobody", keyId: uuid(1) }).token.reveal(),
  };
  for (const [what, token] of Object.entries(tokens)) {
    work.length = 0;
    // A handle of its own remembers nothing of the one before.
    const found = await authenticateApiKey(storageOf(records), token);
    expect([what, found !== null]).toEqual([what, what === "right"]);
    expect([what, ...work]).toEqual([what, "read", "hash sha256", "compare 32 with 32"]);
  }
});

test.each(["zz", "", "ab", "0".repeat(66), `${"0".repeat(63)}g`, `x${"0".repeat(64)}`])(
  "a stored hash that can't be one (%j) is no key's, and is compared like any other",
  async (hash) => {
    const { token } = newToken({ orgId: "acme", keyId: uuid(1) });
    work.length = 0;
    const storage = storageOf({ [`acme/${uuid(1)}`]: record(uuid(1), hash) });
    expect(await authenticateApiKey(storage, token.reveal())).toBeNull();
    expect(work).toEqual(["read", "hash sha256", "compare 32 with 32"]);
  },
);

test("what has no token's form isn't looked for", async () => {
  const storage = storageOf({});
  for (const text of ["", "csk_", "x".repeat(1e6)])
    expect(await authenticateApiKey(storage, text)).toBeNull();
  expect(work).toEqual([]);
});

test("what was read is remembered for its time and number, and no longer", async () => {
  const reads = new RecentReads<number>(500, 3);
  let count = 0;
  const read = async () => ++count;
  expect(await reads.get("a", 0, read)).toBe(1);
  expect(await reads.get("a", 499, read)).toBe(1);
  expect(await reads.get("a", 500, read)).toBe(2);
  expect(await reads.get("a", 499, read)).toBe(3);
  for (const name of ["b", "c", "d"]) await reads.get(name, 500, read);
  expect(await reads.get("d", 500, read)).toBe(6);
  expect(await reads.get("a", 500, read)).toBe(7);
  reads.forget("a");
  expect(await reads.get("a", 500, read)).toBe(8);
  const failing = async () => Promise.reject(new Error("down"));
  await expect(reads.get("e", 500, failing)).rejects.toThrow("down");
  expect(await reads.get("e", 500, read)).toBe(9);
  // Who asks while it is being read waits for the same.
  const [one, other] = await Promise.all([reads.get("f", 600, read), reads.get("f", 600, read)]);
  expect([one, other]).toEqual([10, 10]);
});

test("a key that another process revoked works for half a second at most", async () => {
  const { token, hash } = newToken({ orgId: "acme", keyId: uuid(1) });
  const records = { [`acme/${uuid(1)}`]: record(uuid(1), hash) };
  const storage = storageOf(records);
  const works = async () => (await authenticateApiKey(storage, token.reveal())) !== null;
  expect(await works()).toBe(true);
  records[`acme/${uuid(1)}`] = record(uuid(1), hash, { revoked_at: new Date(now).toISOString() });
  now += 499;
  expect(await works()).toBe(true);
  now += 1;
  expect(await works()).toBe(false);
});

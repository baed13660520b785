import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { isHashOf, newToken, readToken } from "../../src/crypto/api-token.ts";

const keyId = "0199a7c2-1b2f-7d3c-8e4f-5a6b7c8d9e0f";
const orgIds = fc
  .string({ unit: "binary", minLength: 1, maxLength: 128 })
  .filter((text) => text.isWellFormed() && Buffer.byteLength(text) <= 128);

const { decided } = vi.hoisted(() => ({
  decided: { as: undefined as boolean | undefined, calls: 0 },
}));

vi.mock("node:crypto", async (original) => {
  const crypto = await original<typeof import("node:crypto")>();
  return {
    ...crypto,
    timingSafeEqual: (a: Uint8Array, b: Uint8Array) => {
      decided.calls += 1;
      return decided.as ?? crypto.timingSafeEqual(a, b);
    },
  };
});

test("a token names its organisation and key, whatever the organisation is called", () => {
  fc.assert(
    fc.property(orgIds, (orgId) => {
      const text = newToken({ orgId, keyId }).token.reveal();
      expect(text).toMatch(/^[A-Za-z0-9_-]+$/);
      expect(readToken(text)).toEqual({ orgId, keyId });
    }),
  );
});

test("has 256 random bits", () => {
  const secrets = Array.from({ length: 200 }, () =>
    newToken({ orgId: "acme", keyId }).token.reveal().slice(-43),
  );
  expect(new Set(secrets).size).toBe(200);
  for (const secret of secrets) expect(Buffer.from(secret, "base64url")).toHaveLength(32);
});

test("no other text is read as one, and none breaks the reading", () => {
  const token = newToken({ orgId: "acme", keyId }).token.reveal();
  const texts = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string({ unit: fc.constantFrom(..."csk_-0aA="), maxLength: 300 }),
    fc
      .tuple(fc.nat(token.length - 1), fc.string({ maxLength: 2 }))
      .map(([at, text]) => token.slice(0, at) + text + token.slice(at + 1)),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const read = readToken(text);
      if (read === null) return;
      // Whatever is read as one has exactly one spelling of its organisation.
      const organisation = Buffer.from(read.orgId).toString("base64url");
      expect(text.startsWith(`csk_${organisation}_${read.keyId}_`)).toBe(true);
    }),
    { numRuns: 2000 },
  );
  for (const value of [undefined, null, 7, {}, [token]]) expect(readToken(value)).toBeNull();
  // Not UTF-8, and bits that base64url leaves over.
  expect(readToken(token.replace("YWNtZQ", "_w"))).toBeNull();
  expect(readToken(token.replace("YWNtZQ", "YWNtZR"))).toBeNull();
});

test("a hash is told to be a token's own by a comparison in constant time, also where there is none", () => {
  const { token, hash } = newToken({ orgId: "acme", keyId });
  const text = token.reveal();
  const other = newToken({ orgId: "acme", keyId }).token.reveal();
  const asked = () => [isHashOf(hash, text), isHashOf(hash, other), isHashOf(null, text)];
  decided.calls = 0;
  expect(asked()).toEqual([true, false, false]);
  expect(decided.calls).toBe(3);
  // Nothing else decides before or after it.
  decided.as = true;
  expect(asked()).toEqual([true, true, false]);
  decided.as = false;
  expect(asked()).toEqual([false, false, false]);
  decided.as = undefined;
});

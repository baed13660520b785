import { Secret } from "@codespar/core";
import { expect, it, vi } from "vitest";
import { isSecret } from "../../src/access/bearer.ts";

const { decided } = vi.hoisted(() => ({ decided: { as: undefined as boolean | undefined } }));

vi.mock("node:crypto", async (original) => {
  const crypto = await original<typeof import("node:crypto")>();
  const timingSafeEqual = (a: Uint8Array, b: Uint8Array) =>
    decided.as ?? crypto.timingSafeEqual(a, b);
  return { ...crypto, timingSafeEqual };
});

it("tells a secret by a comparison in constant time, which alone decides", () => {
  const secret = new Secret("the admin key");
  const asked = () =>
    ["the admin key", "the admin kez", "", "x".repeat(1000)].map((text) => isSecret(text, secret));
  expect(asked()).toEqual([true, false, false, false]);
  decided.as = true;
  expect(asked()).toEqual([true, true, true, true]);
  decided.as = false;
  expect(asked()).toEqual([false, false, false, false]);
  decided.as = undefined;
});

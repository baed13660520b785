import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { KeyRing, type SecretPlace } from "../../src/index.ts";
import { expectThrown } from "../support/expect-code.ts";

const ring = KeyRing.parse(KeyRing.generate());

const part = fc.oneof(
  fc.constantFrom("", "a", "b", "a\0b", '"', '","', "credentials", "tokens", "seed"),
  fc.string({ unit: "grapheme", maxLength: 8 }),
);
const places: fc.Arbitrary<SecretPlace> = fc.record({
  orgId: part,
  table: part,
  record: part,
  field: part,
});

describe("an envelope", () => {
  it("opens in its place, whatever the text, and in no other", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), places, places, (text, place, other) => {
        const envelope = ring.seal(text, place);
        expect(ring.open(envelope, place)).toBe(text);
        if (JSON.stringify(place) !== JSON.stringify(other))
          expectThrown(() => ring.open(envelope, other), "DECRYPTION_FAILED");
      }),
      { numRuns: 500 },
    );
  });

  it("opens nowhere once a part of its place is another one", () => {
    const place = { orgId: "acme", table: "channel_configs", record: "sentry", field: "token" };
    const envelope = ring.seal("text", place);
    for (const name of ["orgId", "table", "record", "field"] as const) {
      for (const other of ["", `${place[name]} `, place[name].toUpperCase()])
        expectThrown(() => ring.open(envelope, { ...place, [name]: other }), "DECRYPTION_FAILED");
    }
    // Parts that were joined would be the same text in both places.
    const shifted = { ...place, orgId: "acme\0channel_configs", table: "" };
    expectThrown(() => ring.open(envelope, shifted), "DECRYPTION_FAILED");
  });

  it("opens under no other key, and none that claims its id", () => {
    const place = { orgId: "acme", table: "t", record: "r", field: "f" };
    const other = KeyRing.parse(KeyRing.generate());
    const envelope = ring.seal("text", place);
    expectThrown(() => other.open(envelope, place), "DECRYPTION_FAILED");
    const claimed = envelope.replace(ring.activeKeyId, other.activeKeyId);
    expectThrown(() => other.open(claimed, place), "DECRYPTION_FAILED");
    const both = KeyRing.parse(`${KeyRing.generate()},${KeyRing.generate()}`);
    const [first = "", second = ""] = both.keyIds;
    const swapped = both.seal("text", place).replace(first, second);
    expectThrown(() => both.open(swapped, place), "DECRYPTION_FAILED");
  });
});

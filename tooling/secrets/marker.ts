import { randomBytes, randomInt } from "node:crypto";

/**
 * The digits that every secret of a run's tests holds, so that one search finds them all. Digits only: that way plain text, JSON and URLs are
 * written alike, and so are both cases of hex.
 */
export function marker(): string {
  const given = process.env["CODESPAR_TEST_MARKER"];
  if (given === undefined)
    throw new Error("no marker: run under vitest, whose global set-up makes one");
  return given;
}

/** Makes the marker of a run. */
export function newMarker(): string {
  return Array.from({ length: 20 }, () => randomInt(10)).join("");
}

/**
 * A secret for a test to store: it must not be found in anything that the run writes. The same label gives the same secret.
 *
 * @param label - what it begins with, to tell it from others
 */
export function testSecret(label = "secret"): string {
  return `${label}-${marker()}`;
}

/** An encryption key as `KeyRing.generate()` makes them, of which the same holds. */
export function testKey(): string {
  return Buffer.concat([Buffer.from(marker()), randomBytes(12)]).toString("base64");
}

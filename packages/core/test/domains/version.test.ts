import { expect, test } from "vitest";
import { newVersion } from "../../src/storage/domains/version.ts";

const versions = Array.from({ length: 5000 }, newVersion);

test("a version is a short text that an ETag can hold, and never comes twice", () => {
  for (const version of versions) expect(version).toMatch(/^[A-Za-z0-9_-]{20}$/);
  expect(new Set(versions).size).toBe(versions.length);
});

test("a version tells nothing of how many others there were: no part of it counts or stays", () => {
  for (let i = 0; i < 20; i += 1) {
    // Every letter in every place: a counter has fewer in its first places, and what belongs to the process has one.
    expect(new Set(versions.map((version) => version[i])).size).toBe(64);
    // The last place of a counter changes by as much each time.
    const steps = new Map<number, number>();
    for (const [n, version] of versions.entries()) {
      const step = (version.charCodeAt(i) - (versions[n - 1]?.charCodeAt(i) ?? 0) + 256) % 256;
      steps.set(step, (steps.get(step) ?? 0) + 1);
    }
    expect(Math.max(...steps.values())).toBeLessThan(versions.length / 10);
  }
});

import { readFile } from "node:fs/promises";
import { errorCodes } from "@codespar/core";
import { describe, expect, it } from "vitest";
import { exitCodeOf, exitCodes } from "../../src/exit-codes.ts";

describe("exit codes", () => {
  it("give every error code of the library a status", () => {
    expect(Object.keys(exitCodeOf).sort()).toEqual(Object.keys(errorCodes).sort());
  });

  it("differ from one another", () => {
    const values = Object.values(exitCodes);
    expect(new Set(values).size).toBe(values.length);
  });

  it("stand in the reference, each with the error codes that lead to it", async () => {
    const reference = await readFile(
      new URL("../../../../docs/reference/cli.md", import.meta.url),
      "utf8",
    );
    const documented = new Map(
      [...reference.matchAll(/^\| (\d+) \|.*\|(.*)\|$/gm)].map(([, status, codes]) => [
        Number(status),
        [...(codes ?? "").matchAll(/`([A-Z_]+)`/g)].map(([, code]) => code).sort(),
      ]),
    );
    for (const status of Object.values(exitCodes)) {
      const leading = Object.entries(exitCodeOf)
        .filter(([, of]) => of === status)
        .map(([code]) => code)
        .sort();
      expect([status, documented.get(status)]).toEqual([status, leading]);
    }
  });
});

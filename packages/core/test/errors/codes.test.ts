import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { errorCodes, PreconditionFailedError, StorageError } from "../../src/index.ts";

const row =
  /^\| `(?<code>[A-Z_]+)` \| (?<status>\d+) \| (?<retryable>yes|no) \| (?<summary>.+) \|$/gm;

test("the reference lists exactly the codes of the registry, with what it says of them", async () => {
  const reference = await readFile(
    new URL("../../../../docs/reference/errors.md", import.meta.url),
    "utf8",
  );
  const documented = [...reference.matchAll(row)].map(({ groups = {} }) => [
    groups["code"],
    {
      httpStatus: Number(groups["status"]),
      retryable: groups["retryable"] === "yes",
      summary: groups["summary"],
    },
  ]);
  expect(documented).toEqual(Object.entries(errorCodes));
});

test("an error carries what the registry says of its code", () => {
  const cause = new Error("underneath");
  for (const [code, { retryable, httpStatus, summary }] of Object.entries(errorCodes)) {
    const error = new StorageError(code as keyof typeof errorCodes, "what to do", { cause });
    expect(error).toMatchObject({
      code,
      retryable,
      cause,
      name: "StorageError",
      message: "what to do",
    });
    expect(httpStatus).toBeGreaterThanOrEqual(400);
    // In the reference's words: what happened, and what to do about it.
    expect(summary.split(/[.;] /).length).toBeGreaterThan(1);
  }
});

test("StorageError.is knows errors of another copy of the package, and nothing else", () => {
  const error = new PreconditionFailedError("memory", "v1");
  expect(StorageError.is(error)).toBe(true);
  expect(StorageError.is(error, "PRECONDITION_FAILED")).toBe(true);
  expect(StorageError.is(error, "CONFLICT")).toBe(false);
  const brand = Symbol.for("codespar.StorageError");
  const foreign = Object.defineProperty(
    Object.assign(new Error("x"), { code: "CONFLICT" }),
    brand,
    { value: true },
  );
  expect(StorageError.is(foreign, "CONFLICT")).toBe(true);
  for (const other of [
    null,
    undefined,
    "CONFLICT",
    {},
    new Error("x"),
    { code: "CONFLICT", name: "StorageError" },
  ]) {
    expect(StorageError.is(other)).toBe(false);
  }
});

import { describe, expect, test } from "vitest";
import { isServerError } from "../../src/storage/postgres/sql-state.ts";

const error = (properties: object) => Object.assign(new Error("x"), properties);

describe("an error", () => {
  test.each([
    [{ code: "23505", severity: "ERROR" }],
    [{ code: "57014", severity: "ERROR" }],
    [{ code: "CS001", severity: "ERREUR" }],
  ])("of the server undoes the transaction: %j", (properties) => {
    expect(isServerError(error(properties))).toBe(true);
  });

  test.each([
    // The server ends the session: it may have committed before it did. In Russian, FATAL is another word.
    [{ code: "57P01", severity: "FATAL" }],
    [{ code: "57P01", severity: "ВАЖНО" }],
    [{ code: "XX000", severity: "PANIC" }],
    // The operating system's codes may have five letters too.
    [{ code: "EPIPE", syscall: "write" }],
    [{ code: "ECONNRESET", syscall: "read" }],
    [{}],
  ])("of the connection leaves it open: %j", (properties) => {
    expect(isServerError(error(properties))).toBe(false);
  });
});

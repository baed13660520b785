import type { z } from "zod";
import { toInstant } from "../domain/instant.ts";
import { limits } from "../domain/limits.ts";
import { kindOf, textProblem } from "../domain/text.ts";
import { invalid, StorageError } from "../errors/storage-error.ts";
import type { Expectation } from "./backend.ts";
import type { OptionNames } from "./option-names.ts";
import type * as o from "./options.ts";

/** Checks an id, key or name. @throws StorageError `VALIDATION`, `LIMIT_EXCEEDED` */
export function checkText(value: unknown, what: string, maxBytes: number): asserts value is string {
  const problem = textProblem(value, maxBytes);
  if (problem !== null) throw new StorageError(problem.code, `${what} ${problem.message}.`);
}

/** Checks an agent id. */
export function checkAgentId(value: unknown): asserts value is string {
  checkText(value, "agentId", limits.idBytes);
}

/** Checks a memory key. */
export function checkKey(value: unknown): asserts value is string {
  checkText(value, "key", limits.keyBytes);
}

/** Parses an input by its schema. @throws StorageError `VALIDATION` or `LIMIT_EXCEEDED`, naming the first field that is wrong */
export function parse<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  what: string,
): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  if (issue === undefined) throw invalid(`${what} is not acceptable.`);
  const where = [what, ...issue.path.map(String)].join(".");
  const limit = issue.code === "custom" && issue.params?.["code"] === "LIMIT_EXCEEDED";
  throw new StorageError(limit ? "LIMIT_EXCEEDED" : "VALIDATION", `${where}: ${issue.message}.`);
}

/** Refuses an options argument that isn't an object. */
export function checkOptions(options: unknown): void {
  if (
    options === undefined ||
    (typeof options === "object" && options !== null && !Array.isArray(options))
  )
    return;
  throw invalid(`options must be an object, not ${kindOf(options)}.`);
}

/**
 * Refuses options that aren't an object, misspelt ones, those of other calls, and flags that aren't boolean: a precondition, a filter
 * or a requested audit entry must not silently count as none.
 */
export function checkOptionNames(options: unknown, names: OptionNames, what = "options"): void {
  checkOptions(options);
  for (const name in options as object | undefined) {
    const value = (options as Record<string, unknown>)[name];
    if (value === undefined) continue;
    if (!Object.hasOwn(names, name)) {
      const taken = Object.keys(names).join(", ");
      throw invalid(`${what}.${name} is not an option of this call, which takes ${taken}.`);
    }
    if (names[name] === "flag" && typeof value !== "boolean")
      throw invalid(`${name} must be a boolean, not ${kindOf(value)}.`);
  }
}

/** Preconditions as the backend's expectation. */
export function expectationOf(options: o.Preconditions | undefined): Expectation | undefined {
  if (options === undefined) return undefined;
  const { ifVersion, ifAbsent } = options;
  if (ifVersion === undefined) return ifAbsent === true ? { absent: true } : undefined;
  if (ifAbsent === true)
    throw invalid("ifVersion and ifAbsent exclude each other: give one of them.");
  const problem = textProblem(ifVersion, limits.idBytes);
  // A version of any other shape can't be one of ours, but it is a string that simply matches nothing.
  if (problem?.code === "VALIDATION") throw invalid(`ifVersion ${problem.message}.`);
  return { version: ifVersion };
}

/** The instant at which a memory entry expires, or `null` for never. */
export function expiryOf(options: o.Expiry | undefined, now: number): string | null {
  if (options?.ttlMs === undefined && options?.expiresAt === undefined) return null;
  if (options.ttlMs !== undefined && options.expiresAt !== undefined) {
    throw invalid("ttlMs and expiresAt exclude each other: give one of them.");
  }
  const at =
    options.ttlMs === undefined
      ? instantOf(options.expiresAt, "expiresAt")
      : now + checkTtl(options.ttlMs);
  const ttl = at - now;
  if (ttl < limits.ttlMinMs || ttl > limits.ttlMaxMs) {
    throw new StorageError(
      "LIMIT_EXCEEDED",
      `expiresAt must lie between 1 second and 10 years ahead, not ${ttl} ms.`,
    );
  }
  return new Date(at).toISOString();
}

function checkTtl(ttlMs: unknown): number {
  if (typeof ttlMs !== "number" || !Number.isInteger(ttlMs))
    throw invalid("ttlMs must be a whole number of milliseconds.");
  if (ttlMs >= limits.ttlMinMs && ttlMs <= limits.ttlMaxMs) return ttlMs;
  throw new StorageError(
    "LIMIT_EXCEEDED",
    `ttlMs must lie between ${limits.ttlMinMs} and ${limits.ttlMaxMs}, not ${ttlMs}.`,
  );
}

function instantOf(value: unknown, what: string): number {
  const text = toInstant(value);
  if (text === null)
    throw invalid(`${what} must be a Date or an ISO 8601 instant with a time zone.`);
  return Date.parse(text);
}

/** How many records a page holds. @throws StorageError `VALIDATION`, `LIMIT_EXCEEDED` */
export function pageLimit(limit: unknown): number {
  if (limit === undefined) return limits.pageDefault;
  if (typeof limit !== "number" || !Number.isInteger(limit) || limit < 1) {
    throw invalid(`limit must be a whole number from 1 to ${limits.pageMax}.`);
  }
  if (limit > limits.pageMax)
    throw new StorageError(
      "LIMIT_EXCEEDED",
      `limit must be at most ${limits.pageMax}, not ${limit}.`,
    );
  return limit;
}

/** Refuses too many items in one call, and the same key twice. */
export function checkBatch(keys: readonly unknown[], what: string): void {
  if (!Array.isArray(keys)) throw invalid(`${what} must be an array, not ${kindOf(keys)}.`);
  if (keys.length > limits.transactionOperations) {
    throw new StorageError(
      "LIMIT_EXCEEDED",
      `${what} must hold at most ${limits.transactionOperations} items, not ${keys.length}.`,
    );
  }
}

/** Holds what one commit does, its audit entries counted, against the limit of one transaction. @throws StorageError `LIMIT_EXCEEDED` */
export function checkOperations(count: number): void {
  if (count <= limits.transactionOperations) return;
  throw new StorageError(
    "LIMIT_EXCEEDED",
    `A call or transaction holds at most ${limits.transactionOperations} operations, audit entries included: split it.`,
  );
}

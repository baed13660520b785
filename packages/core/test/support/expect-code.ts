import { expect } from "vitest";
import { type ErrorCode, StorageError } from "../../src/index.ts";

/**
 * Expects the call to reject with this code and to say what to do; resolves to the error for further questions. It takes the
 * promise itself, so a call that throws instead of rejecting fails the test.
 */
export async function expectCode(
  call: PromiseLike<unknown>,
  code: ErrorCode,
): Promise<StorageError> {
  const outcome = await call.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if (!("error" in outcome)) {
    return expect.fail(
      `expected ${code}, but the call resolved to ${JSON.stringify(outcome.value)}`,
    );
  }
  return expectError(outcome.error, code);
}

/** As {@link expectCode} for several calls that were made at once. */
export async function expectEach(
  calls: readonly PromiseLike<unknown>[],
  code: ErrorCode,
): Promise<StorageError[]> {
  return Promise.all(calls.map((call) => expectCode(call, code)));
}

/** As {@link expectCode} for calls that throw at once. */
export function expectThrown(call: () => unknown, code: ErrorCode): StorageError {
  let returned: unknown;
  try {
    returned = call();
  } catch (error) {
    return expectError(error, code);
  }
  return expect.fail(`expected ${code}, but the call returned ${typeof returned}`);
}

function expectError(error: unknown, code: ErrorCode): StorageError {
  if (!StorageError.is(error)) throw error;
  if (error.code !== code) throw new Error(`expected ${code}, got ${error.code}`, { cause: error });
  expect(error.message.length).toBeGreaterThan(20);
  return error;
}

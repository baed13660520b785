import type { StorageError } from "@codespar/core";
import type { FastifyInstance } from "fastify";

/** What tells whether a storage may be used. */
export interface Check {
  readonly hasPassed: boolean;
  /** @returns why the storage can't be used yet, or `null` @throws StorageError when waiting won't help */
  run(): Promise<StorageError | null>;
}

/**
 * Answers with what is wrong with the storage until it has passed its check, before keys are looked up in it. What is open to everyone, and
 * the page for people where nobody names a key, need nothing of it and show how it is.
 */
export function holdUntilChecked(app: FastifyInstance, check: Check): void {
  app.addHook("onRequest", async ({ routeOptions, headers }) => {
    if (check.hasPassed) return;
    const { access } = routeOptions.config;
    if (access === "public" || (access === "local" && headers.authorization === undefined)) return;
    const trouble = await check.run();
    if (trouble !== null) throw trouble;
  });
}

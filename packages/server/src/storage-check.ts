import { type Storage, StorageError } from "@codespar/core";
import type { Logger } from "pino";
import { deferred } from "./deferred.ts";

/** Between two tries to reach a storage that can't be used yet, in milliseconds. */
const retryMs = 1_000;

/** What another try can't cure, besides whatever is wrong with files. */
const fatalCodes = new Set<string>([
  "STORAGE_LOCKED",
  "CORRUPTION",
  "KEY_MISMATCH",
  "MOVE_UNFINISHED",
  "SCHEMA_DRIFT",
  "VALIDATION",
  "UNSUPPORTED",
]);

/**
 * Whether a storage is the one that this server is meant for: reachable, moved completely, sealed with the key that is set. Nothing that
 * needs the storage is served, and nothing is written, before the answer is yes.
 */
export class StorageCheck {
  /** Resolves once the storage may be used; rejects with a StorageError once waiting won't help. Neither where the check is stopped before. */
  readonly settled: Promise<void>;
  readonly #storage: Storage;
  readonly #logger: Logger;
  readonly #outcome = deferred();
  #hasPassed = false;
  #isStopped = false;
  #pending: Promise<StorageError | null> | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(storage: Storage, logger: Logger) {
    this.#storage = storage;
    this.#logger = logger;
    this.settled = this.#outcome.promise;
  }

  get hasPassed(): boolean {
    return this.#hasPassed;
  }

  /**
   * Looks, unless the check has passed; those who ask at the same time share a look. A storage that can't be used yet is looked at again by
   * itself.
   *
   * @returns why the storage can't be used yet, or `null`
   * @throws StorageError when waiting won't help
   */
  run(): Promise<StorageError | null> {
    if (this.#hasPassed) return Promise.resolve(null);
    this.#pending ??= this.#look().finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  /** Looks no more. To be called before the storage is closed. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#retry);
  }

  async #look(): Promise<StorageError | null> {
    clearTimeout(this.#retry);
    try {
      const trouble = await troubleWith(this.#storage, this.#logger);
      if (trouble !== null) {
        this.#lookAgain();
        return trouble;
      }
    } catch (error) {
      if (!this.#isStopped) this.#outcome.reject(error);
      throw error;
    }
    this.#hasPassed = true;
    if (!this.#isStopped) this.#outcome.resolve();
    return null;
  }

  #lookAgain(): void {
    if (this.#isStopped) return;
    const again = () => void this.run().catch(() => undefined);
    this.#retry = setTimeout(again, retryMs).unref();
  }
}

/** Why the storage can't be used yet, or `null`. @throws StorageError when waiting won't help */
async function troubleWith(storage: Storage, logger: Logger): Promise<StorageError | null> {
  try {
    await storage.audit.list({ limit: 1 });
  } catch (error) {
    if (!StorageError.is(error) || storage.backend === "file" || fatalCodes.has(error.code))
      throw error;
    return error;
  }
  const { ok, code, reason, encryption, warnings } = await storage.health({ timeoutMs: 30_000 });
  if (!ok && code !== undefined) {
    const error = new StorageError(code, reason ?? "The storage can't be used.");
    if (fatalCodes.has(code)) throw error;
    // It was reached a moment ago, and its key is still unknown.
    if (storage.backend === "postgres") return error;
  }
  if (encryption === "mismatch") {
    throw new StorageError(
      "KEY_MISMATCH",
      storage.backend === "file"
        ? "CODESPAR_ENCRYPTION_KEY, or without it keys/encryption.key, is not the key that seals what is stored, or is damaged. Restore that key: codespar secrets status names it."
        : "CODESPAR_ENCRYPTION_KEY is not the key that seals what is stored. Set that key: codespar secrets status names it.",
    );
  }
  if (warnings.length > 0) logger.warn({ warnings }, "the storage can be used, with warnings");
  return null;
}

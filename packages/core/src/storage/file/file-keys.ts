import type { KeyRing } from "../../crypto/key-ring.ts";
import { type Commit, ExpectationFailed } from "../backend.ts";
import type { KeyState, SealedCount } from "../secrets-port.ts";
import { isSealed, keyIdsOf, sealedTables } from "../stored-keys.ts";
import { unavailable } from "./failures.ts";
import type { FileStore } from "./file-store.ts";
import {
  type KeyStoreOptions,
  keepCanaryOf,
  keepFirstKey,
  openKeyRing,
  putNewKeyFirst,
  readKeyState,
} from "./key-store.ts";

/** The ring that an open folder's secrets are sealed with, and its rotation. */
export class FileKeys {
  readonly #store: FileStore;
  readonly #configured: string | undefined;
  #ring: Promise<KeyRing> | null = null;
  /** Ids of the folder's own keys that a rotation of this process put behind a new one. */
  readonly #replaced = new Set<string>();

  constructor(store: FileStore, configured: string | undefined) {
    this.#store = store;
    this.#configured = configured;
  }

  ring(): Promise<KeyRing> {
    this.#ring ??= this.#inFolder(openKeyRing).catch((error: unknown) => {
      this.#ring = null;
      throw error;
    });
    return this.#ring;
  }

  state(): Promise<KeyState> {
    return this.#inFolder(readKeyState);
  }

  async counts(): Promise<readonly SealedCount[]> {
    const counts = new Map<string, SealedCount>();
    for (const orgId of await this.#store.organisations()) {
      const { tables } = await this.#store.open(orgId);
      for (const table of sealedTables) {
        for (const { columns } of tables[table].records()) {
          for (const keyId of keyIdsOf(table, columns)) {
            const name = `${table} ${keyId}`;
            counts.set(name, { table, keyId, count: (counts.get(name)?.count ?? 0) + 1 });
          }
        }
      }
    }
    return [...counts.values()];
  }

  /** See `SecretsPort.beginRotation`. */
  async begin(newKey: boolean): Promise<KeyRing> {
    this.#store.requireWritable();
    const before = await this.ring();
    if (this.#configured !== undefined) return before;
    const ring = await this.#inFolder(newKey ? putNewKeyFirst : openKeyRing);
    this.#ring = Promise.resolve(ring);
    for (const id of before.keyIds) this.#replaced.add(id);
    this.#replaced.delete(ring.activeKeyId);
    // What was handed over before this moment is stored before it is looked for; what comes after is refused.
    await this.#store.settled();
    return ring;
  }

  async sealCanary(): Promise<void> {
    this.#store.requireWritable();
    const ring = await this.ring();
    await this.#inFolder((options) => keepCanaryOf(options, ring));
  }

  async dropEarlier(): Promise<void> {
    this.#store.requireWritable();
    if (this.#configured === undefined) await this.#inFolder(keepFirstKey);
  }

  /**
   * Holds back what was sealed before a rotation began and comes to be stored after: the key that opens it is about to go. Whoever sent it
   * seals it anew.
   *
   * @throws ExpectationFailed
   */
  refuseReplaced(commit: Commit): void {
    if (this.#replaced.size === 0) return;
    for (const write of commit.writes) {
      if (write.kind !== "put" || !isSealed(write.table)) continue;
      if (keyIdsOf(write.table, write.columns).some((id) => this.#replaced.has(id)))
        throw new ExpectationFailed({ table: write.table, key: write.key }, null);
    }
  }

  async #inFolder<Result>(work: (options: KeyStoreOptions) => Promise<Result>): Promise<Result> {
    try {
      await this.#store.ready();
      return await work(this.#store.keyOptions(this.#configured));
    } catch (error) {
      throw unavailable("The encryption key can't be read", error);
    }
  }
}

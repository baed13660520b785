import { randomUUID } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { createStorage } from "@codespar/core";
import { createStorage as createUnstorage } from "unstorage";
import fsDriver from "unstorage/drivers/fs";
import { type MemoryStore, oursOf } from "../harness/memory-store.ts";

/** CodeSpar's own files. */
export function openOurs(directory: string): MemoryStore {
  return oursOf(createStorage("bench", { directory }));
}

/** unstorage on files. It syncs nothing: what it acknowledged, a power loss may take back. */
export function openUnstorage(base: string): MemoryStore {
  const store = createUnstorage({ driver: fsDriver({ base }) });
  return {
    set: (orgId, agentId, key, value) => store.setItem(`${orgId}:${agentId}:${key}`, value),
    get: (orgId, agentId, key) => store.getItem(`${orgId}:${agentId}:${key}`),
    [Symbol.asyncDispose]: () => store.dispose(),
  };
}

/** The least that a read costs which gives every caller a copy of its own: no checks, no expiry, nothing on a disk. */
export function openMap(): MemoryStore {
  const texts = new Map<string, string>();
  return {
    set: async (orgId, agentId, key, value) =>
      texts.set(`${orgId}\0${agentId}\0${key}`, JSON.stringify(value)),
    get: async (orgId, agentId, key) =>
      JSON.parse(texts.get(`${orgId}\0${agentId}\0${key}`) ?? "null"),
    [Symbol.asyncDispose]: async () => texts.clear(),
  };
}

/** The least that a durable write costs: one line appended, one fdatasync, one caller. */
export class BareLog implements AsyncDisposable {
  readonly #file: FileHandle;

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  /** Opens a new file in a folder. */
  static async open(folder: string): Promise<BareLog> {
    return new BareLog(await open(join(folder, "bare.jsonl"), "ax"));
  }

  /** Appends what a store must note of a write: key, value, version and instant. */
  async append(orgId: string, agentId: string, key: string, value: unknown): Promise<void> {
    const record = { orgId, agentId, key, value, version: randomUUID(), at: new Date() };
    await this.#file.write(`${JSON.stringify(record)}\n`);
    await this.#file.datasync();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file.close();
  }
}

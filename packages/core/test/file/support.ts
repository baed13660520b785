import { onTestFinished } from "vitest";
import { removeScratch, scratchFolder } from "../../../../tooling/secrets.ts";
import { prepareEntry } from "../../src/audit/entry.ts";
import type { CallContext, Commit, Put, StoredRecord } from "../../src/storage/backend.ts";
import { FileBackend, type FileBackendOptions } from "../../src/storage/file/file-backend.ts";

/** A folder of the test's own, removed at its end. */
export async function temporaryFolder(): Promise<string> {
  const folder = await scratchFolder("file");
  onTestFinished(() => removeScratch(folder));
  return folder;
}

/** A backend on a folder, closed at the test's end. */
export function openBackend(
  directory: string,
  options: Partial<FileBackendOptions> = {},
): FileBackend {
  const backend = new FileBackend({
    directory,
    readOnly: false,
    clock: Date.now,
    lockWaitMs: 200,
    ...options,
  });
  onTestFinished(() => backend.close().catch(() => undefined));
  return backend;
}

export const now = (nowMs = Date.now()): CallContext => ({ now: nowMs });

let versions = 0;

/** A write of one memory value. */
export function put(agentId: string, key: string, value: unknown, more: Partial<Put> = {}): Put {
  versions++;
  return {
    kind: "put",
    table: "agent_memory",
    key: [agentId, key],
    columns: { value: JSON.stringify(value) },
    version: `v${versions}`,
    expiresAt: null,
    ...more,
  };
}

/** An audit entry with one erasable part. */
export function entry(id: string, action = "test.done", details: unknown = { id }) {
  return prepareEntry(
    { id, actor: { type: "user", id: "u1" }, action, outcome: "success" },
    { details: JSON.stringify(details) },
  );
}

export function commitOf(parts: Partial<Commit>): Commit {
  return { checks: [], writes: [], appends: [], ...parts };
}

/** Stores values one commit after the other. */
export async function store(
  backend: FileBackend,
  orgId: string,
  values: Record<string, unknown>,
): Promise<void> {
  for (const [key, value] of Object.entries(values)) {
    await backend.commit(orgId, commitOf({ writes: [put("a", key, value)] }), now());
  }
}

/** The value of one memory record, or `undefined`. */
export async function storedValue(
  backend: FileBackend,
  orgId: string,
  key: string,
): Promise<unknown> {
  const [record] = await backend.read(orgId, [{ table: "agent_memory", key: ["a", key] }], now());
  return record === null || record === undefined ? undefined : parsed(record);
}

export function parsed(record: StoredRecord): unknown {
  return JSON.parse(String(record.columns["value"]));
}

import { StorageError } from "../../errors/storage-error.ts";
import type { Backend, CallContext } from "../backend.ts";
import type { SealedCount } from "../secrets-port.ts";
import { keyIdOf } from "../stored-keys.ts";

/** Which keys seal what is stored. */
export interface SecretsStatus {
  /** Whether keys are configured, or one is kept beside the files; `null` while there is none. */
  readonly source: "configured" | "folder" | null;
  /** Id of the key that seals; `null` while there is none. */
  readonly activeKey: string | null;
  /** Id of the key that sealed the canary, by which a wrong key is told at start; `null` while none is kept. */
  readonly canaryKey: string | null;
  /** Every key that is set or has sealed something, the active one first. */
  readonly keys: readonly SealingKey[];
  /** Records, in all organisations. */
  readonly records: number;
  /** Of these, those sealed under another key than the active one. */
  readonly remaining: number;
}

/** A key, by its id. */
export interface SealingKey {
  readonly id: string;
  readonly active: boolean;
  /** Whether it is among the keys that are set; what a missing one sealed doesn't open. */
  readonly available: boolean;
  /** How many records it has sealed. */
  readonly records: number;
}

/** As `DeploymentSecrets.status`. */
export async function secretsStatus(backend: Backend): Promise<SecretsStatus> {
  const { ring, canary, source } = await backend.keyState();
  const counts = countsByKey(await backend.sealedCounts());
  const activeKey = ring?.activeKeyId ?? null;
  const set = ring?.keyIds ?? [];
  const ids = [...set, ...[...counts.keys()].filter((id) => !set.includes(id)).sort()];
  const keys = ids.map((id) => ({
    id,
    active: id === activeKey,
    available: set.includes(id),
    records: counts.get(id) ?? 0,
  }));
  const records = keys.reduce((sum, key) => sum + key.records, 0);
  const remaining = records - (counts.get(activeKey ?? "") ?? 0);
  const canaryKey = canary === null ? null : keyIdOf(canary);
  return { source, activeKey, canaryKey, keys, records, remaining };
}

/** How many records each key has sealed. */
export function countsByKey(counts: readonly SealedCount[]): ReadonlyMap<string, number> {
  const byKey = new Map<string, number>();
  for (const { keyId, count } of counts) byKey.set(keyId, (byKey.get(keyId) ?? 0) + count);
  return byKey;
}

/** Ends work between two of its steps once the signal has fired. @throws StorageError `ABORTED` */
export function throwIfInterrupted({ signal }: CallContext, done: string): void {
  if (signal?.aborted)
    throw new StorageError("ABORTED", `Interrupted; ${done}`, { cause: signal.reason });
}

import type { Backend, StoredRecord } from "../backend.ts";
import { RecentReads } from "./recent-reads.ts";

/** Milliseconds for which a process may rely on what it read of a key, or of none: half of what a revocation may take. */
const recentMs = 500;
/** Keys, and names of none, remembered at most. */
const maxRemembered = 10_000;
/** Milliseconds between two notes of a key's use. */
export const useNotedMs = 60_000;

/** What this process remembers of a backend's API keys. */
interface KeyMemory {
  readonly keys: RecentReads<StoredRecord | null>;
  readonly any: RecentReads<boolean>;
  /** Notes of use, so that a storage that can't be written is asked no more often. */
  readonly notes: RecentReads<void>;
  /** Once there is a key, callers need one, whatever becomes of it. */
  hasKeys: boolean;
}

const memories = new WeakMap<Backend, KeyMemory>();

/** The memory that all handles of a backend share. */
export function memoryOf(backend: Backend): KeyMemory {
  const known = memories.get(backend);
  if (known !== undefined) return known;
  const memory: KeyMemory = {
    keys: new RecentReads(recentMs, maxRemembered),
    any: new RecentReads(recentMs, 1),
    notes: new RecentReads(useNotedMs, maxRemembered),
    hasKeys: false,
  };
  memories.set(backend, memory);
  return memory;
}

/** What a key is called in the memory: control characters can't occur in ids. */
export function nameOf(orgId: string, id: string): string {
  return `${orgId}\0${id}`;
}

/** Any value that `JSON.stringify` can represent. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue | undefined };

/** What every mutable record carries. Instants are ISO 8601 UTC strings with milliseconds. */
export interface RecordMeta {
  /** Opaque; changes with every write and is never reused for a key, not even after a delete. */
  readonly version: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** What is known of a memory entry besides its value. */
export interface MemoryEntryMeta extends RecordMeta {
  readonly key: string;
  /** When the entry stops being returned, or `null` for never. */
  readonly expiresAt: string | null;
}

/** One entry of an agent's memory. */
export interface MemoryEntry<Value = unknown> extends MemoryEntryMeta {
  readonly value: Value;
}

import { Buffer } from "node:buffer";
import { limits } from "../../domain/limits.ts";
import type { MemoryEntry } from "../../domain/memory.ts";
import { invalid, PreconditionFailedError, StorageError } from "../../errors/storage-error.ts";
import type { Put, RecordRef, StoredRecord, Write } from "../backend.ts";
import { optionNames } from "../option-names.ts";
import type { MemorySetItem } from "../options.ts";
import { nouns } from "../tables.ts";
import {
  checkAgentId,
  checkBatch,
  checkKey,
  checkOptionNames,
  expectationOf,
  expiryOf,
} from "../validation.ts";
import { encodeValue } from "../values.ts";
import { automaticEntry } from "./audit-entries.ts";
import { type HandleContext, metaOf } from "./context.ts";
import { newVersion } from "./version.ts";

/** Names an entry. @throws StorageError `VALIDATION`, `LIMIT_EXCEEDED` */
export function memoryRef(agentId: string, key: string): RecordRef {
  checkAgentId(agentId);
  checkKey(key);
  return { table: "agent_memory", key: [agentId, key] };
}

/** One validated put. */
export function memoryPut(
  context: HandleContext,
  now: number,
  agentId: string,
  item: MemorySetItem,
): Put {
  if (typeof item !== "object" || item === null)
    throw invalid("Each item must be an object with a key and a value.");
  return {
    kind: "put",
    ...memoryRef(agentId, item.key),
    columns: { value: encodeValue(item.value, "value", context.maxValueBytes) },
    version: newVersion(),
    expiresAt: expiryOf(item, now),
    expect: expectationOf(item),
  };
}

/** The audit entry of a recorded write: it names the key, never the value. */
export function memoryEntryFor(context: HandleContext, write: Write) {
  const [agentId = "", key = ""] = write.key;
  const action = write.kind === "put" ? "memory.set" : "memory.deleted";
  return automaticEntry(context.actor, {
    action,
    target: { type: "memory", id: key },
    agent: { id: agentId },
  });
}

/** The entry that a record holds. */
export function memoryEntry<Value>(record: StoredRecord): MemoryEntry<Value> {
  const { key, expiresAt } = record;
  return { key: key[1] ?? "", value: memoryValue<Value>(record), ...metaOf(record), expiresAt };
}

/** The value that a record holds, parsed anew for each caller. */
export function memoryValue<Value>(record: StoredRecord): Value {
  return JSON.parse(String(record.columns["value"])) as Value;
}

/** The error of a precondition that doesn't hold. */
export function unmet(ref: RecordRef, currentVersion: string | null): PreconditionFailedError {
  return new PreconditionFailedError(
    `${nouns[ref.table]} ${ref.key.map((part) => JSON.stringify(part)).join(" ")}`,
    currentVersion,
  );
}

/** Refuses a key that stands twice in one call: which of the two would win? */
export function checkDistinct(keys: readonly unknown[]): void {
  if (new Set(keys).size !== keys.length)
    throw invalid("The same key stands twice in one call: give each key once.");
}

/** Checks the shape of `memory.setMany`'s items; their values are the puts' to check. */
export function checkItems(items: readonly MemorySetItem[]): void {
  checkBatch(items, "items");
  for (const item of items) {
    // Whatever isn't an object has no names; its put says so.
    if (typeof item === "object" && item !== null)
      checkOptionNames(item, optionNames.memoryItem, "item");
  }
  checkDistinct(items.map((item) => item?.key));
}

/** Holds the values of one call against the limit of one transaction. @throws StorageError `LIMIT_EXCEEDED` */
export function checkTotal(puts: readonly Put[]): void {
  let bytes = 0;
  if (puts.length > 1)
    for (const put of puts) bytes += Buffer.byteLength(String(put.columns["value"]));
  if (bytes > limits.transactionBytes) {
    throw new StorageError(
      "LIMIT_EXCEEDED",
      `One call writes at most ${limits.transactionBytes} bytes of values, not ${bytes}: split it.`,
    );
  }
}

import { limits } from "../../domain/limits.ts";
import { StorageError } from "../../errors/storage-error.ts";
import { type CallContext, ExpectationFailed, type Write, type WriteResult } from "../backend.ts";
import { type OptionNames, optionNames } from "../option-names.ts";
import type * as o from "../options.ts";
import type { Memory, MemorySetResult } from "../storage.ts";
import { checkAgentId, checkBatch, checkOperations, expectationOf } from "../validation.ts";
import { beginCall, type HandleContext } from "./context.ts";
import { checkPrefix, tableListing } from "./listing.ts";
import {
  checkDistinct,
  checkItems,
  checkTotal,
  memoryEntry,
  memoryEntryFor,
  memoryPut,
  memoryRef,
  memoryValue,
  unmet,
} from "./memory-records.ts";
import { commitOn } from "./trail-signal.ts";

/** Memory on a handle. Its writes are single commits rather than transactions: they need to read nothing first. */
export function memoryDomain(context: HandleContext): Memory {
  return { ...memoryReads(context), ...memoryWrites(context) };
}

function memoryReads(
  context: HandleContext,
): Pick<Memory, "get" | "getEntry" | "has" | "getMany" | "list"> {
  // Not async itself: each promise in between costs as much as the lookup in a file store's memory.
  const read = (agentId: string, keys: readonly string[], options: o.CallOptions | undefined) => {
    const refs = keys.map((key) => memoryRef(agentId, key));
    return context.backend.read(context.orgId, refs, beginCall(context, options));
  };

  return {
    get: async <Value>(agentId: string, key: string, options?: o.CallOptions) => {
      const [record = null] = await read(agentId, [key], options);
      return record === null ? null : memoryValue<Value>(record);
    },
    getEntry: async <Value>(agentId: string, key: string, options?: o.CallOptions) => {
      const [record = null] = await read(agentId, [key], options);
      return record === null ? null : memoryEntry<Value>(record);
    },
    has: async (agentId, key, options) => {
      const [record = null] = await read(agentId, [key], options);
      return record !== null;
    },
    getMany: async <Value>(agentId: string, keys: readonly string[], options?: o.CallOptions) => {
      checkBatch(keys, "keys");
      const records = await read(agentId, keys, options);
      return records.map((record) => (record === null ? null : memoryEntry<Value>(record)));
    },
    list: <Value>(agentId: string, options?: o.PrefixListOptions) =>
      tableListing(
        context,
        options,
        () => {
          checkAgentId(agentId);
          checkPrefix(options?.prefix, limits.keyBytes);
          const show = memoryEntry<Value>;
          return { table: "agent_memory", within: [agentId], prefix: options?.prefix, show };
        },
        optionNames.prefixList,
      ),
  };
}

function memoryWrites(
  context: HandleContext,
): Pick<Memory, "set" | "setMany" | "delete" | "deleteMany"> {
  const setMany = async (
    agentId: string,
    items: readonly o.MemorySetItem[],
    options: o.MemoryManyOptions | undefined,
    names: OptionNames,
  ) => {
    const call = beginCall(context, options, names);
    const puts = items.map((item) => memoryPut(context, call.now, agentId, item));
    checkTotal(puts);
    const results = await commitWrites(context, call, puts, options?.record);
    return puts.map((put, i): MemorySetResult => {
      const result = results[i];
      if (result?.kind !== "put")
        throw new TypeError("the backend answered a put with something else");
      const { created, createdAt, updatedAt } = result;
      const { key, version, expiresAt } = put;
      return { key: key[1] ?? "", version, created, createdAt, updatedAt, expiresAt };
    });
  };
  const deleteMany = async (
    agentId: string,
    keys: readonly string[],
    options: o.MemoryDeleteOptions | undefined,
    names: OptionNames,
  ) => {
    const call = beginCall(context, options, names);
    const expect = expectationOf(options);
    const deletes = keys.map(
      (key): Write => ({ kind: "delete", ...memoryRef(agentId, key), expect }),
    );
    if (options?.record === true) return deleteRecorded(context, call, deletes);
    const results = await commitWrites(context, call, deletes, false);
    return results.map((result) => result.kind === "delete" && result.existed);
  };

  return {
    set: async (agentId, key, value, options) => {
      const item = { ...options, key, value };
      const [result] = await setMany(agentId, [item], options, optionNames.memorySet);
      if (result === undefined) throw new TypeError("the backend answered nothing");
      return result;
    },
    setMany: async (agentId, items, options) => {
      checkItems(items);
      return setMany(agentId, items, options, optionNames.memoryMany);
    },
    delete: async (agentId, key, options) =>
      (await deleteMany(agentId, [key], options, optionNames.memoryDelete))[0] ?? false,
    deleteMany: async (agentId, keys, options) => {
      checkBatch(keys, "keys");
      checkDistinct(keys);
      return deleteMany(agentId, keys, options, optionNames.memoryMany);
    },
  };
}

async function commitWrites(
  context: HandleContext,
  call: CallContext,
  writes: readonly Write[],
  record: boolean | undefined,
): Promise<readonly WriteResult[]> {
  if (writes.length === 0) return [];
  const appends = record === true ? writes.map((write) => memoryEntryFor(context, write)) : [];
  checkOperations(writes.length + appends.length);
  try {
    const result = await commitOn(context, { checks: [], writes, appends }, call);
    return result.writes;
  } catch (error) {
    throw error instanceof ExpectationFailed ? unmet(error.ref, error.currentVersion) : error;
  }
}

/** A recorded delete of what isn't there leaves no entry: so it has to know, and to hold, what is there. */
async function deleteRecorded(
  context: HandleContext,
  call: CallContext,
  deletes: readonly Write[],
): Promise<boolean[]> {
  for (let attempt = 1; ; attempt += 1) {
    const found = await context.backend.read(context.orgId, deletes, call);
    const existing = deletes.flatMap((write, i): Write[] => {
      const record = found[i] ?? null;
      if (
        write.expect !== undefined &&
        "version" in write.expect &&
        write.expect.version !== record?.version
      ) {
        throw unmet(write, record?.version ?? null);
      }
      return record === null
        ? []
        : [
            {
              kind: "delete",
              table: write.table,
              key: write.key,
              expect: { version: record.version },
            },
          ];
    });
    checkOperations(deletes.length + existing.length);
    try {
      if (existing.length > 0) await commitWrites(context, call, existing, true);
      return found.map((record) => record !== null);
    } catch (error) {
      if (!StorageError.is(error, "PRECONDITION_FAILED") || attempt === limits.transactionAttempts)
        throw error;
    }
  }
}

import type { RecordRef } from "../backend.ts";
import { type OptionNames, optionNames } from "../option-names.ts";
import type * as o from "../options.ts";
import type { Transaction } from "../storage.ts";
import { checkBatch, checkOptionNames } from "../validation.ts";
import {
  checkDistinct,
  checkItems,
  memoryEntry,
  memoryEntryFor,
  memoryPut,
  memoryRef,
  memoryValue,
} from "./memory-records.ts";
import { assertPreconditions } from "./record-verbs.ts";
import type { UnitOfWork } from "./unit-of-work.ts";

/** Memory inside a transaction: reads through the buffer, and writes into it. */
export function memoryInTransaction(unit: UnitOfWork): Transaction["memory"] {
  const { context } = unit;

  const setMany = async (
    agentId: string,
    items: readonly o.MemorySetItem[],
    options: o.MemoryManyOptions | undefined,
    names: OptionNames = optionNames.memoryMany,
  ) => {
    checkOptionNames(options, names);
    const puts = items.map((item) => memoryPut(context, unit.call.now, agentId, item));
    const conditional = items.flatMap((item, i) =>
      puts[i]?.expect === undefined ? [] : [{ item, ref: memoryRef(agentId, item.key) }],
    );
    const before = await unit.readMany(conditional.map(({ ref }) => ref));
    for (const [i, { item, ref }] of conditional.entries())
      assertPreconditions(ref, before[i] ?? null, item);
    return puts.map((put) => {
      const version = unit.put({ table: put.table, key: put.key }, put.columns, {
        expiresAt: put.expiresAt,
      });
      if (options?.record === true) unit.append(memoryEntryFor(context, put));
      return { version };
    });
  };

  const deleteMany = async (
    refs: readonly RecordRef[],
    options: o.MemoryDeleteOptions | undefined,
    names: OptionNames = optionNames.memoryMany,
  ) => {
    checkOptionNames(options, names);
    const before = await unit.readMany(refs);
    for (const [i, ref] of refs.entries()) assertPreconditions(ref, before[i] ?? null, options);
    return refs.map((ref, i) => {
      if (!before[i]) return false;
      unit.delete(ref);
      if (options?.record === true)
        unit.append(memoryEntryFor(context, { kind: "delete", ...ref }));
      return true;
    });
  };

  return {
    get: async <Value>(agentId: string, key: string, options?: o.CallOptions) => {
      checkOptionNames(options, optionNames.call);
      const record = await unit.read(memoryRef(agentId, key));
      return record === null ? null : memoryValue<Value>(record);
    },
    getEntry: async <Value>(agentId: string, key: string, options?: o.CallOptions) => {
      checkOptionNames(options, optionNames.call);
      const record = await unit.read(memoryRef(agentId, key));
      return record === null ? null : memoryEntry<Value>(record);
    },
    has: async (agentId, key, options) => {
      checkOptionNames(options, optionNames.call);
      return (await unit.read(memoryRef(agentId, key))) !== null;
    },
    getMany: async <Value>(agentId: string, keys: readonly string[], options?: o.CallOptions) => {
      checkOptionNames(options, optionNames.call);
      checkBatch(keys, "keys");
      const records = await unit.readMany(keys.map((key) => memoryRef(agentId, key)));
      return records.map((record) => (record === null ? null : memoryEntry<Value>(record)));
    },
    set: async (agentId, key, value, options) => {
      const item = { ...options, key, value };
      const [result] = await setMany(agentId, [item], options, optionNames.memorySet);
      return { version: result?.version ?? "" };
    },
    setMany: async (agentId, items, options) => {
      checkItems(items);
      return setMany(agentId, items, options);
    },
    delete: async (agentId, key, options) =>
      (await deleteMany([memoryRef(agentId, key)], options, optionNames.memoryDelete))[0] ?? false,
    deleteMany: async (agentId, keys, options) => {
      checkBatch(keys, "keys");
      checkDistinct(keys);
      return deleteMany(
        keys.map((key) => memoryRef(agentId, key)),
        options,
      );
    },
  };
}

import type { Actor } from "../../domain/actor.ts";
import type { RecordMeta } from "../../domain/memory.ts";
import { kindOf } from "../../domain/text.ts";
import { invalid } from "../../errors/storage-error.ts";
import { throwIfAborted } from "../abort.ts";
import type { ApiKeys } from "../api-keys-contract.ts";
import type { Backend, CallContext, StoredRecord } from "../backend.ts";
import { type OptionNames, optionNames } from "../option-names.ts";
import type { CallOptions } from "../options.ts";
import type { Storage } from "../storage.ts";
import { checkOptionNames } from "../validation.ts";

/** What every domain of one handle shares. */
export interface HandleContext {
  readonly backend: Backend;
  readonly orgId: string;
  readonly actor: Actor;
  /** Largest memory value as JSON text, in UTF-8 bytes. */
  readonly maxValueBytes: number;
  readonly clock: () => number;
  /** @throws StorageError `UNSUPPORTED` once the handle is closed */
  assertOpen(): void;
}

const contexts = new WeakMap<ApiKeys, HandleContext>();

/** Lets {@link contextOf} find the context of the handle whose domain this is. @returns the domain */
export function withContext(domain: ApiKeys, context: HandleContext): ApiKeys {
  contexts.set(domain, context);
  return domain;
}

/**
 * The context of a handle, for functions that take one, also of a handle that was wrapped.
 *
 * @throws StorageError `VALIDATION` for what is none of this library's
 */
export function contextOf(storage: Pick<Storage, "apiKeys">): HandleContext {
  const { apiKeys } = Object(storage) as Pick<Storage, "apiKeys">;
  const context = contexts.get(apiKeys);
  if (context === undefined) throw invalid("storage must be a handle that createStorage gave.");
  return context;
}

/** Begins a call: refuses options that aren't its own, a closed handle and a fired signal before anything is sent. */
export function beginCall(
  context: HandleContext,
  options: CallOptions | undefined,
  names: OptionNames = optionNames.call,
): CallContext {
  checkOptionNames(options, names);
  context.assertOpen();
  const signal = options?.signal;
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalid(`signal must be an AbortSignal, not ${kindOf(signal)}.`);
  }
  throwIfAborted(signal);
  return { signal, now: context.clock() };
}

/** The metadata that every record shows. */
export function metaOf(record: StoredRecord): RecordMeta {
  return { version: record.version, createdAt: record.createdAt, updatedAt: record.updatedAt };
}

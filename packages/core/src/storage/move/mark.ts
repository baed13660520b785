import { StorageError } from "../../errors/storage-error.ts";
import { type Backend, type CallContext, ExpectationFailed, type RecordRef } from "../backend.ts";
import { newVersion } from "../domains/version.ts";

/** The organisation whose presence says that a storage is the target of a move that isn't finished. */
export const unfinishedMark = "codespar/unfinished-move";

const mark: RecordRef = { table: "agent_memory", key: ["move", "unfinished"] };

/** The organisations that hold anything, the mark left out and told separately. */
export async function organisationsOf(
  backend: Backend,
  context: CallContext,
): Promise<{ readonly all: readonly string[]; readonly marked: boolean }> {
  const ids = await backend.organisations(context);
  return { all: ids.filter((id) => id !== unfinishedMark), marked: ids.includes(unfinishedMark) };
}

/** Since when a storage is the target of a move that isn't finished; `null` when it isn't one. */
export async function unfinishedSince(
  backend: Backend,
  context: CallContext,
): Promise<string | null> {
  const [record] = await backend.read(unfinishedMark, [mark], context);
  if (!record) return null;
  return (JSON.parse(String(record.columns["value"])) as { readonly startedAt: string }).startedAt;
}

/** What is wrong with such a storage, and the remedy. */
export function unfinishedTarget(startedAt: string): StorageError {
  return new StorageError(
    "MOVE_UNFINISHED",
    `This storage is the target of a move that began at ${startedAt} and isn't finished, so it lacks a part of the data. ` +
      "Run the same move again, which continues it: codespar move --from SOURCE --to TARGET. Or go on with the source.",
  );
}

/** Marks an empty target. @throws StorageError `CONFLICT` when another move has just done so */
export async function markUnfinished(target: Backend, context: CallContext): Promise<void> {
  const columns = { value: JSON.stringify({ startedAt: new Date(context.now).toISOString() }) };
  const put = { ...mark, kind: "put", columns, version: newVersion(), expiresAt: null } as const;
  const writes = [{ ...put, expect: { absent: true } } as const];
  try {
    await target.commit(unfinishedMark, { checks: [], writes, appends: [] }, context);
  } catch (error) {
    if (!(error instanceof ExpectationFailed)) throw error;
    throw new StorageError(
      "CONFLICT",
      "Another move into this target has just begun. Wait for it to end.",
      {
        cause: error,
      },
    );
  }
}

/** Takes the mark away: the target is complete. */
export async function unmark(target: Backend, context: CallContext): Promise<void> {
  const writes = [{ ...mark, kind: "delete" } as const];
  await target.commit(unfinishedMark, { checks: [], writes, appends: [] }, context);
  // The move is done; what is left of the empty organisation does no harm.
  await target.removeEmpty?.(unfinishedMark, context).catch(() => undefined);
}

import { invalid } from "../../errors/storage-error.ts";
import { contextOf } from "../domains/context.ts";
import type { Storage } from "../storage.ts";
import { folderAnchor } from "./folder-anchor.ts";
import { Keeper, type KeeperEvent, type KeeperStatus } from "./keeper.ts";
import { urlAnchor } from "./url-anchor.ts";

/** A place outside of the storage that keeps checkpoints. */
export type AnchorTarget =
  /** A folder: a file per checkpoint, written durably and never overwritten. */
  | { readonly directory: string }
  /** An address to which each checkpoint is posted as `text/plain`; 2xx says that it is kept. */
  | { readonly url: string };

/** How {@link keepCheckpoints} works. */
export interface KeepCheckpointsOptions {
  /** Signs once so many entries aren't signed: 1 to a million. Default 1,000. */
  readonly everyEntries?: number;
  /** Signs so many seconds after an entry at the latest, up to a day. Default 60. */
  readonly everySeconds?: number;
  /** Default: none, so checkpoints are only kept beside the trail. */
  readonly anchors?: readonly AnchorTarget[];
  /** Told of what happens, for a log. Nothing that fails here reaches a caller of the storage. */
  readonly onEvent?: (event: KeeperEvent) => void;
}

/** Checkpoints being kept. */
export interface CheckpointKeeper {
  /** How the work stands, without a look at the storage. */
  status(): KeeperStatus;
  /** Finishes what is being signed, and ends. To be awaited before the storage is closed. */
  close(): Promise<void>;
}

/**
 * Signs a checkpoint of every organisation's trail that this process appends to, some entries or seconds after an append, and hands
 * it to anchors outside of the storage. At its start, and then every `everySeconds`, it takes up what other processes have left unsigned or
 * unanchored. The trail names the handle's actor where it gets its first signing key.
 *
 * An anchor that is out of reach stops neither appends nor signing: it gets the newest checkpoint of each trail when it is back. Without
 * an encryption key on PostgreSQL nothing is signed, which is told once.
 *
 * @param storage - a handle of `createStorage`, whichever organisation it is scoped to; it must stay open
 * @throws StorageError `VALIDATION` for options that aren't acceptable
 *
 * @example
 * ```ts
 * import { keepCheckpoints } from "@codespar/core";
 *
 * const keeper = keepCheckpoints(storage, { anchors: [{ directory: "/mnt/elsewhere" }] });
 * // … when the process stops:
 * await keeper.close();
 * ```
 */
export function keepCheckpoints(
  storage: Storage,
  options: KeepCheckpointsOptions = {},
): CheckpointKeeper {
  const {
    everyEntries = 1000,
    everySeconds = 60,
    anchors = [],
    onEvent = () => undefined,
  } = options;
  if (!Number.isInteger(everyEntries) || everyEntries < 1 || everyEntries > 1_000_000)
    throw invalid("everyEntries must be a whole number from 1 to 1,000,000.");
  if (!(everySeconds > 0 && everySeconds <= 86_400))
    throw invalid("everySeconds must be a number above 0, at most 86,400.");
  return new Keeper(contextOf(storage), {
    everyEntries,
    everyMs: everySeconds * 1000,
    anchors: anchors.map((target) =>
      "directory" in target ? folderAnchor(target.directory) : urlAnchor(target.url),
    ),
    onEvent,
  });
}

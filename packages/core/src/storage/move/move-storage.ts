import { existsSync } from "node:fs";
import { kindOf } from "../../domain/text.ts";
import { invalid, StorageError } from "../../errors/storage-error.ts";
import type { Backend } from "../backend.ts";
import {
  configuredKey,
  openBackend,
  type StorageTarget,
  storageTarget,
  targetKey,
} from "../create-storage.ts";
import type { StorageOptions } from "../options.ts";
import { liesIn } from "../real-path.ts";
import { type MoveOptions, type MoveReport, move } from "./move.ts";

/** One end of a move: a database or a folder. */
export type MoveEnd = Pick<StorageOptions, "databaseUrl" | "directory">;

/** What moves where. */
export interface MoveStorageOptions extends MoveOptions {
  readonly from: MoveEnd;
  readonly to: MoveEnd;
  /** Keys of the target: see `CODESPAR_ENCRYPTION_KEY`, its default. Secrets move sealed, so it must hold the source's key. */
  readonly encryptionKey?: string;
  /** Milliseconds since the epoch; for tests. Default `Date.now`. */
  readonly clock?: () => number;
}

/**
 * Copies everything from one storage into another, empty one, from files to PostgreSQL or back, and compares what was read back.
 * Versions, instants, ciphertext and the trail's bytes and hashes stay what they are. The source is only read, and must not be written
 * to meanwhile: a folder is locked. A move that breaks off leaves the target marked as unfinished, and the same call continues it.
 *
 * @throws StorageError `VALIDATION` when both are one storage, or one folder is inside of the other; `NOT_FOUND` when the source's folder doesn't exist; `ALREADY_EXISTS` when the target isn't empty;
 * `ENCRYPTION_KEY_MISSING` or `KEY_MISMATCH` when the target couldn't open the source's secrets; `CORRUPTION` when what was read back
 * differs; `CONFLICT`, `STORAGE_LOCKED`, `SCHEMA_PENDING`, `UNAVAILABLE`, `ABORTED`
 */
export async function moveStorage(options: MoveStorageOptions): Promise<MoveReport> {
  const { from, to, dryRun = false, encryptionKey, clock = Date.now } = options;
  if (typeof dryRun !== "boolean")
    throw invalid(`dryRun must be a boolean, not ${kindOf(dryRun)}.`);
  const [source, target] = [endOf(from, "from"), endOf(to, "to")];
  checkApart(source, target);
  if (source.backend === "file" && !existsSync(source.directory)) {
    throw new StorageError(
      "NOT_FOUND",
      `There is no folder ${source.directory} to move from. Check the path.`,
    );
  }
  const common = { ...(encryptionKey !== undefined && { encryptionKey }), clock };
  // A dry run writes nothing, so it needs no lock either: a server may be running on the files.
  const open = (end: MoveEnd): Backend =>
    openBackend({
      ...end,
      ...common,
      ...(dryRun && end.directory !== undefined && { readOnly: true }),
    });
  // Opening happens with the first use, so there is nothing to close should the second one refuse its options.
  const [fromBackend, toBackend] = [open(from), open(to)];
  try {
    return await move(fromBackend, toBackend, { clock, keys: configuredKey(options) }, options);
  } finally {
    await Promise.all([fromBackend.close(), toBackend.close()]);
  }
}

/** @throws StorageError `VALIDATION` for one storage, or a folder inside of the other: the source is only read */
function checkApart(source: StorageTarget, target: StorageTarget): void {
  if (targetKey(source) === targetKey(target))
    throw invalid("from and to are the same storage: name two different ones.");
  if (source.backend !== "file" || target.backend !== "file") return;
  const [from, to] = [source.directory, target.directory];
  if (liesIn(from, to) || liesIn(to, from))
    throw invalid(`One of ${from} and ${to} is inside of the other. Name two that are apart.`);
}

function endOf(end: MoveEnd, name: string) {
  if (end?.databaseUrl === undefined && end?.directory === undefined) {
    throw invalid(`${name} must name a databaseUrl or a directory.`);
  }
  return storageTarget(end);
}

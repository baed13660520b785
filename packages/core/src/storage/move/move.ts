import { StorageError } from "../../errors/storage-error.ts";
import type { Backend, CallContext } from "../backend.ts";
import { auditPages, recordPages } from "../pages.ts";
import { type Content, ContentDigest, holdings, type MovableTable } from "./content.ts";
import { checkKeys } from "./keys.ts";
import { markUnfinished, organisationsOf, unfinishedMark, unmark } from "./mark.ts";
import { type Transfer, transfer } from "./transfer.ts";

/** How a move goes. */
export interface MoveOptions {
  /** Only says what would move, after the same checks. Default `false`. */
  readonly dryRun?: boolean;
  /** Called after every page: entries done of those to do. */
  readonly onProgress?: (progress: MoveProgress) => void;
  /** Ends the move between two pages: `ABORTED`. The target then stays marked as unfinished. */
  readonly signal?: AbortSignal;
}

/** How far a move is. `copying` is storing and reading back; `verifying` reads a database again that others could have written to. */
export interface MoveProgress {
  readonly phase: "copying" | "verifying";
  readonly done: number;
  readonly total: number;
}

/** What moved for one organisation and table. */
export interface MovedTable {
  readonly orgId: string;
  readonly table: MovableTable;
  readonly count: number;
  /** SHA-256 over the content, the same at the source and read back from the target; `null` in a dry run. */
  readonly digest: string | null;
}

/** What a move did, or would do. */
export interface MoveReport {
  readonly dryRun: boolean;
  /** Whether it continued an earlier, unfinished move. */
  readonly resumed: boolean;
  readonly count: number;
  readonly tables: readonly MovedTable[];
}

/**
 * Copies everything that `from` holds into an empty `to` and reads it back. Records keep their versions, instants and ciphertext, the
 * trail its bytes, sequence numbers, hashes and parts. Nothing may write to either meanwhile. A move that ends before
 * it is through leaves the target marked; the same move again continues it. The source is only read.
 *
 * @param environment - `clock`: milliseconds since the epoch; `keys`: what the target seals with, where keys are set
 * @throws StorageError `ALREADY_EXISTS` when the target holds anything; `ENCRYPTION_KEY_MISSING` or `KEY_MISMATCH` when the
 * target couldn't open the source's secrets; `CORRUPTION` when what was read back differs; `ABORTED`; and what reading and
 * writing throw
 */
export async function move(
  from: Backend,
  to: Backend,
  environment: { readonly clock: () => number; readonly keys: string | undefined },
  options: MoveOptions = {},
): Promise<MoveReport> {
  const { dryRun = false, signal } = options;
  const { clock, keys } = environment;
  // One instant for all reads: what expires meanwhile must not be there on one side only.
  const context: CallContext = { signal, now: clock() };
  const { organisations, resumed } = await checkEnds(from, to, context);
  const held = await holdings(from, organisations, context);
  const secrets = await checkKeys(from, held, keys, context);
  const total = held.reduce((sum, { count }) => sum + count, 0);
  const report = (tables: readonly MovedTable[]) => ({ dryRun, resumed, count: total, tables });
  if (dryRun) return report(held.map((holding) => ({ ...holding, digest: null })));

  if (!resumed) await markUnfinished(to, context);
  try {
    // From its first secret on, the target knows which keys belong to it.
    if (secrets) await to.keyRing();
    const counter = counting(total, options.onProgress);
    const ends: Transfer = { from, to, context, clock, onPage: counter("copying") };
    const tables: MovedTable[] = [];
    for (const holding of held) tables.push({ ...holding, ...(await transfer(ends, holding)) });
    // Files are locked, so what was read of them is still true.
    if (from.kind !== "file") {
      const onPage = counter("verifying");
      for (const table of tables) await checkUnchanged({ ...ends, onPage }, table);
    }
    await checkNothingElse(to, tables, context);
    await unmark(to, context);
    return report(tables);
  } catch (error) {
    throw unfinished(error);
  }
}

async function checkEnds(from: Backend, to: Backend, context: CallContext) {
  const organisations = await organisationsOf(from, context);
  if (organisations.marked) {
    throw new StorageError(
      "MOVE_UNFINISHED",
      "The source is itself the target of a move that wasn't finished. Finish that move first, by running it again.",
    );
  }
  const target = await organisationsOf(to, context);
  if (target.all.length > 0 && !target.marked) {
    const named = target.all.slice(0, 3).map((id) => `"${id}"`);
    throw new StorageError(
      "ALREADY_EXISTS",
      `The target isn't empty: it holds organisation ${named.join(", ")}${target.all.length > 3 ? " and more" : ""}. Move into a new folder or database.`,
    );
  }
  return { organisations: organisations.all, resumed: target.marked };
}

type OnPage = (entries: number) => void;

function counting(total: number, onProgress: MoveOptions["onProgress"]) {
  const done = { copying: 0, verifying: 0 };
  return (phase: MoveProgress["phase"]): OnPage =>
    (entries) => {
      done[phase] += entries;
      onProgress?.({ phase, done: done[phase], total });
    };
}

/** Reads a table of the source again: what changed since it was copied is missing at the target. */
async function checkUnchanged(
  { from, to, context, clock, onPage }: Transfer,
  { orgId, table, count, digest }: MovedTable,
): Promise<void> {
  const source = await contentOf(from, orgId, table, context, onPage);
  if (source.count === count && source.digest === digest) return;
  // What expired since the move began may be reclaimed already: compare what is left of both ends now.
  const later = { ...context, now: clock() };
  const [here, there] = await Promise.all([
    contentOf(from, orgId, table, later),
    contentOf(to, orgId, table, later),
  ]);
  if (here.count === there.count && here.digest === there.digest) return;
  throw new StorageError(
    "CORRUPTION",
    `The source changed while it was moved (${table} of organisation "${orgId}"). Stop whatever writes to it, and move again into a new, empty target.`,
  );
}

async function contentOf(
  backend: Backend,
  orgId: string,
  table: MovableTable,
  context: CallContext,
  onPage: OnPage = () => undefined,
): Promise<Content> {
  const digest = new ContentDigest();
  if (table === "audit_log") {
    for await (const page of auditPages(backend, orgId, context)) {
      digest.addAudit(page);
      onPage(page.length);
    }
  } else {
    for await (const page of recordPages(backend, orgId, table, context)) {
      digest.addRecords(table, page);
      onPage(page.length);
    }
  }
  return digest.result();
}

/** Every entry of the source is at the target by now; the target must hold nothing besides. */
async function checkNothingElse(
  to: Backend,
  moved: readonly MovedTable[],
  context: CallContext,
): Promise<void> {
  const { all } = await organisationsOf(to, context);
  const expected = new Map(moved.map(({ orgId, table, count }) => [`${table}/${orgId}`, count]));
  const extra = (await holdings(to, all, context)).find(
    ({ orgId, table, count }) => count > (expected.get(`${table}/${orgId}`) ?? 0),
  );
  if (extra === undefined) return;
  throw new StorageError(
    "CORRUPTION",
    `The target holds more than the source (${extra.table} of organisation "${extra.orgId}"). Stop whatever writes to either, and move again into a new, empty target.`,
  );
}

/** Tells with every failure in what state it leaves the target. */
function unfinished(error: unknown): unknown {
  if (!StorageError.is(error) || error.code === "CORRUPTION") return error;
  return new StorageError(
    error.code,
    `${error.message} The move isn't finished: the source is unchanged, and the target is marked (organisation "${unfinishedMark}"). Run the same move again to continue it.`,
    { cause: error },
  );
}

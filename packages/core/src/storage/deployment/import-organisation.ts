import { createHash } from "node:crypto";
import { invalid, StorageError } from "../../errors/storage-error.ts";
import {
  type AuditRow,
  type Backend,
  type CallContext,
  type StoredRecord,
  UniqueViolation,
} from "../backend.ts";
import { type MovableTable, stages } from "../move/content.ts";
import type { TableName } from "../tables.ts";
import { type Members, recordOf, rowOf } from "./archive.ts";
import { ArchiveCheck } from "./archive-check.ts";
import { type Line, linesOf } from "./archive-lines.ts";
import { throwIfInterrupted } from "./secrets.ts";

/** What an import took over. */
export interface ImportReport {
  readonly orgId: string;
  readonly tables: Readonly<Partial<Record<MovableTable, number>>>;
  readonly rows: number;
  /** Of the archive, as its last line has it. */
  readonly sha256: string;
}

type Read = () => AsyncIterable<string | Uint8Array>;

/**
 * What can be in the way of an import besides the archive, a Slack workspace of somebody else's, comes first; keys last, so that none works in a part
 * of an organisation.
 */
const first = new Set<MovableTable>(["slack_installations"]);
const last = new Set<MovableTable>(["api_keys"]);
const inOrder = [
  first,
  ...stages.map((stage) => new Set([...stage].filter((t) => !first.has(t) && !last.has(t)))),
  last,
];

/** What is stored in one step at most. */
const step = { rows: 500, bytes: 4 * 1024 * 1024 };

/** As `Organisations.import`, into an organisation that holds nothing. */
export async function importArchive(
  backend: Backend,
  orgId: string,
  read: Read,
  context: CallContext,
): Promise<ImportReport> {
  const { closing, keyIds, steps } = await checkArchive(orgId, read, context);
  if (keyIds.size > 0) await checkKeys(backend, keyIds);
  for (const stage of inOrder) {
    if (!steps.some(({ table }) => stage.has(table))) continue;
    for await (const batch of batches(read, steps, stage)) {
      throwIfInterrupted(
        context,
        "a part of the organisation is there. Erase it, then import again.",
      );
      await store(backend, orgId, batch, context);
    }
  }
  const { hash, size } = await backend.auditHead(orgId, context);
  if (size !== closing.trail.size || hash !== closing.trail.head) {
    throw new StorageError(
      "ALREADY_EXISTS",
      `Something else was written to organisation "${orgId}" while it was imported. Erase it, then import again.`,
    );
  }
  const rows = Object.values(closing.counts).reduce((sum, count) => sum + count, 0);
  return { orgId, tables: closing.counts, rows, sha256: closing.sha256 };
}

/** Lines of one table that are stored in one step. */
interface Step {
  readonly table: MovableTable;
  readonly lines: number;
  readonly bytes: number;
  /** SHA-256 of the lines: what is read later is stored only if it is still what was checked. */
  readonly sha256: string;
}

/** Sums up a step's lines. */
class StepSum {
  lines = 0;
  bytes = 0;
  readonly #sum = createHash("sha256");

  add({ bytes }: Line): void {
    this.#sum.update(bytes).update("\n");
    this.lines += 1;
    this.bytes += bytes.length;
  }

  /** Whether these are a step's lines, or the first of them. */
  mayBe({ lines, bytes, sha256 }: Step): boolean {
    if (this.bytes > bytes || this.lines < lines) return this.bytes <= bytes;
    return this.#sum.digest("hex") === sha256;
  }

  stepOf(table: MovableTable): Step {
    return { table, lines: this.lines, bytes: this.bytes, sha256: this.#sum.digest("hex") };
  }
}

/**
 * Reads all of an archive, and writes nothing: see {@link ArchiveCheck}. In memory are, besides, some 200 bytes per step.
 *
 * @throws StorageError `VALIDATION` unless it is whole, of this organisation, and what can be stored
 */
async function checkArchive(orgId: string, read: Read, context: CallContext) {
  const check = new ArchiveCheck(orgId);
  const steps: Step[] = [];
  let sum = new StepSum();
  let present: MovableTable | null = null;
  for await (const line of linesOf(read())) {
    throwIfInterrupted(context, "nothing was written.");
    const table = check.take(line);
    const isFull = sum.lines === step.rows || sum.bytes > step.bytes;
    if (present !== null && (isFull || table !== present)) {
      steps.push(sum.stepOf(present));
      sum = new StepSum();
    }
    present = table;
    if (table !== null) sum.add(line);
  }
  return { closing: check.closing(), keyIds: check.keyIds, steps };
}

/**
 * Makes sure, before anything is written, that the archive's secrets open here. Asked of the keys that are set: a ring to seal with would be made
 * where there is none, or leave its canary, and be in the way of the right one.
 *
 * @throws StorageError `ENCRYPTION_KEY_MISSING`, `KEY_MISMATCH`
 */
async function checkKeys(backend: Backend, keyIds: ReadonlySet<string>): Promise<void> {
  const { ring } = await backend.keyState();
  const missing = [...keyIds].filter((id) => !ring?.keyIds.includes(id));
  const sealed = `The archive's secrets are sealed with the key(s) ${missing.sort().join(", ")}`;
  if (ring === null) {
    throw new StorageError(
      "ENCRYPTION_KEY_MISSING",
      `${sealed}, and no key is set here. Set CODESPAR_ENCRYPTION_KEY to the key of where it was made (a folder without one has it in keys/encryption.key), and import again.`,
    );
  }
  if (missing.length > 0) {
    throw new StorageError(
      "KEY_MISMATCH",
      `${sealed}, which are not among those set here. List them after the one that is set, and import again: CODESPAR_ENCRYPTION_KEY=PRESENT,ARCHIVED`,
    );
  }
  // What is stored already must be of this ring too.
  await backend.keyRing("seal");
}

type Batch =
  | { readonly table: TableName; readonly records: readonly StoredRecord[] }
  | { readonly table: "audit_log"; readonly rows: readonly AuditRow[] };

async function store(
  backend: Backend,
  orgId: string,
  batch: Batch,
  context: CallContext,
): Promise<void> {
  try {
    if (batch.table === "audit_log") await backend.importAudit(orgId, batch.rows, context);
    else await backend.importRecords(orgId, batch.table, batch.records, context);
  } catch (error) {
    if (!(error instanceof UniqueViolation)) throw error;
    throw new StorageError(
      "ALREADY_EXISTS",
      `A Slack workspace of organisation "${orgId}" is installed by another organisation here. Remove it there, erase what was imported, if anything was, then import again.`,
      { cause: error },
    );
  }
}

/**
 * The archive's content once more, step by step, as far as it is of some tables.
 *
 * @throws StorageError `VALIDATION` when it isn't what was checked any more
 */
async function* batches(
  read: Read,
  steps: readonly Step[],
  wanted: ReadonlySet<MovableTable>,
): AsyncGenerator<Batch, void> {
  const rest = steps.slice(0, steps.findLastIndex(({ table }) => wanted.has(table)) + 1);
  let held: string[] = [];
  let sum = new StepSum();
  for await (const line of linesOf(read())) {
    const [present] = rest;
    if (present === undefined) return;
    if (line.number === 1) continue;
    sum.add(line);
    if (!sum.mayBe(present)) break;
    if (wanted.has(present.table)) held.push(line.text);
    if (sum.lines < present.lines) continue;
    if (held.length > 0) yield batchOf(present.table, held);
    held = [];
    sum = new StepSum();
    rest.shift();
  }
  if (rest.length === 0) return;
  throw invalid(
    "The archive was changed while it was imported. What was stored of it before is there: erase the organisation, then import again.",
  );
}

function batchOf(table: MovableTable, lines: readonly string[]): Batch {
  const all = lines.map((line) => JSON.parse(line) as Members);
  if (table === "audit_log") return { table, rows: all.map(rowOf) };
  return { table, records: all.map((members) => recordOf(table, members)) };
}

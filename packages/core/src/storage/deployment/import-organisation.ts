import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { genesisHash } from "../../audit/leaf.ts";
import { invalid, StorageError } from "../../errors/storage-error.ts";
import {
  type AuditRow,
  type Backend,
  type CallContext,
  type StoredRecord,
  UniqueViolation,
} from "../backend.ts";
import { type MovableTable, stages } from "../move/content.ts";
import { isSealed, keyIdsOf } from "../stored-keys.ts";
import type { TableName } from "../tables.ts";
import {
  type ArchiveClosing,
  type ArchiveLine,
  decodeClosing,
  decodeHeader,
  decodeLine,
} from "./archive.ts";
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

/** What is stored in one step at most. */
const step = { rows: 500, bytes: 4 * 1024 * 1024 };

/** As `Organisations.import`, into an organisation that holds nothing. */
export async function importArchive(
  backend: Backend,
  orgId: string,
  read: Read,
  context: CallContext,
): Promise<ImportReport> {
  const { closing, keyIds } = await checkArchive(orgId, read, context);
  if (keyIds.size > 0) await checkKeys(backend, keyIds);
  for (const stage of stages) {
    if (![...stage].some((table) => closing.counts[table] !== undefined)) continue;
    for await (const batch of batches(read)) {
      throwIfInterrupted(
        context,
        "a part of the organisation is there. Erase it, then import again.",
      );
      if (stage.has(batch.table)) await store(backend, orgId, batch, context);
    }
  }
  const { hash, size } = await backend.auditHead(orgId, context);
  if (size !== closing.trail.size || hash !== closing.trail.head)
    throw changed("it ends elsewhere");
  const rows = Object.values(closing.counts).reduce((sum, count) => sum + count, 0);
  return { orgId, tables: closing.counts, rows, sha256: closing.sha256 };
}

/** Reads all of an archive, and writes nothing. @throws StorageError `VALIDATION` unless it is whole, and of this organisation */
async function checkArchive(orgId: string, read: Read, context: CallContext) {
  const check = new ArchiveCheck(orgId);
  for await (const line of linesOf(read())) {
    throwIfInterrupted(context, "nothing was written.");
    check.take(line);
  }
  return { closing: check.closing(), keyIds: check.keyIds };
}

/** Takes an archive's lines one after the other. */
class ArchiveCheck {
  /** Ids of the keys that sealed its secrets. */
  readonly keyIds = new Set<string>();
  readonly #orgId: string;
  readonly #sum = createHash("sha256");
  readonly #counts: Partial<Record<MovableTable, number>> = {};
  #closing: ArchiveClosing | null = null;
  /** Hash of the last entry. */
  #head = genesisHash;
  #lines = 0;

  constructor(orgId: string) {
    this.#orgId = orgId;
  }

  take(line: string): void {
    this.#lines += 1;
    if (this.#closing !== null) throw changed("something follows its last line");
    if (this.#lines === 1) this.#takeHeader(line);
    else this.#closing = decodeClosing(line, this.#lines);
    if (this.#closing !== null) return;
    this.#sum.update(`${line}\n`);
    if (this.#lines > 1) this.#count(decodeLine(line, this.#lines));
  }

  /** The last line, once it vouches for all that came before it. */
  closing(): ArchiveClosing {
    if (this.#closing === null) throw changed("it is cut off: its last line is missing");
    const { sha256, counts, trail } = this.#closing;
    if (this.#sum.digest("hex") !== sha256) throw changed("its checksum doesn't match its content");
    if (!isDeepStrictEqual(this.#counts, counts) || this.#head !== trail.head)
      throw changed("its last line tells of other lines");
    return this.#closing;
  }

  #takeHeader(line: string): void {
    const { organisation } = decodeHeader(line);
    if (organisation === this.#orgId) return;
    throw invalid(
      `This is the archive of organisation "${organisation}", not of "${this.#orgId}".`,
    );
  }

  #count(line: ArchiveLine): void {
    this.#counts[line.table] = (this.#counts[line.table] ?? 0) + 1;
    if (line.table === "audit_log") this.#head = line.row.hash;
    else if (isSealed(line.table))
      for (const id of keyIdsOf(line.table, line.record.columns)) this.keyIds.add(id);
  }
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
      `A Slack workspace of organisation "${orgId}" is installed by another organisation here. Remove it there, erase what was imported, then import again.`,
      { cause: error },
    );
  }
}

/** The archive's content, several lines of one table at a time. */
async function* batches(read: Read): AsyncGenerator<Batch, void> {
  let held: ArchiveLine[] = [];
  let bytes = 0;
  let number = 0;
  for await (const line of linesOf(read())) {
    number += 1;
    if (number === 1 || decodeClosing(line, number) !== null) continue;
    const decoded = decodeLine(line, number);
    const [first] = held;
    if (
      first !== undefined &&
      (first.table !== decoded.table || held.length === step.rows || bytes > step.bytes)
    ) {
      yield batchOf(held);
      held = [];
      bytes = 0;
    }
    held.push(decoded);
    bytes += line.length;
  }
  if (held.length > 0) yield batchOf(held);
}

function batchOf(lines: readonly ArchiveLine[]): Batch {
  const [first] = lines;
  if (first === undefined || first.table === "audit_log")
    return { table: "audit_log", rows: lines.flatMap((line) => ("row" in line ? [line.row] : [])) };
  const records = lines.flatMap((line) => ("record" in line ? [line.record] : []));
  return { table: first.table, records };
}

/** The lines of a text that comes in pieces. What follows the last line break is a line too. */
async function* linesOf(pieces: AsyncIterable<string | Uint8Array>): AsyncGenerator<string, void> {
  let rest = Buffer.alloc(0);
  for await (const piece of pieces) {
    rest = Buffer.concat([rest, typeof piece === "string" ? Buffer.from(piece) : piece]);
    let start = 0;
    for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10, start)) {
      yield rest.toString("utf8", start, end);
      start = end + 1;
    }
    rest = rest.subarray(start);
  }
  if (rest.length > 0) yield rest.toString("utf8");
}

function changed(how: string): StorageError {
  return invalid(`The archive isn't what was exported: ${how}. Export it again.`);
}

import { Buffer } from "node:buffer";
import { z } from "zod";
import { formatCheckpoint, parseCheckpoint } from "../../audit/checkpoint.ts";
import { saltBytes } from "../../audit/commitment.ts";
import { genesisHash, type Leaf } from "../../audit/leaf.ts";
import { parseLeaf } from "../../audit/leaf-parse.ts";
import { CompactRange, type Hash } from "../../audit/merkle.ts";
import { NoteError, parseNote, parseVerifier } from "../../audit/signed-note.ts";
import { atBeginning, type Before, checkEntry, checkParts } from "../../audit/verify-entry.ts";
import { toInstant } from "../../domain/instant.ts";
import { limits } from "../../domain/limits.ts";
import { auditInputSchema, idText, text } from "../../domain/schemas.ts";
import type { AuditRow } from "../backend.ts";
import { IdIndex } from "../id-index.ts";
import { encodeValue } from "../values.ts";
import { type ArchiveClosing, type Members, problemIn, rowOf, wrongLine } from "./archive.ts";
import type { Line } from "./archive-lines.ts";
import { hashText, storedInstant, storedUuid } from "./archive-values.ts";

/** What a leaf says, of the same values as what is appended. */
const said = auditInputSchema
  .omit({ details: true })
  .required({ actor: true, outcome: true })
  .extend({
    id: storedUuid,
    // A repository that is linked is named by its host and path.
    target: z.strictObject({ type: idText, id: text(limits.textBytes) }).optional(),
    occurredAt: storedInstant.optional(),
  });

const entryValues = z.object({
  seq: z.int().min(0),
  hash: hashText,
  leaf: z
    .string()
    .refine((leaf) => leaf.isWellFormed(), "must be well-formed Unicode")
    .refine((leaf) => Buffer.byteLength(leaf) <= limits.auditEntryBytes, "is too long"),
  parts: z.array(
    z.strictObject({
      name: idText,
      salt: z.string().refine(isSalt, `must be ${saltBytes} bytes in base64`),
      body: z.string().refine(isBody, "must be the JSON text of a value within the limits"),
    }),
  ),
});

function isSalt(salt: string): boolean {
  const bytes = Buffer.from(salt, "base64");
  return bytes.length === saltBytes && bytes.toString("base64") === salt;
}

function isBody(body: string): boolean {
  try {
    encodeValue(JSON.parse(body), "details", limits.auditEntryBytes);
    return Buffer.byteLength(body) <= limits.auditEntryBytes;
  } catch {
    return false;
  }
}

/**
 * Holds an archive's trail against what is said of it: every hash, link, time, commitment and root, as PostgreSQL would and verification does. Who
 * signed a checkpoint isn't asked: a trail may hold others' as well, which are passed over.
 *
 * In memory are 27 to 80 bytes per entry, for ids that stand twice, and 48 per checkpoint.
 */
export class TrailCheck {
  readonly #ids = new IdIndex();
  readonly #roots = new ExpectedRoots();
  readonly #range = new CompactRange();
  readonly #anchors = new Map<string, Line["number"]>();
  #before: Before = atBeginning;
  #log: string | null = null;
  /** A generation whose key signs; what follows can't be retired. */
  #signs = false;
  #generation = 0;

  /** Takes the record of an anchor, which comes before the checkpoints. */
  anchor(line: Line, { size }: Members): void {
    if (Number(size) > 0) this.#anchors.set(String(size), line.number);
  }

  checkpoint(line: Line, { size, note }: Members): void {
    const { origin, root } = readNote(line, String(note), Number(size));
    this.#belongs(line, origin);
    this.#anchors.delete(String(size));
    this.#roots.add(Number(size), root, line.number);
  }

  key(line: Line, { generation, vkey, seed }: Members): void {
    this.#belongs(line, parseVerifier(String(vkey)).name);
    if (seed === null && this.#signs)
      throw wrongLine(line, "the key is retired, and one before it signs");
    this.#signs ||= seed !== null;
    // As on PostgreSQL: no number is so high that none is left behind it.
    if (Number(generation) - this.#generation > 1000)
      throw wrongLine(line, "too many keys before this one are missing");
    this.#generation = Number(generation);
  }

  entry(line: Line, members: Members): void {
    const problem = entryValues.safeParse(members);
    if (!problem.success) throw wrongLine(line, problemIn(problem.error));
    const row = rowOf(members);
    if (row.seq === 0) this.#belongs(line, parseLeaf(Buffer.from(row.leaf))?.log ?? null);
    const checked = checkEntry(row, this.#before, this.#log);
    if ("words" in checked) throw wrongLine(line, `entry ${row.seq}: ${checked.words}`);
    const { leaf, hash } = checked;
    this.#content(line, row, leaf);
    if (this.#ids.has(leaf.id))
      throw wrongLine(line, `entry ${row.seq} has the id of an entry before`);
    this.#ids.set(leaf.id, row.seq);
    this.#range.add(Buffer.from(hash, "hex"));
    this.#before = { seq: row.seq, hash, ts: leaf.ts, leaf: row.leaf };
    this.#roots.compare(row.seq + 1, () => this.#range.root());
  }

  #content(line: Line, row: AuditRow, leaf: Leaf): void {
    const {
      v: _,
      log: _log,
      seq: _seq,
      ts,
      prev: _prev,
      parts: _parts,
      corr,
      occurred,
      ...rest
    } = leaf;
    const content = said.safeParse({
      ...rest,
      ...(corr !== undefined && { correlationId: corr }),
      ...(occurred !== undefined && { occurredAt: occurred }),
    });
    const problem = content.success ? null : problemIn(content.error);
    if (problem !== null) throw wrongLine(line, `entry ${row.seq}: ${problem}`);
    if (toInstant(ts) === null)
      throw wrongLine(line, `entry ${row.seq}: its time of sealing is none`);
    const parts = checkParts(row, leaf);
    if ("words" in parts) throw wrongLine(line, `entry ${row.seq}: ${parts.words}`);
  }

  /** Holds what the last line says against all that came before it. */
  end(line: Line, { trail }: ArchiveClosing): void {
    const { seq, hash } = this.#before;
    const size = seq + 1;
    if (trail.size !== size)
      throw wrongLine(line, `trail.size is ${trail.size}, there are ${size} entries`);
    if (trail.head !== (size === 0 ? genesisHash : hash))
      throw wrongLine(line, "trail.head isn't the hash of the last entry");
    if (trail.log !== (size === 0 ? null : this.#log))
      throw wrongLine(line, "trail.log isn't that of the entries");
    const beyond = this.#roots.next();
    if (beyond !== null)
      throw wrongLine(
        { number: beyond },
        `the trail ends before this checkpoint, with ${size} entries`,
      );
    for (const number of this.#anchors.values())
      throw wrongLine({ number }, "the anchor has a size of which there is no checkpoint");
    if (size === 0 && this.#log !== null)
      throw wrongLine(line, "there are keys of a trail, and no entries");
  }

  #belongs(line: Line, log: string | null): void {
    this.#log ??= log;
    if (log !== this.#log || log === null)
      throw wrongLine(line, "it is of another trail than what stands before it");
  }
}

/** Exactly what is signed for a checkpoint of this size, and nothing but signatures under the trail's name. */
function readNote(line: Line, note: string, size: number) {
  try {
    const { text: body, signatures } = parseNote(note);
    const checkpoint = parseCheckpoint(body);
    const own = signatures.every(
      ({ name, signature }) => name === checkpoint.origin && signature.length === 64,
    );
    if (own && checkpoint.size === size && formatCheckpoint(checkpoint) === body) return checkpoint;
  } catch (error) {
    if (!(error instanceof NoteError)) throw error;
    throw wrongLine(line, `note is ${error.message}`);
  }
  throw wrongLine(line, "note isn't a checkpoint of this size, signed in the name of its trail");
}

const rootBytes = 32;

/** Roots that checkpoints name, by ascending size, and the lines where they do. */
class ExpectedRoots {
  readonly #sizes: number[] = [];
  readonly #lines: number[] = [];
  #roots = Buffer.alloc(rootBytes * 64);
  #next = 0;

  add(size: number, root: Hash, line: number): void {
    const at = this.#sizes.length * rootBytes;
    if (at === this.#roots.length) this.#roots = Buffer.concat([this.#roots], 2 * at);
    this.#roots.set(root, at);
    this.#sizes.push(size);
    this.#lines.push(line);
  }

  /** @param rootNow - of the first `size` entries */
  compare(size: number, rootNow: () => Hash): void {
    if (this.#sizes[this.#next] !== size) return;
    const at = this.#next * rootBytes;
    if (this.#roots.compare(rootNow(), 0, rootBytes, at, at + rootBytes) !== 0)
      throw wrongLine(
        { number: this.#lines[this.#next] ?? 0 },
        `the trail's first ${size} entries have another root than this checkpoint`,
      );
    this.#next += 1;
  }

  /** The line of the first that wasn't compared yet. */
  next(): number | null {
    return this.#lines[this.#next] ?? null;
  }
}

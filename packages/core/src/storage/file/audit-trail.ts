import type { PreparedEntry, SealedLeaf } from "../../audit/entry.ts";
import { sealEntry } from "../../audit/entry.ts";
import { genesisHash, newLogOrigin, sealingTime } from "../../audit/leaf.ts";
import { StorageError } from "../../errors/storage-error.ts";
import type { AuditHead, AuditRow, Erasure, TreeTile } from "../backend.ts";
import { IdIndex } from "../id-index.ts";
import type { AuditFiles, AuditFilesMark, AuditLine } from "./audit-files.ts";
import { bodyBytes, type ErasedPart } from "./audit-parts.ts";
import type { Damage } from "./failures.ts";
import { OpenIntents } from "./open-intents.ts";
import { checkSealed, parseLeaf } from "./sealed-elsewhere.ts";

/** A trail's end: what the next entry follows. */
export interface TrailEnd {
  readonly size: number;
  readonly head: string;
  /** Sealing time of the last entry. */
  readonly ts: string | null;
  readonly log: string | null;
}

export const emptyTrail: TrailEnd = { size: 0, head: genesisHash, ts: null, log: null };

/** An entry with its place, as the journal holds it. */
export interface SealedEntry extends AuditLine {
  readonly seq: number;
  readonly hash: string;
}

/** A snapshot's view of the trail. */
export type TrailMark = TrailEnd & Omit<AuditFilesMark, "entries">;

/**
 * One organisation's trail: what the files hold, and behind it in memory what so far only the journal holds. `stage` seals entries
 * for the frame being formed, until {@link AuditTrail.apply} or {@link AuditTrail.discard}.
 */
export class AuditTrail {
  readonly intents = new OpenIntents(this);
  readonly #files: AuditFiles;
  #end: TrailEnd;
  #stagedEnd: TrailEnd;
  #staged: SealedEntry[] = [];
  readonly #stagedIds = new Map<string, number>();
  #stagedErasures: ErasedPart[] = [];
  /** Entries that aren't in the files yet. */
  readonly #tail: SealedEntry[] = [];
  /** Read-only, it is made when it is first needed: verification needs none. */
  readonly #ids = new IdIndex();
  #noting: Promise<void> | null = null;
  #indexing: Promise<void> | null = null;
  #indexed = false;
  /** What is being done with the files: one thing at a time. */
  #writing: Promise<void> = Promise.resolve();

  constructor(files: AuditFiles, end: TrailEnd) {
    this.#files = files;
    this.#end = end;
    this.#stagedEnd = end;
  }

  get head(): AuditHead {
    return { size: this.#end.size, hash: this.#end.head, log: this.#end.log };
  }

  get end(): TrailEnd {
    return this.#end;
  }

  /** See {@link AuditFiles.damage}. */
  get damage(): Damage | null {
    return this.#files.damage;
  }

  /** Whether entries can be staged and read. */
  get indexed(): boolean {
    return this.#indexed;
  }

  /** Finds the entries in the files: once, when the trail is first used, since memory needs none of it. */
  index(): Promise<void> {
    this.#indexing ??= this.#files
      .index(this.#files.writable ? (id, seq) => this.#ids.set(id, seq) : undefined)
      .then(
        () => {
          for (const entry of this.#tail) this.#hold(entry);
          this.#indexed = true;
        },
        (error: unknown) => {
          this.#indexing = null;
          throw error;
        },
      );
    return this.#indexing;
  }

  #noteIds(): Promise<void> {
    this.#noting ??= this.#files
      .ids((id, seq) => this.#ids.set(id, seq))
      .catch((error: unknown) => {
        this.#noting = null;
        throw error;
      });
    return this.#noting;
  }

  /** Takes an entry from the journal. `false` when one is missing before it. */
  replay(entry: SealedEntry): boolean {
    if (entry.seq < this.#end.size) return true;
    if (entry.seq > this.#end.size) return false;
    this.#push(entry);
    return true;
  }

  /**
   * Takes an erasure from the journal.
   *
   * @throws SyntaxError when there is no such entry or place
   */
  replayErasure(part: ErasedPart): void {
    const written = this.#files.mark.entries;
    if (part.seq < written) {
      this.#files.parts.erase(part);
      return;
    }
    // The journal holds this entry too. Where its part stood in the file doesn't count any more.
    const entry = this.#tail[part.seq - written];
    if (entry === undefined) throw new SyntaxError(`an audit entry is missing: ${part.seq}`);
    const parts = entry.parts.filter(({ name }) => name !== part.name);
    this.#tail[part.seq - written] = { ...entry, parts };
  }

  /** Whether the trail, with the frame being formed, has an entry with this id. */
  knows(id: string): boolean {
    return this.#ids.has(id) || this.#stagedIds.has(id);
  }

  /**
   * Seals an entry for the frame being formed, unless the trail has its id.
   *
   * @returns the sealed entry, or the sequence number of the one that is there
   */
  stage(prepared: PreparedEntry, nowMs: number): SealedEntry | number {
    const id = prepared.content.id;
    const known = this.#ids.get(id) ?? this.#stagedIds.get(id);
    if (known !== undefined) return known;
    const end = this.#stagedEnd;
    const log = end.log ?? newLogOrigin();
    const ts = sealingTime(nowMs, end.ts);
    const sealed = sealEntry(prepared, { log, prev: end.head, seq: end.size, ts });
    const entry: SealedEntry = { ...sealed, id, parts: prepared.parts };
    return this.#stage(entry, { size: end.size + 1, head: sealed.hash, ts, log });
  }

  /**
   * Stages entries sealed elsewhere, all or none.
   *
   * @throws StorageError `CORRUPTION` when one isn't intact, `ALREADY_EXISTS` when they don't follow the trail's end
   */
  stageSealed(rows: readonly AuditRow[]): SealedEntry[] {
    let end = this.#stagedEnd;
    const entries = rows.map((row) => {
      const leaf = Buffer.from(row.leaf).toString("utf8");
      const content = checkSealed(row, leaf, end);
      end = { size: row.seq + 1, head: row.hash, ts: content.ts, log: content.log };
      return { seq: row.seq, leaf, hash: row.hash, id: content.id, parts: row.parts };
    });
    for (const entry of entries) this.#stage(entry, end);
    return entries;
  }

  /** Finds parts that are to be erased, once the files hold them. What isn't there is passed over. */
  async locate(parts: readonly Erasure[]): Promise<ErasedPart[]> {
    await this.index();
    await this.flush();
    const found: ErasedPart[] = [];
    for (const part of parts) {
      if (part.seq >= this.#files.mark.entries) continue;
      const place = await this.#files.parts.locate(part);
      if (place !== null) found.push({ ...part, ...place });
    }
    return found;
  }

  /** Erases parts with the frame being formed. */
  stageErasures(parts: readonly ErasedPart[]): void {
    this.#stagedErasures.push(...parts);
  }

  #stage(entry: SealedEntry, end: TrailEnd): SealedEntry {
    this.#staged.push(entry);
    this.#stagedIds.set(entry.id, entry.seq);
    this.#stagedEnd = end;
    return entry;
  }

  /** Makes what was staged the state. */
  apply(): void {
    for (const entry of this.#staged) {
      this.#hold(entry);
      this.#tail.push(entry);
    }
    for (const part of this.#stagedErasures) this.#files.parts.erase(part);
    this.#end = this.#stagedEnd;
    this.discard();
  }

  discard(): void {
    this.#staged = [];
    this.#stagedErasures = [];
    this.#stagedIds.clear();
    this.#stagedEnd = this.#end;
  }

  /** Writes to the files what they lack, and overwrites what was erased. A failed one can be repeated. */
  flush(): Promise<void> {
    return this.#inTurn(() => this.#flush());
  }

  async #flush(): Promise<void> {
    while (this.#tail.length > 0) {
      await this.index();
      const lines = this.#tail.slice(0, flushEntries);
      await this.#files.append(lines);
      this.#tail.splice(0, lines.length);
    }
    await this.#files.tiles.write();
    await this.#files.parts.settle();
  }

  /** Makes what was flushed durable. Once it failed, the files must be reopened. */
  sync(): Promise<void> {
    return this.#inTurn(() => this.#files.sync());
  }

  /** Nothing is written while a sync is under way, which could not vouch for it. */
  #inTurn(step: () => Promise<void>): Promise<void> {
    this.#writing = this.#writing.catch(() => undefined).then(step);
    return this.#writing;
  }

  /** What a snapshot must know of the files, as of an end that was flushed. */
  markAt(end: TrailEnd): TrailMark {
    // Without an index nothing was written since the files were opened.
    const mark = this.#indexed ? this.#files.markAt(end.size) : this.#files.mark;
    return { ...end, bytes: mark.bytes, partBytes: mark.partBytes };
  }

  async sealedAt(seq: number): Promise<SealedLeaf> {
    const [row] = await this.rows(seq, seq + 1);
    if (row === undefined) throw new StorageError("CORRUPTION", `Audit entry ${seq} is gone.`);
    return { seq, leaf: Buffer.from(row.leaf).toString("utf8"), hash: row.hash, known: true };
  }

  async find(id: string): Promise<AuditRow | null> {
    await this.index();
    if (!this.#files.writable) await this.#noteIds();
    const seq = this.#ids.get(id);
    return seq === undefined ? null : ((await this.rows(seq, seq + 1))[0] ?? null);
  }

  /** See `Backend.treeTiles`. */
  async treeTiles(tiles: readonly TreeTile[]): Promise<Uint8Array[]> {
    await this.index();
    const read: Uint8Array[] = [];
    for (const tile of tiles) read.push(await this.#files.tiles.read(tile));
    return read;
  }

  /**
   * The entries from `first` up to, not including, `end`.
   *
   * @param bare - whether their parts may be left out
   * @param asIs - whether some may be missing
   */
  async rows(first: number, end: number, bare = false, asIs = false): Promise<AuditRow[]> {
    await this.index();
    const { written, held } = this.#split(first, end);
    const read = await this.#files.rows(first, written, bare, asIs);
    const rows: AuditRow[] = read.map((row, i) => ({
      seq: first + i,
      ...row,
      projection: null,
    }));
    // What follows missing ones has another place than its own.
    for (const { seq, leaf, hash, parts } of rows.length < written - first ? [] : held) {
      rows.push({ seq, leaf: Buffer.from(leaf), hash, parts, projection: null });
    }
    return rows;
  }

  /** How far entries from `first` on may be read at once, `end` at most, for their parts to have hardly more than so many bytes. */
  within(bytes: number, first: number, end: number): number {
    const { written, held } = this.#split(first, end);
    if (written > first) return this.#files.parts.within(bytes, first, written);
    let [next, sum] = [first, 0];
    for (const entry of held) {
      if (sum >= bytes) break;
      next += 1;
      sum += bodyBytes(entry);
    }
    return Math.max(next, first + 1);
  }

  /** The bytes of the entries from `first` up to, not including, `end`: quicker than {@link AuditTrail.rows}. */
  async leaves(first: number, end: number, asIs = false): Promise<Buffer[]> {
    await this.index();
    const { written, held } = this.#split(first, end);
    const leaves = await this.#files.leaves(first, written, asIs);
    return [...leaves, ...held.map(({ leaf }) => Buffer.from(leaf))];
  }

  /** Up to where the files have the entries of a range, and the rest: what is in memory may be let go while the files are read. */
  #split(first: number, end: number): { written: number; held: SealedEntry[] } {
    const written = Math.max(first, Math.min(end, this.#files.mark.entries));
    const base = this.#tail[0]?.seq ?? this.#end.size;
    const stop = Math.min(end, this.#end.size);
    // Flushed entries stay in memory for a moment.
    return {
      written,
      held: this.#tail.slice(Math.max(0, written - base), Math.max(0, stop - base)),
    };
  }

  async close(): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.#files.close();
  }

  /** Makes an entry known that isn't in the files. */
  #hold(entry: SealedEntry): void {
    this.#ids.set(entry.id, entry.seq);
    this.#files.tiles.add(entry.hash);
  }

  #push(entry: SealedEntry): void {
    const leaf = parseLeaf(entry.leaf);
    this.#tail.push(entry);
    this.#end = {
      size: entry.seq + 1,
      head: entry.hash,
      ts: leaf?.ts ?? this.#end.ts,
      log: leaf?.log ?? this.#end.log,
    };
    this.#stagedEnd = this.#end;
  }
}

/** Entries written to the files at once. */
const flushEntries = 1000;

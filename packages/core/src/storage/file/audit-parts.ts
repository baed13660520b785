import { isUtf8 } from "node:buffer";
import type { AuditPart, Erasure } from "../backend.ts";
import { eachBlock, eachLine } from "./byte-reader.ts";
import { corruption, type Damage } from "./failures.ts";
import { parseObject, text } from "./line.ts";
import { Offsets } from "./offsets.ts";
import type { TrailFile } from "./trail-file.ts";

/** Where a part's line stands in `audit_parts.jsonl`, its line break left out. */
export interface PartPlace {
  readonly at: number;
  readonly bytes: number;
}

/** An entry's parts, and why another one of it can't be read. */
export interface ReadParts {
  readonly parts: readonly AuditPart[];
  readonly damage?: string | undefined;
}

const none: ReadParts = { parts: [] };

/** A part to be overwritten, and where it is. */
export type ErasedPart = Erasure & PartPlace;

const space = 0x20;

/**
 * `audit_parts.jsonl`: a line per erasable part of an entry. It grows behind the journal, and a line of it is overwritten with spaces to
 * erase its part.
 */
export class AuditParts {
  readonly #file: TrailFile;
  #bytes: number;
  /** Where the lines of each entry end. */
  readonly #ends = new Offsets();
  /** Lines that are erased, though the file may still hold them, in whole or in part. */
  readonly #erased = new Set<PartPlace>();
  /** Reads under way. One may meet a line while it is being overwritten. */
  readonly #reads = new Set<Promise<unknown>>();

  readonly #note: ((damage: Damage) => void) | null;

  /** @param note - is told of damage, which is then passed over; `null`: it is thrown */
  constructor(file: TrailFile, bytes: number, note: ((damage: Damage) => void) | null) {
    this.#file = file;
    this.#bytes = bytes;
    this.#note = note;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** How many bytes the first `entries` entries take. */
  bytesOf(entries: number): number {
    return this.#ends.at(entries - 1);
  }

  /** How far entries from `first` on may be read, `end` at most: up to the one with whose parts the file gives so many bytes. */
  within(bytes: number, first: number, end: number): number {
    const stop = this.bytesOf(first) + bytes;
    let next = first + 1;
    while (next < end && this.bytesOf(next) < stop) next += 1;
    return next;
  }

  recover(): Promise<void> {
    return this.#file.recover(this.#bytes, true);
  }

  /** Finds where the parts of each of the trail's entries are. */
  index(entries: number): Promise<void> {
    return this.#reading(this.#index(entries));
  }

  async #index(entries: number): Promise<void> {
    this.#ends.clear();
    if (this.#bytes > 0 && (this.#note === null || (await this.#file.size()) > 0)) {
      await eachBlock(await this.#file.reader(this.#bytes), 0, (block, position) => {
        this.#blank(block, position);
        eachLine(block, (start, end) => {
          const seq = this.#seqOf(block.subarray(start, end), position + start, entries);
          while (seq !== null && this.#ends.length < seq) this.#ends.push(position + start);
        });
      });
    }
    while (this.#ends.length < entries) this.#ends.push(this.#bytes);
  }

  /** The entry that a line belongs to; `null` for an erased one, a line of spaces, which stays with the entry before. */
  #seqOf(line: Buffer, position: number, entries: number): number | null {
    const match = /^\{"seq":(\d{1,15}),/.exec(line.toString("latin1", 0, 32));
    const seq = Number(match?.[1] ?? -1);
    if (seq >= this.#ends.length && seq < entries) return seq;
    if (match === null && line.every((byte) => byte === space)) return null;
    const what = "a line is no part of an audit entry that comes here";
    const error = corruption(this.#file.path, position, what);
    if (this.#note === null) throw error;
    this.#note({ seq: this.#ends.length, error });
    return null;
  }

  /** Writes the parts of the entries from `first` on behind those that are there. Not durable before a sync; can be repeated. */
  async append(first: number, entries: readonly (readonly AuditPart[])[]): Promise<void> {
    const lines = entries.map((parts, i) => Buffer.from(partLines(first + i, parts)));
    const bytes = Buffer.concat(lines);
    if (bytes.length > 0) await this.#file.write(bytes, this.#bytes);
    for (const { length } of lines) {
      this.#bytes += length;
      this.#ends.push(this.#bytes);
    }
  }

  /** The parts of each entry from `first` up to, not including, `end`, with what is damaged; `asIs`, some may be missing. */
  async read(first: number, end: number, asIs: boolean): Promise<ReadParts[]> {
    const start = this.bytesOf(first);
    const bytes = await this.#read(start, this.bytesOf(end), asIs);
    const found: ReadParts[] = [];
    for (let seq = first; seq < end; seq++) {
      const at = this.bytesOf(seq);
      const lines = bytes.subarray(at - start, this.bytesOf(seq + 1) - start);
      found.push(this.#parse(seq, at, lines));
    }
    return found;
  }

  #parse(seq: number, position: number, bytes: Buffer): ReadParts {
    if (bytes.length === 0) return none;
    // As text, bytes that are no UTF-8 could pass for others.
    if (!isUtf8(bytes))
      return { parts: [], damage: corruption(this.#file.path, position, damagedPart(seq)).message };
    const parts: AuditPart[] = [];
    let damage: string | undefined;
    for (const line of bytes.toString("utf8").split("\n")) {
      if (line.trim() === "") continue;
      const part = partIn(line, seq);
      if (part !== null) parts.push(part);
      // What is no part of this entry was noted, where that is done.
      else if (this.#note === null || line.startsWith(`{"seq":${seq},`))
        damage ??= corruption(this.#file.path, position, damagedPart(seq)).message;
    }
    return { parts, damage };
  }

  /** Where an entry's part is; `null` when it has none of this name, or not any more. */
  async locate({ seq, name }: Erasure): Promise<PartPlace | null> {
    const start = this.bytesOf(seq);
    const bytes = await this.#read(start, this.bytesOf(seq + 1), false);
    let found: PartPlace | null = null;
    eachLine(bytes, (from, to) => {
      const line = bytes.toString("utf8", from, to);
      const part = line.trim() === "" ? undefined : partIn(line, seq);
      if (part === null) throw corruption(this.#file.path, start + from, damagedPart(seq));
      if (part?.name === name) found = { at: start + from, bytes: to - from };
    });
    return found;
  }

  /**
   * Takes a part away: nobody sees it from here on. What the file holds of it goes with {@link AuditParts.settle}.
   *
   * @throws SyntaxError when no line can be there
   */
  erase(place: PartPlace): void {
    if (place.at + place.bytes >= this.#bytes) throw new SyntaxError("no part is there");
    this.#erased.add(place);
  }

  /** Overwrites what was erased. Not durable before a sync; can be repeated. */
  async settle(): Promise<void> {
    for (const place of [...this.#erased]) {
      await this.#file.write(Buffer.alloc(place.bytes, space), place.at);
      await Promise.allSettled(this.#reads);
      this.#erased.delete(place);
    }
  }

  #read(start: number, end: number, asIs: boolean): Promise<Buffer> {
    const read = this.#file.read(start, end, asIs).then((bytes) => {
      this.#blank(bytes, start);
      return bytes;
    });
    return this.#reading(read);
  }

  #reading<Result>(read: Promise<Result>): Promise<Result> {
    const tracked = read.finally(() => this.#reads.delete(tracked));
    this.#reads.add(tracked);
    return tracked;
  }

  /** Shows bytes of the file without what was erased: it may be there still, or in part after a crash. */
  #blank(bytes: Buffer, position: number): void {
    for (const { at, bytes: length } of this.#erased) {
      const from = Math.max(0, at - position);
      const to = Math.min(bytes.length, at + length - position);
      if (from < to) bytes.fill(space, from, to);
    }
  }
}

/** UTF-8 bytes of what an entry's parts hold. */
export function bodyBytes({ parts }: { readonly parts: readonly AuditPart[] }): number {
  return parts.reduce((sum, { body }) => sum + Buffer.byteLength(body), 0);
}

function partLines(seq: number, parts: readonly AuditPart[]): string {
  return parts.map((part) => `{"seq":${seq},${partMembers(part)}}\n`).join("");
}

/** A part as members of a JSON object. The body is a JSON string, so that it comes back byte for byte. */
export function partMembers(part: AuditPart): string {
  const salt = Buffer.from(part.salt).toString("base64");
  return `"name":${text(part.name)},"salt":"${salt}","body":${text(part.body)}`;
}

/** Undoes {@link partMembers}. */
export function partOf(members: Readonly<Record<string, unknown>>): AuditPart {
  const { name, salt, body } = members;
  if (typeof name !== "string" || typeof salt !== "string" || typeof body !== "string") {
    throw new SyntaxError("not a part");
  }
  return { name, salt: Buffer.from(salt, "base64"), body };
}

const damagedPart = (seq: number) => `a part of audit entry ${seq} is damaged`;

/** The part that a line holds; `null` when it holds none of this entry. */
function partIn(line: string, seq: number): AuditPart | null {
  try {
    const part = partOf(parseObject(line));
    // What parses may still not be what was written: an entry's number, or bits of base64 that mean nothing.
    return partLines(seq, [part]) === `${line}\n` ? part : null;
  } catch {
    return null;
  }
}

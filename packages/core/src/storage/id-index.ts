import { randomInt } from "node:crypto";

const idWords = 4;
/** A table this full is made twice as large. */
const fullest = 0.75;

/**
 * Which entry has an id: an open-addressing hash table with linear probing, 20 bytes a slot. A `Map` takes four times as much memory, and holds
 * no more than 2 ** 24 entries.
 */
export class IdIndex {
  #slots = 1024;
  #ids = new Uint32Array(this.#slots * idWords);
  /** Sequence numbers plus one; 0 where a slot is free. */
  #seqs = new Uint32Array(this.#slots);
  #size = 0;
  /** Callers choose ids. They mustn't know which belong in one slot. */
  readonly #seed = randomInt(2 ** 32);

  /** Notes whose an id is. One that is no UUID is passed over: nobody can ask for it. */
  set(id: string, seq: number): void {
    const words = wordsOf(id);
    if (words === null) return;
    if (this.#size >= this.#slots * fullest) this.#grow();
    this.#put(words, seq + 1);
  }

  /** The sequence number of the entry with an id. */
  get(id: string): number | undefined {
    const words = wordsOf(id);
    const found = words === null ? 0 : (this.#seqs[this.#slotOf(words)] ?? 0);
    return found === 0 ? undefined : found - 1;
  }

  has(id: string): boolean {
    return this.get(id) !== undefined;
  }

  #put(words: Uint32Array, value: number): void {
    const slot = this.#slotOf(words);
    if (this.#seqs[slot] === 0) this.#size += 1;
    this.#ids.set(words, slot * idWords);
    this.#seqs[slot] = value;
  }

  /** Where an id is, or may be put. */
  #slotOf(words: Uint32Array): number {
    let hash = this.#seed;
    for (const word of words) {
      hash = Math.imul(hash ^ word, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    for (let slot = hash & (this.#slots - 1); ; slot = (slot + 1) & (this.#slots - 1)) {
      if (this.#seqs[slot] === 0 || this.#isAt(slot, words)) return slot;
    }
  }

  #isAt(slot: number, words: Uint32Array): boolean {
    const at = slot * idWords;
    return words.every((word, i) => this.#ids[at + i] === word);
  }

  #grow(): void {
    const [ids, seqs] = [this.#ids, this.#seqs];
    this.#slots *= 2;
    this.#ids = new Uint32Array(this.#slots * idWords);
    this.#seqs = new Uint32Array(this.#slots);
    this.#size = 0;
    for (const [slot, value] of seqs.entries()) {
      const at = slot * idWords;
      if (value !== 0) this.#put(ids.subarray(at, at + idWords), value);
    }
  }
}

const uuid = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})([0-9a-f]{8})$/;

/** The 128 bits of a UUID. */
function wordsOf(id: string): Uint32Array | null {
  const found = uuid.exec(id);
  if (found === null) return null;
  const [, a = "", b = "", c = "", d = "", e = "", f = ""] = found;
  return Uint32Array.of(hex(a), hex(b + c), hex(d + e), hex(f));
}

function hex(digits: string): number {
  return Number.parseInt(digits, 16);
}

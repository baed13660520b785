import { BTreeEx } from "sorted-btree/extended/index.js";
import { compareKeys } from "./key-order.ts";

type KeyTree = BTreeEx<string, undefined>;

/** Keys in a node of the tree. */
const nodeSize = 32;
/** From so many new keys on, building the tree anew can be cheaper than adding each. */
const rebuildFrom = 1024;

/**
 * An ordered set of keys that is told of a new key in constant time. Putting keys in order costs more than a hash table's whole
 * write, so it waits: until {@link KeyList.settle} finds time for it while the disk works, or the order is asked for.
 */
export class KeyList {
  #tree: KeyTree = new BTreeEx<string, undefined>(undefined, compareKeys);
  #added: string[] = [];
  /** How many of `#added`, from the front, are in the tree already. */
  #settled = 0;
  readonly #isThere: (key: string) => boolean;

  /** `isThere` tells whether a key that was added has not been deleted since. */
  constructor(isThere: (key: string) => boolean) {
    this.#isThere = isThere;
  }

  /** How many keys aren't in order yet. */
  get unsettled(): number {
    return this.#added.length - this.#settled;
  }

  add(key: string): void {
    this.#added.push(key);
  }

  delete(key: string): void {
    this.#tree.delete(key);
  }

  /** Puts up to `limit` keys in order, those first that were added first. */
  settle(limit: number): void {
    const end = Math.min(this.#added.length, this.#settled + limit);
    while (this.#settled < end) {
      const key = this.#added[this.#settled++] ?? "";
      if (this.#isThere(key)) this.#tree.set(key, undefined);
    }
    if (this.#settled === this.#added.length) this.#clearAdded();
  }

  /** The keys that are in order so far. Not to be kept: it changes with the list. */
  get settled(): KeyTree {
    return this.#tree;
  }

  /** All keys in order. Not to be kept: it changes with the list. */
  get ordered(): KeyTree {
    const count = this.unsettled;
    if (count >= rebuildFrom && count > this.#tree.size / 8) this.#rebuild();
    else this.settle(count);
    return this.#tree;
  }

  #clearAdded(): void {
    if (this.#added.length > 0) this.#added = [];
    this.#settled = 0;
  }

  #rebuild(): void {
    const keys = [...this.#tree.keys(), ...this.#added.filter(this.#isThere)].sort();
    const distinct = keys.filter((key, i) => key !== keys[i - 1]);
    this.#clearAdded();
    const values = new Array<undefined>(distinct.length);
    this.#tree = BTreeEx.bulkLoad(distinct, values, nodeSize, compareKeys);
  }
}

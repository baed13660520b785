import type { Leaf } from "../../audit/leaf.ts";
import type { AuditTrail } from "./audit-trail.ts";

/** Entries looked at at once. */
const chunkEntries = 1000;

const correlation = Buffer.from('"corr":"');

/** Which intents nothing has resolved yet, found from the trail when it is asked for, and again only from where it ended. */
export class OpenIntents {
  readonly #trail: AuditTrail;
  /** Sequence numbers by correlation id. */
  readonly #open = new Map<string, number[]>();
  #size = 0;
  #looking: Promise<void> = Promise.resolve();

  constructor(trail: AuditTrail) {
    this.#trail = trail;
  }

  /** Their sequence numbers, ascending. */
  async seqs(): Promise<number[]> {
    this.#looking = this.#looking.catch(() => undefined).then(() => this.#look());
    await this.#looking;
    return [...this.#open.values()].flat().sort((a, b) => a - b);
  }

  async #look(): Promise<void> {
    const { size } = this.#trail.head;
    while (this.#size < size) {
      const end = Math.min(size, this.#size + chunkEntries);
      for (const leaf of await this.#trail.leaves(this.#size, end)) this.#take(leaf);
    }
  }

  #take(bytes: Buffer): void {
    const seq = this.#size++;
    if (!bytes.includes(correlation)) return;
    const { corr, outcome } = JSON.parse(bytes.toString("utf8")) as Leaf;
    if (corr === undefined) return;
    if (outcome === "pending") this.#open.set(corr, [...(this.#open.get(corr) ?? []), seq]);
    else this.#open.delete(corr);
  }
}

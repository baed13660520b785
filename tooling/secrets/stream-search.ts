import type { Readable } from "node:stream";
import { type Allowed, assertNoSecret } from "./search.ts";

/** Longer than what we look for, which may be written in two pieces. */
const keptBytes = 4096;

/** Looks for secrets in what is written piece by piece. */
export class StreamSearch {
  readonly #where: string;
  readonly #allowed: Allowed;
  #end: Buffer = Buffer.alloc(0);

  constructor(where: string, allowed: Allowed = {}) {
    this.#where = where;
    this.#allowed = allowed;
  }

  /**
   * Looks in all that arrives on these streams, without reading them. What is found is an error that nobody catches: vitest reports it.
   */
  static watch(where: string, streams: readonly Readable[], allowed: Allowed = {}): void {
    for (const stream of streams) {
      const search = new StreamSearch(where, allowed);
      const push = stream.push.bind(stream);
      stream.push = (piece: Buffer | null, encoding) => {
        if (piece !== null) search.add(piece);
        return push(piece, encoding);
      };
    }
  }

  /** The next piece. @throws SecretFound */
  add(piece: Buffer | string): void {
    const all = Buffer.concat([this.#end, Buffer.from(piece as string)]);
    this.#end = all.subarray(-keptBytes);
    assertNoSecret(this.#where, all, this.#allowed);
  }
}

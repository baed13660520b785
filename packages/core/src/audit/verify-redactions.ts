import type { AuditFailure } from "../domain/audit-proofs.ts";
import { erasedBy } from "./actions.ts";
import { inEntry } from "./failure.ts";
import { type Leaf, leafHash } from "./leaf.ts";
import { parseLeaf } from "./leaf-parse.ts";
import type { StoredEntry } from "./verify-entry.ts";

/** Gives the entries of action `audit.redacted` that follow `after`, in order. */
export type RedactionSource = (after: number) => AsyncIterable<readonly StoredEntry[]>;

interface Redaction {
  /** The entry that says so. */
  readonly by: number;
  seen: boolean;
}

/**
 * What a trail says was erased: looked up before the entries are read, so that a missing part can be told at once from one that
 * was erased, and held against the entries themselves afterwards. One small record per erased part.
 */
export class Redactions {
  readonly #source: RedactionSource;
  readonly #size: number;
  readonly #log: string | null;
  readonly #parts = new Map<string, Redaction>();
  #last = -1;

  /** @param size - of the trail that is verified; what follows is looked at only to explain what is missing */
  constructor(source: RedactionSource, size: number, log: string | null) {
    this.#source = source;
    this.#size = size;
    this.#log = log;
  }

  /** Looks up those that came since. */
  async load(): Promise<void> {
    for await (const rows of this.#source(this.#last)) {
      for (const row of rows) {
        const bytes = Buffer.from(row.leaf);
        const leaf = parseLeaf(bytes);
        this.#last = Math.max(this.#last, row.seq);
        const whole =
          leaf?.seq === row.seq && leaf.log === this.#log && leafHash(bytes) === row.hash;
        const erased = leaf === null ? null : erasedBy(leaf);
        if (!whole || erased === null || erased.seq >= row.seq) continue;
        const id = `${erased.seq}/${erased.part}`;
        if (!this.#parts.has(id)) this.#parts.set(id, { by: row.seq, seen: false });
      }
    }
  }

  /** Whether all of an entry's parts of these names were looked up as erased. */
  known(seq: number, parts: readonly string[]): boolean {
    return parts.every((part) => this.#parts.has(`${seq}/${part}`));
  }

  /** Whether an entry says that a part was erased. */
  async explains(seq: number, part: string): Promise<boolean> {
    const id = `${seq}/${part}`;
    if (!this.#parts.has(id)) await this.load();
    return this.#parts.has(id);
  }

  /** What is wrong with parts that are there: they were erased before the trail was looked at. */
  revived({ seq, parts }: StoredEntry): AuditFailure | null {
    for (const { name } of this.#parts.size === 0 ? [] : parts) {
      const by = this.#parts.get(`${seq}/${name}`)?.by;
      if (by === undefined || by >= this.#size) continue;
      return inEntry(seq, {
        check: "parts",
        expected: `${name} erased`,
        actual: `${name} there`,
        words: `its part "${name}" is there again, though entry ${by} erased it`,
      });
    }
    return null;
  }

  /** Takes note that the trail itself holds what was looked up. */
  meet(leaf: Leaf): AuditFailure | null {
    const erased = erasedBy(leaf);
    if (erased === null || erased.seq >= leaf.seq) return null;
    const known = this.#parts.get(`${erased.seq}/${erased.part}`);
    if (known !== undefined) {
      if (known.by === leaf.seq) known.seen = true;
      return null;
    }
    return inEntry(leaf.seq, {
      check: "projection",
      expected: "found by its action",
      actual: "not found",
      words: "it erased a part, and a search for such entries doesn't find it",
    });
  }

  /** What was looked up, and isn't in the trail. */
  unmet(): AuditFailure | null {
    for (const [id, { by, seen }] of this.#parts) {
      if (seen || by >= this.#size) continue;
      return inEntry(by, {
        check: "parts",
        expected: `an entry that says ${id} was erased`,
        actual: "another one",
        words: `a search finds that it erased ${id}, and the trail doesn't hold that`,
      });
    }
    return null;
  }
}

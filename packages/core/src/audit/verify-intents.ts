import type { AuditFailure } from "../domain/audit-proofs.ts";
import { inEntry } from "./failure.ts";
import type { Leaf } from "./leaf.ts";

/** An intent that no outcome has followed, as a store lists it. */
export interface OpenIntent {
  readonly seq: number;
  readonly correlationId: string;
}

/** A store's list of open intents, a searchable copy of what the entries say. */
export interface IntentSource {
  /** The list as it is by now, ascending. */
  stored(): AsyncIterable<readonly OpenIntent[]>;
  /** Whether an entry behind this one is the outcome of intents with this correlation id. */
  isResolvedBehind(seq: number, correlationId: string): Promise<boolean>;
}

/** Finds the open intents anew from the entries, and compares the stored list with them. Takes a small record for each one that is open. */
export class IntentsCheck {
  /** Sequence numbers by correlation id. */
  readonly #open = new Map<string, number[]>();

  /** Takes note of an entry that has a correlation id. */
  meet({ corr, outcome, seq }: Leaf): void {
    if (corr === undefined) return;
    if (outcome !== "pending") this.#open.delete(corr);
    else if (!this.#open.get(corr)?.push(seq)) this.#open.set(corr, [seq]);
  }

  /**
   * Compares the list. It may have gone on behind the trail that was read: intents may have come, and others have got their outcome.
   *
   * @param size - of the trail that was read
   */
  async compare(source: IntentSource, size: number): Promise<AuditFailure | null> {
    const open = new Map(
      [...this.#open].flatMap(([corr, seqs]) => seqs.map((seq) => [seq, corr] as const)),
    );
    for await (const listed of source.stored()) {
      for (const { seq, correlationId } of listed) {
        if (seq >= size) continue;
        const sealed = open.get(seq);
        if (sealed !== correlationId) return wrong(seq, sealed, correlationId);
        open.delete(seq);
      }
    }
    for (const [seq, corr] of [...open].sort(([a], [b]) => a - b))
      if (!(await source.isResolvedBehind(size - 1, corr))) return wrong(seq, corr, undefined);
    return null;
  }
}

function wrong(seq: number, sealed: string | undefined, stored: string | undefined) {
  const [expected, actual] = [shown(sealed), shown(stored)];
  const words = `the stored list of open intents says ${actual}, the entries say ${expected}`;
  return inEntry(seq, { check: "projection", expected, actual, words });
}

function shown(correlationId: string | undefined): string {
  return correlationId === undefined
    ? "no open intent"
    : `an open intent ${JSON.stringify(correlationId)}`;
}

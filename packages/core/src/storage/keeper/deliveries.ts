import { setTimeout as sleep } from "node:timers/promises";
import type { AuditCheckpoint } from "../../domain/audit-proofs.ts";
import type { Anchor } from "./anchor.ts";

/** A checkpoint on its way to an anchor. */
export interface Delivery {
  readonly orgId: string;
  readonly checkpoint: AuditCheckpoint;
  /** When it was signed, in milliseconds since the epoch. */
  readonly signedAtMs: number;
}

/** Told of what becomes of deliveries. */
export interface DeliveryReports {
  /** The anchor has it. */
  delivered(delivery: Delivery): Promise<void>;
  failed(delivery: Delivery, error: unknown): void;
  /** The anchor takes checkpoints again, after failures. */
  recovered(): void;
}

/** How long an anchor is waited for, in milliseconds. */
export interface Patience {
  /** For the answer to one attempt. */
  readonly answerMs: number;
  /** For what is in flight at the end. */
  readonly endMs: number;
  /** Before one that failed is tried again: twice as long with each failure in a row, up to the longest. */
  readonly firstMs: number;
  readonly longestMs: number;
}

const ordinary: Patience = { answerMs: 10_000, endMs: 2000, firstMs: 1000, longestMs: 60_000 };

/**
 * Hands checkpoints over to one anchor, one at a time. Only the newest of each trail waits, since it vouches for all before; one that
 * fails goes to the end, so that it holds up no others.
 */
export class Deliveries {
  readonly #anchor: Anchor;
  readonly #reports: DeliveryReports;
  readonly #patience: Patience;
  readonly #waiting = new Map<string, Delivery>();
  readonly #ending = new AbortController();
  #working: Promise<void> | null = null;
  #failures = 0;

  constructor(anchor: Anchor, reports: DeliveryReports, patience = ordinary) {
    this.#anchor = anchor;
    this.#reports = reports;
    this.#patience = patience;
  }

  offer(delivery: Delivery): void {
    const { orgId, checkpoint } = delivery;
    const waiting = this.#waiting.get(orgId);
    if (waiting !== undefined && waiting.checkpoint.size >= checkpoint.size) return;
    this.#waiting.set(orgId, delivery);
    this.#working ??= this.#work();
  }

  /** Ends what is in flight; what doesn't end is left. */
  async close(): Promise<void> {
    this.#ending.abort();
    const waited = new AbortController();
    const { signal } = waited;
    const overdue = sleep(this.#patience.endMs, undefined, { signal });
    await Promise.race([this.#working, overdue]).finally(() => waited.abort());
  }

  async #work(): Promise<void> {
    const { signal } = this.#ending;
    const { answerMs, firstMs, longestMs } = this.#patience;
    for (const delivery of this.#inTurn()) {
      const overdue = AbortSignal.timeout(answerMs);
      const kept = this.#anchor.keep(delivery.checkpoint, AbortSignal.any([signal, overdue]));
      try {
        await Promise.race([kept, abortOf(overdue)]);
        await this.#reports.delivered(delivery);
        if (this.#failures > 0) this.#reports.recovered();
        this.#failures = 0;
      } catch (error) {
        if (signal.aborted) break;
        this.#failures += 1;
        this.#reports.failed(delivery, error);
        // A newer one may have come meanwhile.
        this.offer(delivery);
        const pauseMs = Math.min(firstMs * 2 ** (this.#failures - 1), longestMs);
        await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
        // One that goes on nevertheless, as a call to a dead network drive does, is waited for: each beside it would hold another thread.
        await kept.catch(() => undefined);
      }
    }
    this.#working = null;
  }

  *#inTurn(): Generator<Delivery> {
    while (!this.#ending.signal.aborted) {
      const [next] = this.#waiting.values();
      if (next === undefined) return;
      this.#waiting.delete(next.orgId);
      yield next;
    }
  }
}

/** Rejects once the signal is aborted. */
function abortOf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(new Error("no answer")), { once: true });
  });
}

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

/** Milliseconds before an anchor that failed is tried again: twice as long with each failure in a row, up to the longest. */
export interface Pauses {
  readonly firstMs: number;
  readonly longestMs: number;
}

const ordinary: Pauses = { firstMs: 1000, longestMs: 60_000 };

/**
 * Hands checkpoints over to one anchor, one at a time. Only the newest of each trail waits, since it vouches for all before; one that
 * fails goes to the end, so that it holds up no others.
 */
export class Deliveries {
  readonly #anchor: Anchor;
  readonly #reports: DeliveryReports;
  readonly #pauses: Pauses;
  readonly #waiting = new Map<string, Delivery>();
  readonly #ending = new AbortController();
  #working: Promise<void> | null = null;
  #failures = 0;

  constructor(anchor: Anchor, reports: DeliveryReports, pauses = ordinary) {
    this.#anchor = anchor;
    this.#reports = reports;
    this.#pauses = pauses;
  }

  offer(delivery: Delivery): void {
    const { orgId, checkpoint } = delivery;
    const waiting = this.#waiting.get(orgId);
    if (waiting !== undefined && waiting.checkpoint.size >= checkpoint.size) return;
    this.#waiting.set(orgId, delivery);
    this.#working ??= this.#work();
  }

  /** Ends what is in flight. */
  async close(): Promise<void> {
    this.#ending.abort();
    await this.#working;
  }

  async #work(): Promise<void> {
    const { signal } = this.#ending;
    for (const delivery of this.#inTurn()) {
      try {
        await this.#anchor.keep(delivery.checkpoint, signal);
        await this.#reports.delivered(delivery);
        if (this.#failures > 0) this.#reports.recovered();
        this.#failures = 0;
      } catch (error) {
        if (signal.aborted) break;
        this.#failures += 1;
        this.#reports.failed(delivery, error);
        // A newer one may have come meanwhile.
        this.offer(delivery);
        const { firstMs, longestMs } = this.#pauses;
        const pauseMs = Math.min(firstMs * 2 ** (this.#failures - 1), longestMs);
        await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
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

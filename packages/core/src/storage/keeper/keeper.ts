import { setTimeout as sleep } from "node:timers/promises";
import type { AuditCheckpoint } from "../../domain/audit-proofs.ts";
import { StorageError } from "../../errors/storage-error.ts";
import { newestCheckpoint, signNow } from "../domains/audit-signing.ts";
import type { HandleContext } from "../domains/context.ts";
import { trailSignal } from "../domains/trail-signal.ts";
import { unfinishedMark } from "../move/mark.ts";
import type { Anchor } from "./anchor.ts";
import { anchoredSize, rememberAnchored } from "./anchored.ts";
import { Deliveries, type Delivery } from "./deliveries.ts";
import { Ledger } from "./ledger.ts";
import { Schedule } from "./schedule.ts";

/** What a keeper tells of, for a log. */
export type KeeperEvent =
  | { readonly kind: "signed"; readonly orgId: string; readonly checkpoint: AuditCheckpoint }
  | {
      readonly kind: "anchored";
      readonly orgId: string;
      readonly anchor: string;
      readonly size: number;
    }
  | {
      readonly kind: "failed";
      /** `signing`, or the label of an anchor. */
      readonly what: string;
      /** `null` when it concerns no trail in particular. */
      readonly orgId: string | null;
      readonly error: unknown;
    }
  | { readonly kind: "recovered"; readonly what: string }
  /** Nothing can be signed; told once. */
  | { readonly kind: "off"; readonly reason: string };

/** How a keeper's work stands. */
export interface KeeperStatus {
  /** Why nothing is signed; `null` when checkpoints are. */
  readonly off: string | null;
  /** Entries that no checkpoint vouches for yet, as far as this process knows: those that others append show once it looks again. For how long the oldest waits. */
  readonly unsignedEntries: number;
  readonly unsignedSeconds: number;
  /** As before, of entries that some anchor doesn't vouch for; `null` without an anchor. */
  readonly unanchoredEntries: number | null;
  readonly unanchoredSeconds: number | null;
}

/** How checkpoints are kept. */
export interface KeeperSettings {
  readonly everyEntries: number;
  readonly everyMs: number;
  readonly anchors: readonly Anchor[];
  readonly onEvent: (event: KeeperEvent) => void;
}

/** Trails signed at the same time at most. */
const concurrency = 4;
/** Milliseconds before what failed is tried again. */
const retryMs = 5000;
/** Milliseconds between two looks at all trails, at the least. */
const leastSweepMs = 1000;

/**
 * Signs a checkpoint of each trail that grows, and hands it to the anchors. Nothing that fails here stops an append.
 */
export class Keeper {
  readonly #contextOf: (orgId: string) => HandleContext;
  readonly #settings: KeeperSettings;
  readonly #ledger: Ledger;
  readonly #schedule: Schedule;
  readonly #deliveries: readonly Deliveries[];
  readonly #ending = new AbortController();
  readonly #sweeping: Promise<void>;
  readonly #unsubscribe: () => void;
  #signingFails = false;
  #off: string | null = null;

  constructor(context: HandleContext, settings: KeeperSettings) {
    this.#contextOf = (orgId) => ({ ...context, orgId });
    this.#settings = settings;
    this.#ledger = new Ledger(settings.anchors.length);
    this.#schedule = new Schedule(concurrency, (orgId) => this.#sign(orgId));
    this.#deliveries = settings.anchors.map((anchor, i) => this.#deliveriesTo(anchor, i));
    this.#unsubscribe = trailSignal(context.backend).onAppended((orgId, lastSeq, count) =>
      this.#appended(orgId, lastSeq + 1, count),
    );
    this.#sweeping = this.#sweep(context);
  }

  status(): KeeperStatus {
    const now = Date.now();
    const unsigned = this.#ledger.unsigned(now);
    const unanchored = this.#deliveries.length === 0 ? null : this.#ledger.unanchored(now);
    return {
      off: this.#off,
      unsignedEntries: unsigned.entries,
      unsignedSeconds: unsigned.seconds,
      unanchoredEntries: unanchored?.entries ?? null,
      unanchoredSeconds: unanchored?.seconds ?? null,
    };
  }

  /** Ends timers and waiting; what is being signed is finished. */
  async close(): Promise<void> {
    this.#ending.abort();
    this.#unsubscribe();
    await this.#schedule.close();
    await Promise.all(this.#deliveries.map((deliveries) => deliveries.close()));
    await this.#sweeping;
  }

  #appended(orgId: string, size: number, count: number): void {
    if (this.#off !== null) return;
    const unsigned = this.#ledger.grew(orgId, size, count, Date.now());
    if (unsigned === 0) return;
    if (unsigned >= this.#settings.everyEntries) this.#schedule.within(orgId, 0);
    else this.#schedule.within(orgId, this.#settings.everyMs);
  }

  async #sign(orgId: string): Promise<void> {
    try {
      const checkpoint = await signNow(this.#contextOf(orgId), undefined);
      if (this.#signingFails) this.#settings.onEvent({ kind: "recovered", what: "signing" });
      this.#signingFails = false;
      this.#signed(orgId, checkpoint);
    } catch (error) {
      this.#signingFailed(orgId, error);
    }
  }

  #signed(orgId: string, checkpoint: AuditCheckpoint): void {
    const signedAtMs = Date.now();
    this.#settings.onEvent({ kind: "signed", orgId, checkpoint });
    const unsigned = this.#ledger.signed(orgId, checkpoint.size, signedAtMs);
    if (unsigned >= this.#settings.everyEntries) this.#schedule.within(orgId, 0);
    else if (unsigned > 0) this.#schedule.within(orgId, this.#settings.everyMs);
    for (const deliveries of this.#deliveries) deliveries.offer({ orgId, checkpoint, signedAtMs });
  }

  #signingFailed(orgId: string, error: unknown): void {
    if (this.#ending.signal.aborted) return;
    if (StorageError.is(error, "NOT_FOUND")) {
      // Erased meanwhile: there is nothing to sign.
      this.#ledger.close(orgId);
    } else if (isKeyless(error)) {
      this.#turnOff(error.message);
    } else {
      this.#tellOf(error, orgId);
      this.#schedule.within(orgId, isRetryable(error) ? retryMs : this.#settings.everyMs);
    }
  }

  /** Tells of a failure to sign; of one that concerns all trails, as an outage does, once. */
  #tellOf(error: unknown, orgId: string | null): void {
    // Another instance was quicker: nothing to tell of.
    if (StorageError.is(error, "CONFLICT")) return;
    if (!(this.#signingFails && isRetryable(error)))
      this.#settings.onEvent({ kind: "failed", what: "signing", orgId, error });
    this.#signingFails ||= isRetryable(error);
  }

  /** Without a key, or with another one than before, nothing can be signed until the process starts anew. */
  #turnOff(reason: string): void {
    if (this.#off !== null) return;
    this.#off = reason;
    this.#schedule.clear();
    this.#ledger.clear();
    this.#settings.onEvent({ kind: "off", reason });
  }

  #deliveriesTo(anchor: Anchor, index: number): Deliveries {
    let failing = "";
    return new Deliveries(anchor, {
      delivered: async ({ orgId, checkpoint, signedAtMs }: Delivery) => {
        await rememberAnchored(this.#contextOf(orgId), anchor.id, checkpoint.size);
        this.#ledger.anchored(orgId, index, checkpoint.size, signedAtMs);
        const { size } = checkpoint;
        this.#settings.onEvent({ kind: "anchored", orgId, anchor: anchor.label, size });
      },
      failed: ({ orgId }, error) => {
        const message = error instanceof Error ? error.message : String(error);
        if (message === failing) return;
        failing = message;
        this.#settings.onEvent({ kind: "failed", what: anchor.label, orgId, error });
      },
      recovered: () => {
        failing = "";
        this.#settings.onEvent({ kind: "recovered", what: anchor.label });
      },
    });
  }

  /**
   * Finds what other processes have left unsigned or unanchored: earlier ones at the start, from then on those that append beside this one and
   * sign nothing, or have died before they did.
   */
  async #sweep(context: HandleContext): Promise<void> {
    const { signal } = this.#ending;
    const sweepMs = Math.max(this.#settings.everyMs, leastSweepMs);
    while (!signal.aborted && this.#off === null) {
      const pauseMs = await this.#takeUpAll(context).then(
        () => sweepMs,
        (error: unknown) => {
          if (!signal.aborted) this.#tellOf(error, null);
          return isRetryable(error) ? retryMs : sweepMs;
        },
      );
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async #takeUpAll(context: HandleContext): Promise<void> {
    if (context.backend.kind === "postgres") await this.#needKey(context);
    if (this.#off !== null) return;
    for (const orgId of await context.backend.organisations({ now: context.clock() })) {
      if (this.#ending.signal.aborted) return;
      if (orgId === unfinishedMark) continue;
      await this.#takeUp(orgId).catch((error: unknown) => {
        // Damage of one organisation is no reason to leave the others unsigned.
        if (!StorageError.is(error, "CORRUPTION")) throw error;
        this.#tellOf(error, orgId);
      });
    }
  }

  /** Files get a key when they need one; a database doesn't. */
  async #needKey({ backend }: HandleContext): Promise<void> {
    const { ring } = await backend.keyState();
    if (ring === null) this.#turnOff(noKey);
  }

  async #takeUp(orgId: string): Promise<void> {
    const context = this.#contextOf(orgId);
    const call = { now: context.clock() };
    const newest = await newestCheckpoint(context, call);
    const { size } = await context.backend.auditHead(orgId, call);
    const signed = newest?.size ?? 0;
    if (size > signed) this.#appended(orgId, size, size - signed);
    if (newest === null) return;
    const signedAtMs = Date.parse(newest.signedAt);
    for (const [i, { id }] of this.#settings.anchors.entries()) {
      const anchored = await anchoredSize(context, id);
      if (anchored >= newest.size) continue;
      this.#ledger.behind(orgId, i, { size, anchored }, signedAtMs);
      this.#deliveries[i]?.offer({ orgId, checkpoint: newest, signedAtMs });
    }
  }
}

const noKey =
  "Checkpoints are not signed: set CODESPAR_ENCRYPTION_KEY, under which the signing keys are kept, and start again. Make one with: openssl rand -base64 32";

function isKeyless(error: unknown): error is StorageError {
  return StorageError.is(error, "ENCRYPTION_KEY_MISSING") || StorageError.is(error, "KEY_MISMATCH");
}

function isRetryable(error: unknown): boolean {
  return StorageError.is(error) && error.retryable;
}

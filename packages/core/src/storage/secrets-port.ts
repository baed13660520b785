import type { PreparedEntry } from "../audit/entry.ts";
import type { KeyRing } from "../crypto/key-ring.ts";
import type { SealedRef, SealedTable } from "./stored-keys.ts";

/** The part of the port that concerns sealed secrets and the keys that seal them. */
export interface SecretsPort {
  /**
   * The key ring that seals this target's secrets, checked against what is stored. The first ring to ask leaves its canary.
   *
   * @param use - before sealing, the check is made anew: a process that was left behind with an earlier key must not seal with it
   * @throws StorageError `ENCRYPTION_KEY_MISSING`, `KEY_MISMATCH`
   */
  keyRing(use?: "open" | "seal"): Promise<KeyRing>;

  /** The keys as they are, unchecked and without making any. */
  keyState(): Promise<KeyState>;

  /** How many records each key has sealed, in all organisations. */
  sealedCounts(): Promise<readonly SealedCount[]>;

  /**
   * Puts other envelopes in the place of those that seal records, and appends entries that say so: all of it in one durable step, or nothing.
   * What the records say stays as it was, their versions and instants too.
   *
   * @throws ExpectationFailed when a record's envelope isn't `from` any more
   */
  reseal(orgId: string, step: ResealStep, nowMs: number): Promise<void>;

  /**
   * The ring that everything is to be sealed with from now on.
   *
   * @param newKey - makes a new key the first, unless an earlier rotation hasn't ended: only where the target keeps a key of its own. Where keys
   * are configured, their order is the operator's
   * @throws StorageError as {@link SecretsPort.keyRing}
   */
  beginRotation(newKey: boolean): Promise<KeyRing>;
  /** Seals the canary with the ring's first key: a process without this key is told so from now on. */
  sealCanary(): Promise<void>;
  /** Lets go of the earlier keys that the target keeps by itself, once nothing is sealed with them. Configured ones are the operator's to remove. */
  dropEarlierKeys(): Promise<void>;
}

/** The keys that a target has. */
export interface KeyState {
  /** `null` while there is no key. */
  readonly ring: KeyRing | null;
  /** The known text sealed with the deployment's key, by which a wrong key is told. */
  readonly canary: string | null;
  /** Whether keys are configured, or one is kept beside the files. */
  readonly source: "configured" | "folder" | null;
}

/** How many records of a table a key has sealed. */
export interface SealedCount {
  readonly table: SealedTable;
  readonly keyId: string;
  readonly count: number;
}

/** One step of sealing anew. */
export interface ResealStep {
  readonly envelopes: readonly ResealedEnvelope[];
  readonly entries: readonly PreparedEntry[];
}

/** A record's envelope, and what takes its place. */
export interface ResealedEnvelope extends SealedRef {
  readonly from: string;
  readonly to: string;
}

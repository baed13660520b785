import type { AuditEntry, AuditInput, AuditOutcome } from "../domain/audit.ts";
import type { AuditExport } from "../domain/audit-export.ts";
import type {
  AuditCheckpoint,
  AuditConsistency,
  AuditKey,
  AuditProof,
  AuditStream,
  AuditVerification,
  AuditVerifyInput,
} from "../domain/audit-proofs.ts";
import type {
  AuditExportOptions,
  AuditListOptions,
  CallOptions,
  Listing,
  ListOptions,
} from "./options.ts";

/** The hash-chained trail: table `audit_log`. Entries are only ever added. */
export interface Audit {
  /**
   * Seals an entry at the end of the organisation's trail. Gapless and fork-free from any number of processes. A call with an
   * id that the trail holds returns the entry that is there, so that a retry never doubles one.
   *
   * @throws StorageError `VALIDATION` for an action that CodeSpar records by itself, such as `agent.registered` or all that begin with `audit.`;
   * `ALREADY_EXISTS` when the id belongs to an entry that says something else; `LIMIT_EXCEEDED` beyond 64 KiB
   */
  append(entry: AuditInput, options?: CallOptions): Promise<AuditEntry>;
  /**
   * Seals that something irreversible is about to be done, before it is: outcome `pending`, under a correlation id (a new one unless given).
   * {@link Audit.outcome} says what became of it; until then `list({ unresolved: true })` has it.
   *
   * @throws StorageError as {@link Audit.append}
   */
  intent(entry: Omit<AuditInput, "outcome">, options?: CallOptions): Promise<AuditEntry>;
  /**
   * Seals what became of an intent, with its correlation id; what isn't given (actor, action, target, agent, project, risk) is the intent's.
   *
   * The trail records what is said, and judges nothing: the first outcome resolves the intent, a later one is an entry like any other, whether it
   * agrees or not. A retry that must not add one gives the same `id`.
   *
   * @param intent - the entry that {@link Audit.intent} returned, or its id
   * @throws StorageError `NOT_FOUND` when the trail has no such entry; `VALIDATION` when it isn't an intent; otherwise as {@link Audit.append}
   */
  outcome(
    intent: AuditEntry | string,
    outcome: Exclude<AuditOutcome, "pending">,
    entry?: Partial<Omit<AuditInput, "outcome" | "correlationId">>,
    options?: CallOptions,
  ): Promise<AuditEntry>;
  /** The entry at this position, or `null`. */
  get(seq: number, options?: CallOptions): Promise<AuditEntry | null>;
  /** The entry with this id, or `null`. */
  getById(id: string, options?: CallOptions): Promise<AuditEntry | null>;
  /** Entries by filter, newest first unless `order` is `asc`. */
  list(options?: AuditListOptions): Listing<AuditEntry>;
  /**
   * The organisation's entries as they are sealed, by whatever process: each once, in order, without gaps, until `signal` fires, which ends
   * the iteration without an error.
   *
   * @param options - `after`: the sequence number to go on behind; -1 for the beginning of the trail, by default its end as it is found when
   * this is called
   * @throws StorageError `NOT_FOUND` from the iteration, when the trail hasn't reached `after`, or the organisation is erased meanwhile: what is
   * sealed then is another trail
   */
  watch(options: { readonly after?: number; readonly signal: AbortSignal }): AuditStream;

  /**
   * Erases the details of an entry and seals an entry `audit.redacted` that says so, both or neither. Chain, tree and all proofs stay
   * valid; the entry shows as redacted from then on. Again it erases nothing and returns the entry that says so;
   * what is asked for in vain is an entry `audit.redaction_failed`.
   *
   * @param reason - why, as details of the new entry: may itself be erased
   * @returns the entry that was sealed
   * @throws StorageError `NOT_FOUND` without such an entry, or details of it; `UNSUPPORTED` when the database login may not erase
   */
  redact(seq: number, reason: string, options?: CallOptions): Promise<AuditEntry>;

  /**
   * Signs what the trail holds now; the latest checkpoint when it holds nothing new. Only after the tree was proven to be consistent with
   * the checkpoint before. The first one makes the trail's signing key.
   *
   * @throws StorageError `NOT_FOUND` for an empty trail; `CORRUPTION` when the tree isn't consistent; `ENCRYPTION_KEY_MISSING`, `KEY_MISMATCH`
   */
  checkpoint(options?: CallOptions): Promise<AuditCheckpoint>;
  /** Signed checkpoints by size, newest first unless `reverse` is `false`. */
  checkpoints(options?: ListOptions): Listing<AuditCheckpoint>;
  /**
   * Proves that an entry is in the trail: in O(log n), without reading the trail.
   *
   * @param seq - the entry
   * @param options - `size`: of the checkpoint to prove it against; the latest by default, which is signed first if it doesn't hold the entry yet
   * @throws StorageError `NOT_FOUND` without such an entry, or a checkpoint of that size that holds it; otherwise as {@link Audit.checkpoint}
   */
  prove(seq: number, options?: CallOptions & { readonly size?: number }): Promise<AuditProof>;
  /**
   * Proves that the trail of `to` entries begins with that of `from`.
   *
   * @param to - the trail's size by default
   * @throws StorageError `VALIDATION` unless `0 <= from <= to`; `NOT_FOUND` when the trail has fewer than `to`
   */
  consistency(from: number, to?: number, options?: CallOptions): Promise<AuditConsistency>;
  /** The keys that sign or signed this trail's checkpoints, newest first. */
  keys(options?: CallOptions): Promise<readonly AuditKey[]>;
  /**
   * Puts a new signing key in the place of the present one: seals an entry `audit.key_rotated`, signs a checkpoint with both, and destroys the
   * old key's private part.
   *
   * @throws StorageError as {@link Audit.checkpoint}
   */
  rotateKey(options?: CallOptions): Promise<AuditKey>;

  /**
   * Reads the trail as it is now and checks every entry (canonical bytes, hash, link, sealing time, searchable copy, each part against its
   * commitment), the tree, every checkpoint's root and signature, and consistency with what the caller kept. Read-only, streaming,
   * constant memory.
   *
   * @param options - `onProgress` is called about every thousand entries
   * @throws StorageError `VALIDATION` for a trusted key or a kept checkpoint that is none, or a checkpoint that is damaged
   */
  verify(
    options?: CallOptions &
      AuditVerifyInput & {
        readonly onProgress?: (progress: {
          readonly checked: number;
          readonly size: number;
        }) => void;
      },
  ): Promise<AuditVerification>;

  /**
   * Writes out the trail, bound to one checkpoint: seals an entry `audit.exported` that names format and filter, signs a checkpoint
   * over it, and gives the entries below that, oldest first.
   *
   * JSON Lines and CSV take the filters of a listing. Where nothing can be signed they are written all the same, and say so; a bundle isn't.
   *
   * @param options - `signal` also ends the reading of {@link AuditExport.content}
   * @throws StorageError `VALIDATION` for a bundle with a filter; `UNSUPPORTED` on files opened read-only; `ENCRYPTION_KEY_MISSING`,
   * `KEY_MISMATCH` for a bundle; otherwise as {@link Audit.append} and {@link Audit.checkpoint}
   */
  export(options: AuditExportOptions): Promise<AuditExport>;
}

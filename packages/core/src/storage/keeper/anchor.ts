import type { AuditCheckpoint } from "../../domain/audit-proofs.ts";

/** Where checkpoints are kept out of reach of whoever has the storage. */
export interface Anchor {
  /** Names it in records, at most 128 bytes: another folder or address is another anchor. */
  readonly id: string;
  /** Names it to people; without anything secret. */
  readonly label: string;
  /**
   * Hands a checkpoint over; resolves once it is kept. Again with the same one it does no harm.
   *
   * @param signal - ends the attempt
   * @throws Error saying why it isn't kept
   */
  keep(checkpoint: AuditCheckpoint, signal: AbortSignal): Promise<void>;
}

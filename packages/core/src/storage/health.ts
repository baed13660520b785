import type { ErrorCode } from "../errors/codes.ts";

/** Answer of `storage.health()`. What could not be looked at is `null`: unknown. */
export interface Health {
  readonly ok: boolean;
  readonly backend: "file" | "postgres";
  /** Time of one round trip to the backend, in milliseconds. */
  readonly latencyMs: number;
  /** Whether an acknowledged write survives a crash: `false` with `synchronous_commit` off or local. */
  readonly durable: boolean | null;
  /** Who keeps organisations apart: `files` (a folder each), `roles` (row-level security under a role of its own), `policies` (row-level security under the table owner). */
  readonly isolation: "files" | "roles" | "policies" | null;
  readonly migrations: { readonly applied: number; readonly pending: number } | null;
  /** Whether secrets can be sealed, and if not why. */
  readonly encryption: "ready" | "missing" | "mismatch" | null;
  /** Things to know that don't stop the service, each with its remedy. */
  readonly warnings: readonly string[];
  /** Set when not `ok`. */
  readonly code?: ErrorCode;
  /** Set when not `ok`: what is wrong and the remedy, in one sentence. */
  readonly reason?: string;
}

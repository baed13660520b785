import type { Pool } from "pg";
import type { AgentStatus } from "../domain/agent.ts";
import type { AuditFilter } from "../domain/audit.ts";
import type { AuditExportFormat } from "../domain/audit-export.ts";
import type { SubscriberStatus } from "../domain/subscriber.ts";

/** What every call accepts as part of its last argument. An option that a call doesn't have is refused with `VALIDATION`, not ignored. */
export interface CallOptions {
  /**
   * Takes back what hasn't been sent: `ABORTED`. Once sent, the call still rejects at once with `ABORTED`, whose message says
   * "outcome unknown"; work that others share, or that commits, is never cancelled.
   */
  readonly signal?: AbortSignal;
}

/** Preconditions of a write. At most one of them; when it doesn't hold: `PRECONDITION_FAILED`. */
export interface Preconditions {
  /** Only when the record has exactly this version. */
  readonly ifVersion?: string;
  /** Only when there is no such record (an expired one counts as none). */
  readonly ifAbsent?: boolean;
}

/** When a memory entry expires. At most one of them; neither means never. */
export interface Expiry {
  /** From now, in milliseconds: 1,000 to ten years. */
  readonly ttlMs?: number;
  /** At this instant: a `Date` or an ISO 8601 string with a time zone, 1 s to ten years ahead. */
  readonly expiresAt?: Date | string;
}

/** Options of a write to a record. */
export interface WriteOptions extends CallOptions, Preconditions {}

/** Options of a delete. */
export interface DeleteOptions extends CallOptions, Pick<Preconditions, "ifVersion"> {}

/** Options of `memory.set`. */
export interface MemorySetOptions extends WriteOptions, Expiry {
  /** Writes an audit entry in the same transaction; it names the key, never the value. Default `false`. */
  readonly record?: boolean;
}

/** Options of `memory.delete` and the calls on many keys. */
export interface MemoryDeleteOptions extends DeleteOptions {
  /** Writes an audit entry in the same transaction. Default `false`. */
  readonly record?: boolean;
}

/** One write of `memory.setMany`. */
export interface MemorySetItem extends Preconditions, Expiry {
  readonly key: string;
  readonly value: unknown;
}

/** Options of `memory.setMany` and `memory.deleteMany`. */
export interface MemoryManyOptions extends CallOptions {
  /** Writes one audit entry per changed key in the same transaction. Default `false`. */
  readonly record?: boolean;
}

/** Options of every listing. */
export interface ListOptions extends CallOptions {
  /** Records on a page: 1 to 1,000, 100 by default. */
  readonly limit?: number;
  /** `nextCursor` of the page before. Opaque; good only for the same organisation, table and filters. */
  readonly cursor?: string;
  /** Descending order of the UTF-8 bytes of the key. Default `false`. */
  readonly reverse?: boolean;
}

/** Options of listings by key prefix. */
export interface PrefixListOptions extends ListOptions {
  /** Only keys that begin with exactly this text: no wildcards. */
  readonly prefix?: string;
}

/** Options of `agentStates.list`. */
export interface AgentListOptions extends ListOptions {
  readonly status?: AgentStatus;
}

/** Options of `subscribers.list`. */
export interface SubscriberListOptions extends ListOptions {
  readonly status?: SubscriberStatus;
  readonly source?: string;
}

/** Options of `audit.list`. */
export interface AuditListOptions extends Omit<ListOptions, "reverse">, AuditFilter {
  /** `desc` (newest first) by default. */
  readonly order?: "asc" | "desc";
}

/** Options of `audit.export`. */
export interface AuditExportOptions extends CallOptions, AuditFilter {
  readonly format: AuditExportFormat;
}

/** One page. `nextCursor` is `null` on the last one. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextCursor: string | null;
}

/**
 * A listing: `await` gives one page, `for await` every item of it and of the pages that follow. A record that is there during
 * the whole iteration is given exactly once, whatever else changes. Each `await` reads anew.
 */
export interface Listing<Item> extends PromiseLike<Page<Item>>, AsyncIterable<Item> {}

/** What `createStorage` takes besides the organisation. */
export interface StorageOptions {
  /** `postgres://…`. Default: `DATABASE_URL`. Not together with `directory`. */
  readonly databaseUrl?: string;
  /** Folder of the JSON files. Default: `CODESPAR_STORAGE_DIR`, else `.codespar` in the working directory. Naming it chooses files even when `DATABASE_URL` is set. */
  readonly directory?: string;
  /** Files only: opens without the lock, and every write is `UNSUPPORTED`. What was there at opening is what is seen. Default `false`. */
  readonly readOnly?: boolean;
  /** PostgreSQL only: a pool of the caller's, never ended by the library. Not together with `databaseUrl`. */
  readonly pool?: Pool;
  /** PostgreSQL only: connections of the library's own pool, 1 to 1,000. Default 10. */
  readonly maxConnections?: number;
  /** PostgreSQL only: milliseconds to get a connection. Default 5,000. */
  readonly connectionTimeoutMs?: number;
  /** PostgreSQL only: milliseconds a statement may take, or a call wait for its turn, before it is `UNAVAILABLE`. Default 30,000. */
  readonly statementTimeoutMs?: number;
  /** PostgreSQL only: lets concurrent single-record calls of one organisation share a statement. Default `true`. */
  readonly coalesce?: boolean;
  /** PostgreSQL only: names prepared statements on the server. Turn off behind a PgBouncer below 1.21. Default `true`. */
  readonly preparedStatements?: boolean;
  /** Keys that seal secrets: see `CODESPAR_ENCRYPTION_KEY`, its default. On files a key is generated when none is set. One that can't be a key is refused at once. */
  readonly encryptionKey?: string;
  /** Largest memory value as JSON text, in UTF-8 bytes: up to 1 MiB. Default 256 KiB. */
  readonly maxValueBytes?: number;
  /** Milliseconds since the epoch; for tests. Default `Date.now`. */
  readonly clock?: () => number;
}

import type { PreparedEntry, SealedLeaf } from "../audit/entry.ts";
import type { AuditProjection } from "../audit/projection.ts";
import type { TreeTile } from "../audit/tiles.ts";
import type { OpenIntent } from "../audit/verify-intents.ts";
import type { Secret } from "../crypto/secret.ts";
import type { AuditFilter } from "../domain/audit.ts";
import type { AuditFailure } from "../domain/audit-proofs.ts";
import type { Health } from "./health.ts";
import type { SecretsPort } from "./secrets-port.ts";
import type { TableName } from "./tables.ts";

export type { OpenIntent, TreeTile };

/**
 * The port behind the contract: what a backend must supply. Domains, preconditions, transactions, sealing of secrets and the
 * bytes of the trail are built once on top of it, so a backend knows records and nothing about what they mean.
 */
export interface Backend extends SecretsPort {
  readonly kind: "file" | "postgres";

  /**
   * Reads records by key, in the order asked. What is missing or expired at `now` is `null`.
   *
   * @throws StorageError `UNAVAILABLE`, `CORRUPTION`, `SCHEMA_PENDING`, `SCHEMA_DRIFT`, `STORAGE_LOCKED`, `ABORTED`
   */
  read(
    orgId: string,
    refs: readonly RecordRef[],
    context: CallContext,
  ): Promise<(StoredRecord | null)[]>;

  /** One page of a table in the order of the UTF-8 bytes of the key, expired records left out. */
  list(orgId: string, query: RecordQuery, context: CallContext): Promise<StoredRecord[]>;

  /** Counts a table's records by the values of one text column, expired records left out. */
  countBy(
    orgId: string,
    table: TableName,
    columns: readonly string[],
    context: CallContext,
  ): Promise<CountRow[]>;

  /** The distinct agents for which unexpired memory is stored, in key order; costs what the page costs. */
  agentsWithMemory(orgId: string, query: KeyRange, context: CallContext): Promise<string[]>;

  /**
   * One atomic, durable step: every check and expectation holds and all of it is written, or nothing is. Resolves only once
   * it survives a crash. Expired records count as absent. Entries are appended last, in order, sealed with gapless sequence
   * numbers; an id that the trail already holds is not appended again, and its stored leaf is returned instead.
   *
   * @throws ExpectationFailed when a check or expectation doesn't hold
   * @throws EntryKnown when the trail holds an id of `Commit.chosenIds`
   * @throws UniqueViolation when a unique column's value belongs to another record
   * @throws StorageError `UNAVAILABLE` (says "outcome unknown" when it is), `ABORTED`, `LIMIT_EXCEEDED`, …
   */
  commit(orgId: string, commit: Commit, context: CallContext): Promise<CommitResult>;

  /** A page of the trail by filter, ascending or descending by sequence number. */
  listAudit(orgId: string, query: AuditQuery, context: CallContext): Promise<AuditRow[]>;
  /** The entry with this id, or `null`. */
  findAudit(orgId: string, id: string, context: CallContext): Promise<AuditRow | null>;
  /** The trail's size, head hash and origin. `log` is `null` while the trail is empty. */
  auditHead(orgId: string, context: CallContext): Promise<AuditHead>;

  /**
   * Reads tiles of the trail's Merkle tree (C2SP tlog-tiles, height 8), in the order asked: `width` hashes of 32 bytes each, from the
   * tile's beginning, or fewer where some are missing. The caller asks only for hashes that the trail's present size completes.
   */
  treeTiles(orgId: string, tiles: readonly TreeTile[], context: CallContext): Promise<Uint8Array[]>;

  /** A page of the stored list of open intents, ascending; `null` where a backend finds them from the entries each time. */
  openIntents(
    orgId: string,
    page: { readonly after: number; readonly limit: number },
    context: CallContext,
  ): Promise<OpenIntent[] | null>;
  /** Something that is stored of the trail and is part of no entry and no tile of it, which reading those doesn't meet. */
  strayInTrail(orgId: string, context: CallContext): Promise<AuditFailure | null>;

  /**
   * The API key with this id, or `null`. Asked for whoever presents one, so it costs the same, and leaves as little behind, for organisations and
   * keys that don't exist.
   */
  findApiKey(orgId: string, id: string, context: CallContext): Promise<StoredRecord | null>;
  /** Whether any organisation has an API key, one that has ended included. */
  hasApiKeys(context: CallContext): Promise<boolean>;

  /** Answers within `timeoutMs`, never throws: what can't be reached shows as a reason. */
  health(timeoutMs: number): Promise<Health>;

  /** The organisations that hold anything, in key order. Of a page all in it are asked for, and others may come too. */
  organisations(context: CallContext, page?: OrganisationPage): Promise<string[]>;

  /**
   * Takes over a whole trail or a run of it as it is: same bytes, sequence numbers and hashes. Only for an organisation whose trail ends
   * at `rows[0].seq`; every hash and link is checked before it is stored.
   */
  importAudit(orgId: string, rows: readonly AuditRow[], context: CallContext): Promise<void>;
  /**
   * Writes records as they are, with their versions and instants, where there are none yet.
   *
   * @throws UniqueViolation when a Slack workspace belongs to another organisation
   */
  importRecords(
    orgId: string,
    table: TableName,
    records: readonly StoredRecord[],
    context: CallContext,
  ): Promise<void>;

  /**
   * Erases an organisation for good: its records, trail, parts, keys, routes and, on files, its folder. In steps, so that a large one neither
   * locks others out nor lies in memory; broken off, the same call goes on where it ended. Nothing of other organisations changes.
   *
   * @param onStep - told after each step how many rows of a table went with it
   * @returns whether its files were damaged, so that what didn't read went uncounted
   * @throws StorageError `UNSUPPORTED` when the database login may not erase
   */
  eraseOrganisation(
    orgId: string,
    context: CallContext,
    onStep: (table: string, rows: number) => void,
  ): Promise<boolean>;

  /**
   * Removes what is left of an organisation that holds nothing any more; one that holds something stays. Only where that is anything,
   * and while nobody else uses the organisation.
   */
  removeEmpty?(orgId: string, context: CallContext): Promise<void>;

  /** Tells other processes on this machine where this one's HTTP API is. Only where one process holds the storage. */
  publishServer?(server: { readonly url: string; readonly token: Secret }): Promise<void>;

  /** Waits for work in flight, then lets go of connections, locks and timers. Idempotent. */
  close(): Promise<void>;
}

/** What every call carries. */
export interface CallContext {
  readonly signal?: AbortSignal | undefined;
  /** The instant of the call, in milliseconds since the epoch, from the injected clock. */
  readonly now: number;
  /**
   * For verification: what is stored of the trail is given as it is, damaged or not, where it would else be refused with `CORRUPTION`. A row then
   * says what is wrong with it.
   */
  readonly asIs?: boolean | undefined;
  /** What is stored by now is asked for, also on a handle that goes on showing what there was when it was opened. */
  readonly anew?: boolean | undefined;
}

/** Names a record: its table and the parts of its key that follow `org_id`. */
export interface RecordRef {
  readonly table: TableName;
  readonly key: readonly string[];
}

/** A column's value; JSON columns hold their text. Instants are ISO 8601 UTC strings with milliseconds. */
export type ColumnValue = string | number | boolean | null;

/** A record as a backend keeps it: `columns` has exactly the table's columns besides key and metadata. */
export interface StoredRecord {
  readonly key: readonly string[];
  readonly columns: Readonly<Record<string, ColumnValue>>;
  readonly version: string;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly expiresAt: string | null;
}

/** What must hold of a record for a commit to happen. Expired counts as absent. */
export type Expectation = { readonly absent: true } | { readonly version: string };

/** A record that a transaction read and that must still be what it was. */
export interface Check extends RecordRef {
  readonly expect: Expectation;
}

/**
 * One write. A `put` replaces the record: `createdAt` stays when there is one, otherwise (or with `anew`) it is `context.now`; `updatedAt`
 * is `context.now`.
 * A key appears in at most one write of a commit, and not in its checks.
 */
export type Write = Put | Delete;

export interface Put extends RecordRef {
  readonly kind: "put";
  readonly columns: Readonly<Record<string, ColumnValue>>;
  /** Fresh, unique: an ambiguous commit is recognised by it. */
  readonly version: string;
  readonly expiresAt: string | null;
  readonly expect?: Expectation | undefined;
  /** The transaction deleted the record before it wrote this one: nothing of the old one stays. */
  readonly anew?: true | undefined;
  /** Slack only: routes that belong to one organisation of the whole deployment at a time. */
  readonly claims?: readonly string[] | undefined;
}

export interface Delete extends RecordRef {
  readonly kind: "delete";
  readonly expect?: Expectation | undefined;
  /** Slack only: routes given up with the record. */
  readonly releases?: readonly string[] | undefined;
}

export interface Commit {
  readonly checks: readonly Check[];
  readonly writes: readonly Write[];
  readonly appends: readonly PreparedEntry[];
  /**
   * Ids among `appends` that a caller chose. One that the trail holds fails the commit, unless it is of this very entry: sent twice since
   * an answer was lost.
   */
  readonly chosenIds?: readonly string[] | undefined;
  /** Parts of earlier entries that go for good, with entries among `appends` that say so. What isn't there is passed over. */
  readonly erasures?: readonly Erasure[] | undefined;
}

/** A part to erase. */
export interface Erasure {
  readonly seq: number;
  readonly name: string;
}

/** For a put: whether it made the record, and since when it exists. For a delete: whether there was one. */
export type WriteResult =
  | {
      readonly kind: "put";
      readonly created: boolean;
      readonly createdAt: string;
      readonly updatedAt: string;
    }
  | { readonly kind: "delete"; readonly existed: boolean };

export interface CommitResult {
  /** In the order of `Commit.writes`. */
  readonly writes: readonly WriteResult[];
  /** In the order of `Commit.appends`. */
  readonly appends: readonly SealedLeaf[];
}

/** A range of keys in UTF-8 order: strictly after (or, reversed, before) `after`. */
export interface KeyRange {
  readonly after?: readonly string[] | undefined;
  readonly limit: number;
  readonly reverse?: boolean | undefined;
}

/** So many organisations, strictly after one. */
export interface OrganisationPage {
  readonly after: string;
  readonly limit: number;
}

export interface RecordQuery extends KeyRange {
  readonly table: TableName;
  /** Leading key parts that must be equal, for example the agent of a memory listing. */
  readonly within?: readonly string[] | undefined;
  /** Prefix of the key part that follows `within`, matched literally by code points. */
  readonly prefix?: string | undefined;
  /** Columns that must be equal. */
  readonly where?: Readonly<Record<string, ColumnValue>> | undefined;
  /** The page ends with the row by which its texts and documents reach so many UTF-8 bytes, for then alone it may be shorter than `limit` and not the last.
   * Nothing behind it is read into this process. Of the trail, which has to be ascending and not bare, the bodies of parts count. */
  readonly maxBytes?: number | undefined;
}

/** The counted columns' values, and how many records have them. */
export interface CountRow {
  readonly values: readonly ColumnValue[];
  readonly count: number;
}

/** Filter instants are normalised ISO strings here. */
export interface AuditQuery extends Pick<RecordQuery, "maxBytes"> {
  readonly filter: Omit<AuditFilter, "from" | "to"> & {
    readonly from?: string | undefined;
    readonly to?: string | undefined;
  };
  /** Strictly after this sequence number in the listing's direction. */
  readonly after?: number | undefined;
  readonly limit: number;
  readonly order: "asc" | "desc";
  /** Only bytes and hashes are asked for: a backend may leave out parts and searchable columns when that is quicker. */
  readonly bare?: boolean | undefined;
}

/** One entry as stored. */
export interface AuditRow {
  readonly seq: number;
  /** Exactly the bytes that are hashed. */
  readonly leaf: Uint8Array;
  /** The stored hash, lower-case hex; a backend that keeps none computes it. */
  readonly hash: string;
  readonly parts: readonly AuditPart[];
  /** The searchable columns as stored; `null` where the backend keeps none besides the leaf. */
  readonly projection: AuditProjection | null;
  /** Why a part of it can't be read, in words, where one can't. Only when it was asked for as it is. */
  readonly damage?: string | undefined;
}

/** An erasable part: the body, and the key of the HMAC that commits to it. */
export interface AuditPart {
  readonly name: string;
  readonly salt: Uint8Array;
  /** UTF-8 JSON text. */
  readonly body: string;
}

export interface AuditHead {
  readonly size: number;
  readonly hash: string;
  readonly log: string | null;
}

/** Thrown by a backend's `commit`: names what didn't hold. Never reaches a caller of the library. */
export class ExpectationFailed extends Error {
  override readonly name = "ExpectationFailed";
  readonly ref: RecordRef;
  readonly currentVersion: string | null;

  constructor(ref: RecordRef, currentVersion: string | null) {
    super(`${ref.table} ${ref.key.join("/")}: the expectation does not hold`);
    this.ref = ref;
    this.currentVersion = currentVersion;
  }
}

/** Thrown by a backend's `commit`: the trail holds an id that must be new. Never reaches a caller of the library. */
export class EntryKnown extends Error {
  override readonly name = "EntryKnown";

  constructor(id: string) {
    super(`the trail holds an entry ${id}`);
  }
}

/** Thrown by a backend's `commit`: another record, or another organisation, has this unique value. Never reaches a caller of the library. */
export class UniqueViolation extends Error {
  override readonly name = "UniqueViolation";
  readonly table: TableName;
  /** The unique column, or `route` for a Slack team of another organisation. */
  readonly column: string;

  constructor(table: TableName, column: string) {
    super(`${table}.${column}: the value is taken`);
    this.table = table;
    this.column = column;
  }
}

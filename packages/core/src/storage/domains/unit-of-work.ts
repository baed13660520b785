import { Buffer } from "node:buffer";
import type { PreparedEntry } from "../../audit/entry.ts";
import { limits } from "../../domain/limits.ts";
import { StorageError } from "../../errors/storage-error.ts";
import type {
  CallContext,
  Check,
  Commit,
  Delete,
  Expectation,
  Put,
  RecordRef,
  StoredRecord,
  Write,
} from "../backend.ts";
import type { TableName } from "../tables.ts";
import { checkOperations } from "../validation.ts";
import type { HandleContext } from "./context.ts";
import { newVersion } from "./version.ts";

/**
 * The buffer of one attempt at a transaction. It remembers what was read, absence included, and collects what is to be written;
 * nothing reaches the backend but reads, until {@link UnitOfWork.toCommit}.
 */
export class UnitOfWork {
  readonly call: CallContext;
  readonly #context: HandleContext;
  readonly #reads = new Map<
    string,
    { readonly ref: RecordRef; readonly record: StoredRecord | null }
  >();
  readonly #writes = new Map<string, Write>();
  readonly #appends: PreparedEntry[] = [];
  readonly #chosenIds: string[] = [];
  #bytes = 0;
  #ended = false;

  constructor(context: HandleContext, call: CallContext) {
    this.#context = context;
    this.call = call;
  }

  /** Whoever acts in this transaction. */
  get context(): HandleContext {
    return this.#context;
  }

  /** The record as this transaction sees it. */
  async read(ref: RecordRef): Promise<StoredRecord | null> {
    const [record] = await this.readMany([ref]);
    return record ?? null;
  }

  /** The records as this transaction sees them: those not yet read come from one moment. */
  async readMany(refs: readonly RecordRef[]): Promise<(StoredRecord | null)[]> {
    this.#assertRunning();
    const unread = refs.filter((ref) => !this.#reads.has(idOf(ref)));
    if (unread.length > 0) {
      const records = await this.#context.backend.read(this.#context.orgId, unread, this.call);
      // A concurrent read of the same transaction may have been first: what was remembered first stays.
      for (const [i, ref] of unread.entries()) {
        if (!this.#reads.has(idOf(ref)))
          this.#reads.set(idOf(ref), { ref, record: records[i] ?? null });
      }
      this.#assertRunning();
      this.#assertCount();
    }
    return refs.map((ref) => this.#view(ref));
  }

  /** Buffers a put; resolves nothing. @returns the version that the record will have */
  put(
    ref: RecordRef,
    columns: Put["columns"],
    more?: Pick<Put, "claims"> & { readonly expiresAt?: string | null },
  ): string {
    this.#assertRunning();
    const version = newVersion();
    const earlier = this.#writes.get(idOf(ref));
    const anew = earlier?.kind === "delete" || earlier?.anew === true;
    const put: Put = {
      kind: "put",
      ...ref,
      columns,
      version,
      expiresAt: more?.expiresAt ?? null,
      ...(anew && { anew }),
      claims: more?.claims,
    };
    for (const value of Object.values(columns))
      if (typeof value === "string") this.#bytes += Buffer.byteLength(value);
    if (this.#bytes > limits.transactionBytes) {
      throw new StorageError(
        "LIMIT_EXCEEDED",
        `A transaction writes at most ${limits.transactionBytes} bytes of values: split it.`,
      );
    }
    this.#writes.set(idOf(ref), put);
    this.#assertCount();
    return version;
  }

  /** Buffers a delete. */
  delete(ref: RecordRef, more?: Pick<Delete, "releases">): void {
    this.#assertRunning();
    this.#writes.set(idOf(ref), { kind: "delete", ...ref, releases: more?.releases });
    this.#assertCount();
  }

  /** What this transaction has written to a table so far. */
  writesTo(table: TableName): readonly Write[] {
    return [...this.#writes.values()].filter((write) => write.table === table);
  }

  /** Buffers an audit entry; `chosenId` when its id isn't one of ours, so that the trail may hold it. */
  append(entry: PreparedEntry, chosenId = false): void {
    this.#assertRunning();
    this.#appends.push(entry);
    if (chosenId) this.#chosenIds.push(entry.content.id);
    this.#assertCount();
  }

  /** After this, any use throws `UNSUPPORTED`: a forgotten `await` must not write into nothing. */
  end(): void {
    this.#ended = true;
  }

  /** The entry that it appends under this id, if there is one. */
  entryWithId(id: string): PreparedEntry | undefined {
    return this.#appends.find((entry) => entry.content.id === id);
  }

  /** The records it has read or written so far. */
  touched(): readonly string[] {
    return [...new Set([...this.#reads.keys(), ...this.#writes.keys()])];
  }

  /** What the backend has to do, with everything read as an expectation. */
  toCommit(): Commit {
    const checks: Check[] = [];
    for (const [id, { ref, record }] of this.#reads) {
      if (!this.#writes.has(id)) checks.push({ ...ref, expect: expectationFor(record) });
    }
    const writes = [...this.#writes].map(([id, write]) => {
      const read = this.#reads.get(id);
      return read === undefined ? write : { ...write, expect: expectationFor(read.record) };
    });
    return { checks, writes, appends: this.#appends, chosenIds: this.#chosenIds };
  }

  #view(ref: RecordRef): StoredRecord | null {
    const id = idOf(ref);
    const base = this.#reads.get(id)?.record ?? null;
    const write = this.#writes.get(id);
    if (write === undefined) return base;
    if (write.kind === "delete") return null;
    const now = new Date(this.call.now).toISOString();
    const { key, columns, version, expiresAt } = write;
    const createdAt = write.anew ? now : (base?.createdAt ?? now);
    return { key, columns, version, expiresAt, createdAt, updatedAt: now };
  }

  #assertRunning(): void {
    if (this.#ended) {
      throw new StorageError(
        "UNSUPPORTED",
        "The transaction has ended: await every call inside the function it was given to.",
      );
    }
  }

  #assertCount(): void {
    let operations = this.#writes.size + this.#appends.length;
    for (const id of this.#reads.keys()) if (!this.#writes.has(id)) operations += 1;
    checkOperations(operations);
  }
}

/** One text per record: control characters can't occur in keys. */
export function idOf(ref: RecordRef): string {
  return `${ref.table}\0${ref.key.join("\0")}`;
}

function expectationFor(record: StoredRecord | null): Expectation {
  return record === null ? { absent: true } : { version: record.version };
}

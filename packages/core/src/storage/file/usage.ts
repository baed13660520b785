import { StorageError } from "../../errors/storage-error.ts";

/** What one process holds in memory at most. */
export interface Capacity {
  readonly records: number;
  /** UTF-8 bytes of values. */
  readonly bytes: number;
}

/** Two million records, one gibibyte of values. */
export const defaultCapacity: Capacity = { records: 2_000_000, bytes: 1024 ** 3 };

/** How much of its capacity a store uses, over all loaded organisations. */
export class Usage {
  readonly #capacity: Capacity;
  #records = 0;
  #bytes = 0;

  constructor(capacity: Capacity = defaultCapacity) {
    this.#capacity = capacity;
  }

  add(records: number, bytes: number): void {
    this.#records += records;
    this.#bytes += bytes;
  }

  /**
   * Takes room for a change until the function returned is called. What makes the store smaller always fits.
   *
   * @throws StorageError `LIMIT_EXCEEDED`
   */
  reserve(records: number, bytes: number): () => void {
    if (records > 0) check("records", this.#records + records, this.#capacity.records);
    if (bytes > 0) check("bytes of values", this.#bytes + bytes, this.#capacity.bytes);
    this.add(records, bytes);
    return () => this.add(-records, -bytes);
  }

  /** From 80 % of the capacity on: a sentence for health, else `null`. */
  warning(): string | null {
    const share = Math.max(
      this.#records / this.#capacity.records,
      this.#bytes / this.#capacity.bytes,
    );
    if (share < 0.8) return null;
    return `The files are at ${Math.floor(share * 100)} % of what they are made for (${this.#capacity.records} records, ${this.#capacity.bytes} bytes of values). Set DATABASE_URL and run: codespar move`;
  }
}

function check(what: string, wanted: number, limit: number): void {
  if (wanted <= limit) return;
  throw new StorageError(
    "LIMIT_EXCEEDED",
    `The files would hold ${wanted} ${what}; their limit is ${limit}. Delete some, or set DATABASE_URL and run: codespar move`,
  );
}

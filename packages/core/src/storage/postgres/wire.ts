import { StorageError } from "../../errors/storage-error.ts";
import type { ColumnValue } from "../backend.ts";
import type { ColumnType } from "../tables.ts";

/** A parameter as it goes over the wire: text, or binary. */
export type Parameter = string | Buffer | null;

/** A row as it comes over the wire. */
export type WireRow = readonly (string | null)[];

const oids = { text: 25, bytea: 17 } as const;

/**
 * A one-dimensional array in PostgreSQL's binary format, which needs no quoting: `ndim flags oid length lower-bound`, then for each
 * element its length (-1 for NULL) and its bytes.
 */
export function arrayParameter(
  values: readonly (string | Uint8Array | null)[],
  type: keyof typeof oids = "text",
): Buffer {
  let size = 20;
  for (const value of values) {
    size += 4;
    if (value !== null) size += typeof value === "string" ? Buffer.byteLength(value) : value.length;
  }
  const buffer = Buffer.allocUnsafe(size);
  buffer.writeInt32BE(values.length === 0 ? 0 : 1, 0);
  buffer.writeInt32BE(0, 4);
  buffer.writeInt32BE(oids[type], 8);
  if (values.length === 0) return buffer.subarray(0, 12);
  buffer.writeInt32BE(values.length, 12);
  buffer.writeInt32BE(1, 16);
  let offset = 20;
  for (const value of values) offset = writeElement(buffer, value, offset);
  return buffer;
}

function writeElement(buffer: Buffer, value: string | Uint8Array | null, offset: number): number {
  if (value === null) return buffer.writeInt32BE(-1, offset);
  const start = offset + 4;
  if (typeof value === "string") {
    const length = buffer.write(value, start);
    buffer.writeInt32BE(length, offset);
    return start + length;
  }
  buffer.set(value, start);
  buffer.writeInt32BE(value.length, offset);
  return start + value.length;
}

/** A column's value as text that PostgreSQL casts to the column's type. */
export function toText(value: ColumnValue): string | null {
  return value === null ? null : String(value);
}

/** An instant that was selected as seconds since the epoch. @throws StorageError `CORRUPTION` for `infinity`, which nothing of ours writes */
export function fromEpoch(seconds: string): string {
  const instant = new Date(Math.round(Number(seconds) * 1000));
  if (!Number.isNaN(instant.getTime())) return instant.toISOString();
  throw new StorageError(
    "CORRUPTION",
    `A row of the database has an instant that was never written: ${seconds} seconds since 1970. Restore it from a backup.`,
  );
}

/** A column as it comes over the wire. Instants come as seconds since the epoch: no setting changes those. */
export function fromText(text: string | null, type: ColumnType): ColumnValue {
  if (text === null) return null;
  switch (type) {
    case "integer":
      return Number(text);
    case "boolean":
      return text === "t";
    case "instant":
      return fromEpoch(text);
    case "json":
    case "text":
      return text;
  }
}

import type { KeyRing, SecretPlace } from "../crypto/key-ring.ts";
import { StorageError } from "../errors/storage-error.ts";

/** The columns that hold sealed secrets, by table. */
export const sealedColumns = {
  audit_keys: "seed",
  channel_configs: "credentials",
  slack_installations: "tokens",
} as const;

/** A table that holds them. */
export type SealedTable = keyof typeof sealedColumns;

/** The tables that hold them, in the order in which rows are locked. */
export const sealedTables = Object.keys(sealedColumns).sort() as readonly SealedTable[];

/** What seals a record's secrets; `null` where they are gone. */
export function envelopeOf(
  table: SealedTable,
  columns: Readonly<Record<string, unknown>>,
): string | null {
  const envelope = columns[sealedColumns[table]];
  return typeof envelope === "string" ? envelope : null;
}

/** The id of the key that sealed an envelope. */
export function keyIdOf(envelope: string): string {
  return envelope.split(".")[1] ?? "";
}

/** The ids of the keys that sealed what a record holds: none where its secret is gone. */
export function keyIdsOf(table: SealedTable, columns: Readonly<Record<string, unknown>>): string[] {
  const envelope = envelopeOf(table, columns);
  return envelope === null ? [] : [keyIdOf(envelope)];
}

/** Whether a table holds sealed secrets. */
export function isSealed(table: string): table is SealedTable {
  return Object.hasOwn(sealedColumns, table);
}

/** A record that holds them. */
export interface SealedRef {
  readonly table: SealedTable;
  readonly key: readonly string[];
}

/** Where a record's secrets belong: they open nowhere else. */
export function secretPlace(orgId: string, { table, key }: SealedRef): SecretPlace {
  return { orgId, table, record: key.join("\0"), field: sealedColumns[table] };
}

/**
 * Holds a key ring against what is stored, before anything is sealed or written. The canary decides; secrets without one came by a
 * move, a restore or its loss, and a second key must not begin beside theirs.
 *
 * @param keyIds - ids of the keys that sealed what is stored; asked for only where there is no canary
 * @returns whether there is a canary, which the ring then opens
 * @throws StorageError `KEY_MISMATCH`
 */
export async function checkRing(
  ring: KeyRing,
  canary: string | null,
  keyIds: () => Iterable<string> | Promise<Iterable<string>>,
): Promise<boolean> {
  if (canary !== null) {
    ring.verifyCanary(canary);
    return true;
  }
  const foreign = [...(await keyIds())].filter((id) => !ring.keyIds.includes(id));
  if (foreign.length === 0) return false;
  throw new StorageError(
    "KEY_MISMATCH",
    `Stored secrets are sealed with the key(s) ${foreign.join(", ")}, which are not among those set (${ring.keyIds.join(", ")}). Set CODESPAR_ENCRYPTION_KEY to what has these ids (after a rotation the new key, otherwise the one before), or list it after a newer one: NEW,OLD`,
  );
}

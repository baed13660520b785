import { Buffer } from "node:buffer";
import type { EntryContent } from "../../audit/leaf-text.ts";
import { Secret } from "../../crypto/secret.ts";
import { limits } from "../../domain/limits.ts";
import { StorageError } from "../../errors/storage-error.ts";
import type { ColumnValue, Delete } from "../backend.ts";
import type { CallOptions, Preconditions } from "../options.ts";
import { type SealedRef, sealedColumns, secretPlace } from "../stored-keys.ts";
import { type AutomaticContent, automaticEntry, fruitlessEntry } from "./audit-entries.ts";
import type { HandleContext } from "./context.ts";
import { deleteRecord } from "./record-verbs.ts";
import type { Runner } from "./runner.ts";
import type { UnitOfWork } from "./unit-of-work.ts";

type Secrets = Readonly<Record<string, string>>;

/** Seals a record's secrets for exactly this record. @throws StorageError `LIMIT_EXCEEDED`, `ENCRYPTION_KEY_MISSING`, `KEY_MISMATCH` */
export async function sealSecrets(
  context: HandleContext,
  ref: SealedRef,
  secrets: Secrets,
): Promise<string> {
  const text = JSON.stringify(secrets);
  const bytes = Buffer.byteLength(text);
  if (bytes > limits.secretBytes) {
    throw new StorageError(
      "LIMIT_EXCEEDED",
      `${sealedColumns[ref.table]} must be at most ${limits.secretBytes} bytes of JSON, is ${bytes}.`,
    );
  }
  return (await context.backend.keyRing("seal")).seal(text, secretPlace(context.orgId, ref));
}

/**
 * Opens a record's secrets in a transaction of its own, with the entry that says so: they are handed over once the entry is sealed, never without
 * it.
 *
 * @returns `null` when there is no such record, which leaves an entry too: whoever tries names should be seen
 * @throws StorageError `DECRYPTION_FAILED`, which leaves one as well: somebody may have moved what is sealed; `ENCRYPTION_KEY_MISSING`,
 * `KEY_MISMATCH`
 */
export async function readSecrets(
  runner: Runner,
  refOf: () => SealedRef,
  subject: (ref: SealedRef) => Pick<EntryContent, "target">,
  options: CallOptions | undefined,
): Promise<Readonly<Record<string, Secret>> | null> {
  const read = await runner.run(async (unit) => {
    const ref = refOf();
    const { actor } = unit.context;
    const said = { action: "secret.read", ...subject(ref) } as const;
    const record = await unit.read(ref);
    if (record === null) {
      unit.append(fruitlessEntry(actor, said, "not_found"));
      return null;
    }
    const field = sealedColumns[ref.table];
    try {
      const secrets = await openSecrets(unit.context, ref, record.columns[field]);
      unit.append(automaticEntry(actor, said, { [field]: Object.keys(secrets).sort() }));
      return secrets;
    } catch (error) {
      if (!StorageError.is(error, "DECRYPTION_FAILED")) throw error;
      unit.append(fruitlessEntry(actor, said, "unreadable"));
      return error;
    }
  }, options);
  if (read instanceof StorageError) throw read;
  return read;
}

/**
 * Buffers the delete of a record with its secrets, and its entry. One that isn't there leaves an entry too.
 *
 * @returns whether there was one
 * @throws StorageError `PRECONDITION_FAILED`
 */
export async function deleteSecrets(
  unit: UnitOfWork,
  ref: SealedRef,
  options: Preconditions | undefined,
  said: AutomaticContent,
  more?: Pick<Delete, "releases">,
): Promise<boolean> {
  const existed = await deleteRecord(unit, ref, options, () => said, more);
  if (!existed) unit.append(fruitlessEntry(unit.context.actor, said, "not_found"));
  return existed;
}

/** Opens what {@link sealSecrets} sealed. @throws StorageError `DECRYPTION_FAILED`, `ENCRYPTION_KEY_MISSING`, `KEY_MISMATCH` */
export async function openSecrets(
  context: HandleContext,
  ref: SealedRef,
  envelope: ColumnValue | undefined,
): Promise<Readonly<Record<string, Secret>>> {
  const ring = await context.backend.keyRing();
  const text = ring.open(String(envelope), secretPlace(context.orgId, ref));
  const secrets = JSON.parse(text) as Secrets;
  return Object.fromEntries(
    Object.entries(secrets).map(([name, value]) => [name, new Secret(value)]),
  );
}

/** The names of secrets, which may be shown, sorted. */
export function secretNames(secrets: Secrets): string {
  return JSON.stringify(Object.keys(secrets).sort());
}

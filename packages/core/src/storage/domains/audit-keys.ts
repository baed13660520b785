import { randomBytes } from "node:crypto";
import { creationOf, rotationOf } from "../../audit/actions.ts";
import {
  formatVerifier,
  type NoteSigner,
  type NoteVerifier,
  noteSigner,
  parseVerifier,
} from "../../audit/signed-note.ts";
import type { AuditKey } from "../../domain/audit-proofs.ts";
import { StorageError } from "../../errors/storage-error.ts";
import {
  type CallContext,
  ExpectationFailed,
  type RecordRef,
  type StoredRecord,
} from "../backend.ts";
import type { CallOptions } from "../options.ts";
import { recordPages } from "../pages.ts";
import type { SealedRef } from "../stored-keys.ts";
import { automaticEntry } from "./audit-entries.ts";
import type { HandleContext } from "./context.ts";
import { runTransaction } from "./run-transaction.ts";
import { openSecrets, sealSecrets } from "./sealed-secrets.ts";
import type { UnitOfWork } from "./unit-of-work.ts";

/** A signing key as it is stored: private where it signs. */
export interface StoredKey {
  readonly ref: SealedRef;
  readonly record: StoredRecord;
  readonly vkey: string;
  readonly verifier: NoteVerifier;
  /** Whether it still has its private part: the newest one, and while it takes its place the one before. */
  readonly signs: boolean;
}

/** The trail's keys, oldest first. */
export async function storedKeys(
  { backend, orgId }: HandleContext,
  call: CallContext,
): Promise<StoredKey[]> {
  const keys: StoredKey[] = [];
  for await (const page of recordPages(backend, orgId, "audit_keys", call))
    keys.push(...page.map(keyOf));
  return keys;
}

/** Shows a key. */
export function showKey({ vkey, verifier, record }: StoredKey): AuditKey {
  const { keyId } = verifier;
  const retiredAt = record.columns["retired_at"] as string | null;
  return { keyId, vkey, createdAt: record.createdAt, retiredAt };
}

function keyOf(record: StoredRecord): StoredKey {
  const vkey = String(record.columns["vkey"]);
  return {
    ref: { table: "audit_keys", key: record.key },
    record,
    vkey,
    verifier: parsed(vkey),
    signs: record.columns["seed"] !== null,
  };
}

function parsed(vkey: string): NoteVerifier {
  try {
    return parseVerifier(vkey);
  } catch (error) {
    throw damaged(vkey, error);
  }
}

function damaged(vkey: string, cause?: unknown): StorageError {
  return new StorageError(
    "CORRUPTION",
    `The trail's signing key ${JSON.stringify(vkey.slice(0, 128))} is not what was stored. Restore it, then run: codespar audit verify`,
    { cause },
  );
}

/**
 * Makes the trail's first key, unless it has one, and seals an entry that says so.
 *
 * @param log - the trail's origin, which is the key's name
 */
export async function ensureKey(
  context: HandleContext,
  log: string,
  options: CallOptions | undefined,
): Promise<void> {
  await runTransaction(
    context,
    async (unit) => {
      const size = await readTurn(unit);
      if ((await unit.read(generation(1))) !== null) return;
      takeTurn(unit, size);
      const vkey = await putNewKey(unit, 1, log);
      unit.append(automaticEntry(context.actor, creationOf(vkey)));
    },
    options,
  );
}

/**
 * Puts a new key beside the one that signs, unless that was done already, and seals an entry that says so. Both sign until a checkpoint
 * of both is there.
 *
 * It takes no turn, so that no number of others that sign meanwhile can stop it: what they sign with the present key alone holds, and of two that put
 * the next key there one fails and finds the other's.
 */
export async function addSuccessor(
  context: HandleContext,
  options: CallOptions | undefined,
): Promise<void> {
  await runTransaction(
    context,
    async (unit) => {
      const keys = await storedKeys(context, unit.call);
      // A key that can't be opened can't sign the checkpoint that hands over to the next one.
      const [present, ...others] = (await openKeys(context, keys)).map(({ key }) => key);
      if (present === undefined || others.length > 0) return;
      await holdKeys(unit, [present]);
      const vkey = await putNewKey(unit, numberOf(keys) + 1, present.verifier.name);
      unit.append(automaticEntry(context.actor, rotationOf(present.verifier.keyId, vkey)));
    },
    options,
  );
}

/** The newest checkpoint, as the trail itself has taken it: the first of its anchors. */
export const turnRef: RecordRef = { table: "audit_anchors", key: ["trail"] };

/**
 * The size of the newest checkpoint, 0 before the first. Whatever signs, or makes the first key, reads it before it looks at anything else,
 * and writes it: so of two at the same moment one fails, and sees what the other did when it tries again.
 */
export async function readTurn(unit: UnitOfWork): Promise<number> {
  const record = await unit.read(turnRef);
  return Number(record?.columns["size"] ?? 0);
}

/** See {@link readTurn}. */
export function takeTurn(unit: UnitOfWork, size: number): void {
  unit.put(turnRef, { size: sizeKey(size), anchored_at: new Date(unit.call.now).toISOString() });
}

/** A size as records are keyed by it: as many digits as the largest has, so that they sort. */
export function sizeKey(size: number): string {
  return String(size).padStart(16, "0");
}

/** Makes a transaction depend on keys being what was listed. @throws ExpectationFailed when they no longer are: it is tried again */
export async function holdKeys(unit: UnitOfWork, keys: readonly StoredKey[]): Promise<void> {
  const records = await unit.readMany(keys.map(({ ref }) => ref));
  for (const [i, { ref, record }] of keys.entries()) {
    const version = records[i]?.version ?? null;
    if (version !== record.version) throw new ExpectationFailed(ref, version);
  }
}

async function putNewKey(unit: UnitOfWork, number: number, log: string): Promise<string> {
  const ref = generation(number);
  const there = await unit.read(ref);
  // Put there since the keys were listed: they are looked at again.
  if (there !== null) throw new ExpectationFailed(ref, there.version);
  const seed = randomBytes(32);
  const vkey = formatVerifier(noteSigner(log, seed));
  const sealed = await sealSecrets(unit.context, ref, { seed: seed.toString("hex") });
  unit.put(ref, { vkey, seed: sealed, retired_at: null });
  return vkey;
}

/** The nth key of a trail, from 1. */
function generation(number: number): SealedRef {
  return { table: "audit_keys", key: [String(number).padStart(8, "0")] };
}

/** The number of the newest key. It may be more than there are: one that was none of the trail's own was removed. */
function numberOf(keys: readonly StoredKey[]): number {
  return Number(keys.at(-1)?.ref.key[0] ?? 0);
}

/** A key with its private part. */
export interface OpenKey {
  readonly key: StoredKey;
  readonly signer: NoteSigner;
}

/**
 * Opens the keys that sign, oldest first. One that doesn't open beside others that do is passed over: whoever could write to the storage
 * put it there without the key ring.
 *
 * @throws StorageError when none opens: as {@link signerOf}
 */
export async function openKeys(
  context: HandleContext,
  keys: readonly StoredKey[],
): Promise<OpenKey[]> {
  const open: OpenKey[] = [];
  let unopened: unknown;
  for (const key of keys.filter(({ signs }) => signs)) {
    try {
      open.push({ key, signer: await signerOf(context, key) });
    } catch (error) {
      if (!StorageError.is(error, "DECRYPTION_FAILED") && !StorageError.is(error, "CORRUPTION"))
        throw error;
      unopened = error;
    }
  }
  if (open.length === 0 && unopened !== undefined) throw unopened;
  return open;
}

/**
 * The keys whose checkpoints are the trail's: those that signed, and those that sign and open. Where none opens, for want of the key ring, nobody
 * can tell them apart.
 */
export async function ownKeys(
  context: HandleContext,
  keys: readonly StoredKey[],
): Promise<readonly StoredKey[]> {
  const open = await openKeys(context, keys).catch((error: unknown) => {
    if (StorageError.is(error) && !error.retryable) return null;
    throw error;
  });
  return open === null ? keys : withOpen(keys, open);
}

/** See {@link ownKeys}. */
export function withOpen(
  keys: readonly StoredKey[],
  open: readonly OpenKey[],
): readonly StoredKey[] {
  return keys.filter((each) => !each.signs || open.some(({ key }) => key === each));
}

/** Opens a key's private part. @throws StorageError `ENCRYPTION_KEY_MISSING`, `KEY_MISMATCH`, `DECRYPTION_FAILED`, `CORRUPTION` */
export async function signerOf(
  context: HandleContext,
  { ref, record, vkey, verifier }: StoredKey,
): Promise<NoteSigner> {
  const { seed } = await openSecrets(context, ref, record.columns["seed"]);
  const signer = noteSigner(verifier.name, Buffer.from(seed?.reveal() ?? "", "hex"));
  if (formatVerifier(signer) !== vkey) throw damaged(vkey);
  return signer;
}

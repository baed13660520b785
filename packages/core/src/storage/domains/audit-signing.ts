import { parseCheckpoint, signCheckpoint } from "../../audit/checkpoint.ts";
import { consistencyProof, type Hash, treeRoot, verifyConsistency } from "../../audit/merkle.ts";
import { NoteError, openNote, parseNote } from "../../audit/signed-note.ts";
import type { AuditCheckpoint } from "../../domain/audit-proofs.ts";
import { StorageError } from "../../errors/storage-error.ts";
import type { Audit } from "../audit-contract.ts";
import {
  type AuditHead,
  type CallContext,
  ExpectationFailed,
  type RecordRef,
  type StoredRecord,
} from "../backend.ts";
import type { CallOptions } from "../options.ts";
import {
  addSuccessor,
  ensureKey,
  holdKeys,
  readTurn,
  type StoredKey,
  showKey,
  signerOf,
  sizeKey,
  storedKeys,
  takeTurn,
} from "./audit-keys.ts";
import { damaged, treeOf } from "./audit-tree.ts";
import { beginCall, type HandleContext } from "./context.ts";
import { tableListing } from "./listing.ts";
import { runTransaction } from "./run-transaction.ts";
import type { UnitOfWork } from "./unit-of-work.ts";

/** Checkpoints and the keys that sign them. */
export function auditSigning(
  context: HandleContext,
): Pick<Audit, "checkpoint" | "checkpoints" | "keys" | "rotateKey"> {
  return {
    checkpoint: (options) => signNow(context, options),
    checkpoints: (options) =>
      tableListing(context, options, () => ({
        table: "audit_checkpoints",
        reverse: true,
        show: showCheckpoint,
      })),
    keys: async (options) => {
      const keys = await storedKeys(context, beginCall(context, options));
      return keys.reverse().map(showKey);
    },
    rotateKey: async (options) => {
      const before = await storedKeys(context, beginCall(context, options));
      // The first key has nobody's place to take.
      if (before.length > 0) await addSuccessor(context, options);
      await signNow(context, options);
      const newest = (await storedKeys(context, beginCall(context, options))).at(-1);
      if (newest === undefined) throw new TypeError("a trail that is signed has no key");
      return showKey(newest);
    },
  };
}

/** Signs what the trail holds now: see {@link Audit.checkpoint}. */
export async function signNow(
  context: HandleContext,
  options: CallOptions | undefined,
): Promise<AuditCheckpoint> {
  const call = beginCall(context, options);
  const { size, log } = await context.backend.auditHead(context.orgId, call);
  if (size === 0 || log === null)
    throw new StorageError("NOT_FOUND", "The trail is empty: there is nothing to sign yet.");
  if ((await storedKeys(context, call)).length === 0) await ensureKey(context, log, options);
  return (await runTransaction(context, (unit) => signIn(unit), options)).value;
}

/** The checkpoint of this size; `null` when none was signed. */
export async function checkpointOf(
  { backend, orgId }: HandleContext,
  size: number,
  call: CallContext,
): Promise<AuditCheckpoint | null> {
  const [record] = await backend.read(orgId, [refOf(size)], call);
  return record ? showCheckpoint(record) : null;
}

/** The newest checkpoint; `null` when none was signed. */
export async function newestCheckpoint(
  { backend, orgId }: HandleContext,
  call: CallContext,
): Promise<AuditCheckpoint | null> {
  const query = { table: "audit_checkpoints", limit: 1, reverse: true } as const;
  const [record] = await backend.list(orgId, query, call);
  return record === undefined ? null : showCheckpoint(record);
}

/** Signs what the trail holds, unless that is signed. A key that a newer one replaces signs along, and loses its private part. */
async function signIn(unit: UnitOfWork): Promise<AuditCheckpoint> {
  const { context, call } = unit;
  const signed = await readTurn(unit);
  const keys = await storedKeys(context, call);
  const last = await newestCheckpoint(context, call);
  if (signed > (last?.size ?? 0)) throw damaged(`its checkpoint of ${signed} entries is gone`);
  const head = await context.backend.auditHead(context.orgId, call);
  const replaced = keys.filter(({ signs }) => signs);
  const newest = replaced.pop();
  if (newest === undefined) throw damaged("it has no key that signs");
  if (last?.size === head.size && replaced.length === 0) return last;
  const origin = head.log ?? "";
  const root = await provenRoot(context, head, last, keys, call);
  const signers = await Promise.all([...replaced, newest].map((key) => signerOf(context, key)));
  const note = signCheckpoint({ origin, size: head.size, root }, signers);
  await holdKeys(unit, [...replaced, newest]);
  const ref = refOf(head.size);
  const signedMeanwhile = await unit.read(ref);
  if (signedMeanwhile !== null) throw new ExpectationFailed(ref, signedMeanwhile.version);
  unit.put(ref, { note });
  takeTurn(unit, head.size);
  const signedAt = new Date(call.now).toISOString();
  for (const key of replaced)
    unit.put(key.ref, { vkey: key.vkey, seed: null, retired_at: signedAt });
  return { origin, size: head.size, root: Buffer.from(root).toString("hex"), note, signedAt };
}

/**
 * The root of the tree as it is, once it is proven to begin with the tree of the checkpoint before.
 *
 * @throws StorageError `CORRUPTION` when it doesn't, or the tree isn't that of the entries
 */
async function provenRoot(
  { backend, orgId }: HandleContext,
  { size, hash, log }: AuditHead,
  last: AuditCheckpoint | null,
  keys: readonly StoredKey[],
  call: CallContext,
): Promise<Hash> {
  const first = last?.size ?? 0;
  if (first > size)
    throw damaged(`it has ${size} entries, and a checkpoint of ${first} was signed`);
  const tree = await treeOf({ backend, orgId }, call, (read) => ({
    root: treeRoot(size, read),
    newest: read(0, size - 1),
    before: treeRoot(first, read),
    proof: first === 0 ? [] : consistencyProof(first, size, read),
  }));
  if (Buffer.from(tree.newest).toString("hex") !== hash)
    throw damaged("the last hash of its tree isn't that of its last entry");
  if (last === null) return tree.root;
  const signed = openSigned(last, log, keys);
  const [older, newer] = [
    { size: first, root: signed },
    { size, root: tree.root },
  ];
  if (!Buffer.from(tree.before).equals(signed) || !verifyConsistency(tree.proof, older, newer))
    throw damaged(`its first ${first} entries are not those of the last checkpoint`);
  return tree.root;
}

/** The root that a stored checkpoint vouches for. @throws StorageError `CORRUPTION` when none of the keys signed it */
function openSigned(
  { note, size }: AuditCheckpoint,
  log: string | null,
  keys: readonly StoredKey[],
): Hash {
  try {
    const { text } = openNote(
      note,
      keys.map(({ verifier }) => verifier),
    );
    const checkpoint = parseCheckpoint(text);
    if (checkpoint.origin === log && checkpoint.size === size) return checkpoint.root;
  } catch (error) {
    if (!(error instanceof NoteError)) throw error;
    throw damaged(`its checkpoint of ${size} entries doesn't hold: ${error.message}`);
  }
  throw damaged(`its checkpoint of ${size} entries is another one's`);
}

function refOf(size: number): RecordRef {
  return { table: "audit_checkpoints", key: [sizeKey(size)] };
}

function showCheckpoint({ key, columns, createdAt }: StoredRecord): AuditCheckpoint {
  const note = String(columns["note"]);
  try {
    const { origin, size, root } = parseCheckpoint(parseNote(note).text);
    if (refOf(size).key[0] === key[0])
      return { origin, size, root: Buffer.from(root).toString("hex"), note, signedAt: createdAt };
  } catch (error) {
    if (!(error instanceof NoteError)) throw error;
  }
  throw damaged(`what is stored as its checkpoint of ${Number(key[0])} entries is none`);
}

import { foreignCheckpoint } from "../../audit/actions.ts";
import { parseCheckpoint, signCheckpoint } from "../../audit/checkpoint.ts";
import { consistencyProof, type Hash, treeRoot, verifyConsistency } from "../../audit/merkle.ts";
import { NoteError, openNote } from "../../audit/signed-note.ts";
import type { AuditCheckpoint } from "../../domain/audit-proofs.ts";
import { limits } from "../../domain/limits.ts";
import { damagedTrail, StorageError } from "../../errors/storage-error.ts";
import type { Audit } from "../audit-contract.ts";
import {
  type AuditHead,
  type CallContext,
  ExpectationFailed,
  type RecordRef,
  type StoredRecord,
} from "../backend.ts";
import type { CallOptions } from "../options.ts";
import { automaticEntry } from "./audit-entries.ts";
import {
  addSuccessor,
  ensureKey,
  holdKeys,
  openKeys,
  ownKeys,
  readTurn,
  type StoredKey,
  showKey,
  sizeKey,
  storedKeys,
  takeTurn,
  withOpen,
} from "./audit-keys.ts";
import { treeOf } from "./audit-tree.ts";
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
      tableListing(context, options, async (call) => {
        const keys = await ownKeys(context, await storedKeys(context, call));
        const show = (record: StoredRecord) => showOwn(record, keys);
        return { table: "audit_checkpoints", reverse: true, show };
      }),
    keys: async (options) => {
      const keys = await storedKeys(context, beginCall(context, options));
      return keys.reverse().map(showKey);
    },
    rotateKey: async (options) => {
      const before = await storedKeys(context, beginCall(context, options));
      // The first key has nobody's place to take.
      if (before.length > 0) await addSuccessor(context, options);
      await signNow(context, options);
      const keys = await storedKeys(context, beginCall(context, options));
      const newest = (await openKeys(context, keys)).at(-1);
      if (newest === undefined) throw new TypeError("a trail that is signed has no key");
      return showKey(newest.key);
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
  for (let attempt = 1; ; attempt += 1) {
    const { value } = await runTransaction(context, (unit) => signIn(unit, size), options);
    if (value !== null) return value;
    if (attempt === foreignAttempts)
      throw damagedTrail(
        "wherever it ends, a checkpoint is stored at once that none of its keys signed",
      );
  }
}

/** How many checkpoints that aren't the trail's own are passed by before signing fails: somebody puts each where the next one is to be. */
const foreignAttempts = 5;

/** The checkpoint of this size; `null` when the trail's keys signed none. */
export async function checkpointOf(
  context: HandleContext,
  size: number,
  call: CallContext,
): Promise<AuditCheckpoint | null> {
  const [record] = await context.backend.read(context.orgId, [refOf(size)], call);
  return record ? showOwn(record, await ownKeys(context, await storedKeys(context, call))) : null;
}

/** The newest checkpoint that the trail's keys signed; `null` when they signed none. */
export async function newestCheckpoint(
  context: HandleContext,
  call: CallContext,
): Promise<AuditCheckpoint | null> {
  const keys = await storedKeys(context, call);
  if (keys.length === 0) return null;
  return (await lookBack(context, await ownKeys(context, keys), call)).last;
}

/** The newest checkpoint that these keys signed, and the newest size under which anything is stored as one. */
async function lookBack(
  { backend, orgId }: HandleContext,
  keys: readonly StoredKey[],
  call: CallContext,
): Promise<{ readonly last: AuditCheckpoint | null; readonly storedSize: number }> {
  let newest: StoredRecord | undefined;
  let after: StoredRecord | undefined;
  // Nearly always the newest is one of theirs.
  for (let limit = 1; ; limit = limits.pageMax) {
    const query = { table: "audit_checkpoints", limit, reverse: true, after: after?.key } as const;
    const page = await backend.list(orgId, query, call);
    newest ??= page[0];
    const last = page.map((record) => showOwn(record, keys)).find((own) => own !== null) ?? null;
    if (last !== null || page.length < limit)
      return { last, storedSize: Number(newest?.key[0] ?? 0) };
    after = page.at(-1);
  }
}

/**
 * Signs what the trail holds, unless as much is signed as the caller has seen of it. A key that a newer one replaces signs along, and loses its
 * private part.
 *
 * So it ends however many others sign: who is met at the third attempt at the latest began after the caller's look, and has signed it all.
 *
 * @param seen - how many entries the checkpoint has to hold at least
 * @returns `null` where a checkpoint of others stood in its place: an entry was sealed that says so, and what is to be signed now is longer
 */
async function signIn(unit: UnitOfWork, seen: number): Promise<AuditCheckpoint | null> {
  const { context, call } = unit;
  const signed = await readTurn(unit);
  const stored = await storedKeys(context, call);
  const open = await openKeys(context, stored);
  const keys = withOpen(stored, open);
  const { last, storedSize } = await lookBack(context, keys, call);
  if (signed > storedSize) throw damagedTrail(`its checkpoint of ${signed} entries is gone`);
  const head = await context.backend.auditHead(context.orgId, call);
  const [newest, ...replaced] = open.toReversed();
  if (newest === undefined) throw damagedTrail("it has no key that signs");
  if (last !== null && last.size >= seen && replaced.length === 0) return last;
  const origin = head.log ?? "";
  const root = await provenRoot(context, head, last, call);
  const note = signCheckpoint(
    { origin, size: head.size, root },
    open.map(({ signer }) => signer),
  );
  await holdKeys(
    unit,
    open.map(({ key }) => key),
  );
  const ref = refOf(head.size);
  const inItsPlace = await unit.read(ref);
  if (inItsPlace !== null) {
    // Another one of ours, signed meanwhile, is met by looking again.
    if (showOwn(inItsPlace, keys) !== null) throw new ExpectationFailed(ref, inItsPlace.version);
    unit.append(automaticEntry(context.actor, foreignCheckpoint(head.size)));
    return null;
  }
  unit.put(ref, { note });
  takeTurn(unit, head.size);
  const signedAt = new Date(call.now).toISOString();
  for (const { key } of replaced)
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
  { size, hash }: AuditHead,
  last: AuditCheckpoint | null,
  call: CallContext,
): Promise<Hash> {
  const first = last?.size ?? 0;
  if (first > size)
    throw damagedTrail(`it has ${size} entries, and a checkpoint of ${first} was signed`);
  const tree = await treeOf({ backend, orgId }, call, (read) => ({
    root: treeRoot(size, read),
    newest: read(0, size - 1),
    before: treeRoot(first, read),
    proof: first === 0 ? [] : consistencyProof(first, size, read),
  }));
  if (Buffer.from(tree.newest).toString("hex") !== hash)
    throw damagedTrail("the last hash of its tree isn't that of its last entry");
  if (last === null) return tree.root;
  const signed = Buffer.from(last.root, "hex");
  const [older, newer] = [
    { size: first, root: signed },
    { size, root: tree.root },
  ];
  if (!Buffer.from(tree.before).equals(signed) || !verifyConsistency(tree.proof, older, newer))
    throw damagedTrail(`its first ${first} entries are not those of the last checkpoint`);
  return tree.root;
}

function refOf(size: number): RecordRef {
  return { table: "audit_checkpoints", key: [sizeKey(size)] };
}

/** Shows a stored checkpoint; `null` where it is none that one of the keys signed. */
function showOwn(
  { key, columns, createdAt }: StoredRecord,
  keys: readonly StoredKey[],
): AuditCheckpoint | null {
  const note = String(columns["note"]);
  const verifiers = keys.map(({ verifier }) => verifier);
  try {
    const { text, signedBy } = openNote(note, verifiers);
    const { origin, size, root } = parseCheckpoint(text);
    // A key is called what its trail is.
    if (refOf(size).key[0] !== key[0] || signedBy.some(({ name }) => name !== origin)) return null;
    return { origin, size, root: Buffer.from(root).toString("hex"), note, signedAt: createdAt };
  } catch (error) {
    if (!(error instanceof NoteError)) throw error;
    return null;
  }
}

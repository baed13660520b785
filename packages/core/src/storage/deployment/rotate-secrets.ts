import { Buffer } from "node:buffer";
import type { KeyRing } from "../../crypto/key-ring.ts";
import type { Actor } from "../../domain/actor.ts";
import { invalid, StorageError } from "../../errors/storage-error.ts";
import { type Backend, type CallContext, ExpectationFailed } from "../backend.ts";
import { automaticEntry } from "../domains/audit-entries.ts";
import { recordPages } from "../pages.ts";
import type { ResealedEnvelope } from "../secrets-port.ts";
import { envelopeOf, keyIdOf, sealedTables, secretPlace } from "../stored-keys.ts";
import { countsByKey, throwIfInterrupted } from "./secrets.ts";

/** How a rotation goes. */
export interface RotateSecretsOptions {
  /**
   * Begins with a new key, and moves everything to it: where the key is kept beside the files. While an earlier rotation hasn't ended, this goes
   * on with that and makes no other key. Default: only finishes what is open.
   */
  readonly newKey?: boolean;
  /** Stops after about so many records, so that the caller goes on with another call. Default: all of them. */
  readonly limit?: number;
  /** Called after each step. */
  readonly onProgress?: (progress: RotationProgress) => void;
  /** Ends the rotation between two steps: `ABORTED`. The same call goes on later. */
  readonly signal?: AbortSignal;
}

/** How far a rotation is, in records. */
export interface RotationProgress {
  readonly done: number;
  readonly total: number;
}

/** What a rotation came to. */
export interface RotationReport {
  /** Whether nothing is sealed under another key than the active one any more, the canary included. */
  readonly finished: boolean;
  /** Id of the key that seals; `null` where no secret was ever stored. */
  readonly activeKey: string | null;
  /** Records that this call sealed anew. */
  readonly resealed: number;
  /** Records sealed under another key than the active one. */
  readonly remaining: number;
}

/** What one step seals anew at most: a step is one transaction. */
const step = { records: 500, bytes: 2 * 1024 * 1024 };
/** How often a step whose records others change is tried. */
const attempts = 5;
/** How often all organisations are gone through: what others sealed behind it takes another round. */
const rounds = 5;

interface Rotation {
  readonly backend: Backend;
  readonly ring: KeyRing;
  readonly actor: Actor;
  readonly context: CallContext;
  readonly report: (resealed: number) => void;
  /** Why records didn't open, by record: they stay as they are, and hold up no others. */
  readonly unopened: Map<string, unknown>;
}

/** As `DeploymentSecrets.rotate`. */
export async function rotateSecrets(
  backend: Backend,
  actor: Actor,
  context: CallContext,
  { newKey = false, limit = Number.POSITIVE_INFINITY, onProgress }: RotateSecretsOptions = {},
): Promise<RotationReport> {
  if (newKey && (await takesConfiguredKeys(backend))) throw keysAreConfigured();
  if ((await backend.keyState()).ring === null && (await backend.sealedCounts()).length === 0)
    return { finished: true, activeKey: null, resealed: 0, remaining: 0 };
  // A ring that can't open what is there must not become that of any part of it.
  await remainingUnder(backend, await backend.keyRing("seal"));
  const ring = await backend.beginRotation(newKey);
  let remaining = await remainingUnder(backend, ring);
  const total = remaining;
  let resealed = 0;
  const report = (count: number) => {
    resealed += count;
    onProgress?.({ done: resealed, total: Math.max(total, resealed) });
  };
  const rotation = { backend, ring, actor, context, report, unopened: new Map() };
  for (let round = 0; round < rounds; round += 1) {
    if (remaining > 0) await resealAll(rotation, limit - resealed);
    remaining = await remainingUnder(backend, ring);
    if (remaining === 0 && (await isThrough(backend, ring)))
      return { finished: true, activeKey: ring.activeKeyId, resealed, remaining };
    if (resealed >= limit)
      return { finished: false, activeKey: ring.activeKeyId, resealed, remaining };
    if (rotation.unopened.size > 0) throw unopened(rotation.unopened);
  }
  throw othersSeal(remaining);
}

async function takesConfiguredKeys(backend: Backend): Promise<boolean> {
  return backend.kind === "postgres" || (await backend.keyState()).source === "configured";
}

/**
 * The end of a rotation: from the canary on, whoever lacks the new key can't seal any more. What such a one has sealed until then shows when
 * it is counted once more.
 */
async function isThrough(backend: Backend, ring: KeyRing): Promise<boolean> {
  await backend.sealCanary();
  if ((await remainingUnder(backend, ring)) > 0) return false;
  await backend.dropEarlierKeys();
  return true;
}

/** @throws StorageError `KEY_MISMATCH` when something is sealed with a key that isn't in the ring */
async function remainingUnder(backend: Backend, ring: KeyRing): Promise<number> {
  const counts = countsByKey(await backend.sealedCounts());
  const foreign = [...counts.keys()].filter((id) => !ring.keyIds.includes(id));
  if (foreign.length > 0) {
    throw new StorageError(
      "KEY_MISMATCH",
      `Stored secrets are sealed with the key(s) ${foreign.sort().join(", ")}, which are not among those set. List them after the new one: CODESPAR_ENCRYPTION_KEY=NEW,OLD`,
    );
  }
  let remaining = 0;
  for (const [id, count] of counts) if (id !== ring.activeKeyId) remaining += count;
  return remaining;
}

async function resealAll(rotation: Rotation, limit: number): Promise<void> {
  const { backend, context } = rotation;
  let left = limit;
  for (const orgId of await backend.organisations(context)) {
    let count = step.records;
    while (left > 0 && count > 0) {
      throwIfInterrupted(context, "what was sealed anew stays so. Run it again to go on.");
      count = await resealStep(rotation, orgId, Math.min(step.records, left));
      left -= count;
      if (count > 0) rotation.report(count);
    }
  }
}

/** @returns how many records it sealed anew: 0 when the organisation has none to do */
async function resealStep(rotation: Rotation, orgId: string, most: number): Promise<number> {
  const { backend, ring, actor, context } = rotation;
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const envelopes = await envelopesToReseal(rotation, orgId, most);
    if (envelopes.length === 0) return 0;
    const entry = automaticEntry(
      actor,
      { action: "secrets.rotated" },
      {
        from: [...new Set(envelopes.map(({ from }) => keyIdOf(from)))].sort(),
        to: ring.activeKeyId,
        records: envelopes.length,
      },
    );
    try {
      await backend.reseal(orgId, { envelopes, entries: [entry] }, context.now);
      return envelopes.length;
    } catch (error) {
      // Somebody stored one of them anew meanwhile: look again.
      if (!(error instanceof ExpectationFailed)) throw error;
    }
  }
  throw new StorageError(
    "CONFLICT",
    `The secrets of organisation "${orgId}" are changed all the time. Run the rotation again to go on.`,
  );
}

async function envelopesToReseal(
  { backend, ring, context, unopened }: Rotation,
  orgId: string,
  most: number,
): Promise<ResealedEnvelope[]> {
  const found: ResealedEnvelope[] = [];
  let bytes = 0;
  for await (const { ref, envelope } of envelopes(backend, orgId, context)) {
    if (keyIdOf(envelope) === ring.activeKeyId) continue;
    if (found.length === most || bytes > step.bytes) break;
    const place = secretPlace(orgId, ref);
    try {
      found.push({ ...ref, from: envelope, to: ring.seal(ring.open(envelope, place), place) });
      bytes += Buffer.byteLength(envelope);
    } catch (error) {
      unopened.set(`${orgId}\0${ref.table}\0${ref.key.join("\0")}`, error);
    }
  }
  return found;
}

async function* envelopes(backend: Backend, orgId: string, context: CallContext) {
  for (const table of sealedTables) {
    for await (const page of recordPages(backend, orgId, table, context)) {
      for (const { key, columns } of page) {
        const envelope = envelopeOf(table, columns);
        if (envelope !== null) yield { ref: { table, key }, envelope };
      }
    }
  }
}

function keysAreConfigured(): StorageError {
  return invalid(
    "No new key is made here: the keys are those of CODESPAR_ENCRYPTION_KEY. Put the new one first there, CODESPAR_ENCRYPTION_KEY=NEW,OLD, and rotate without asking for a new key.",
  );
}

function unopened(errors: ReadonlyMap<string, unknown>): StorageError {
  const [[record = "", cause] = []] = [...errors];
  const [orgId, table, ...key] = record.split("\0");
  return new StorageError(
    "DECRYPTION_FAILED",
    `${errors.size} of the records sealed with an earlier key don't open, the first in ${table} of organisation "${orgId}": ${key.join(" ")}. All others are done. Store them again or delete them, then run the rotation once more.`,
    { cause },
  );
}

function othersSeal(remaining: number): StorageError {
  return new StorageError(
    "CONFLICT",
    `${remaining} records were sealed with an earlier key while the rotation ran: some process still seals with it. Give all of them CODESPAR_ENCRYPTION_KEY=NEW,OLD and restart them, then run the rotation again.`,
  );
}

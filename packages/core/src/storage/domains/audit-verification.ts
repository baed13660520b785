import { redacted } from "../../audit/actions.ts";
import { parseLeaf } from "../../audit/leaf-parse.ts";
import { NoteError } from "../../audit/signed-note.ts";
import { type TrailSource, verifyTrail } from "../../audit/verify.ts";
import type { StoredCheckpoint } from "../../audit/verify-checkpoints.ts";
import type { IntentSource } from "../../audit/verify-intents.ts";
import type { AuditFailure, AuditVerification } from "../../domain/audit-proofs.ts";
import { invalid, StorageError } from "../../errors/storage-error.ts";
import type { Audit } from "../audit-contract.ts";
import type { CallContext } from "../backend.ts";
import { optionNames } from "../option-names.ts";
import { auditPages, recordPages } from "../pages.ts";
import { turnRef } from "./audit-keys.ts";
import { beginCall, type HandleContext } from "./context.ts";

type VerifyOptions = NonNullable<Parameters<Audit["verify"]>[0]>;

/** Verification of the stored trail. */
export function auditVerification(context: HandleContext): Pick<Audit, "verify"> {
  return {
    verify: async (options = {}) => {
      const call = beginCall(context, options, optionNames.verify);
      checkVerifyInput(options);
      const source = await storedTrail(context, call, options.depth === "hashes");
      return verifySource(source, options);
    },
  };
}

/** Verifies a trail from wherever it comes. @throws StorageError `VALIDATION` for a trusted key or a kept checkpoint that is none */
export async function verifySource(
  source: TrailSource,
  options: VerifyOptions,
): Promise<AuditVerification> {
  try {
    return await verifyTrail(source, options, options.onProgress);
  } catch (error) {
    if (!(error instanceof NoteError)) throw error;
    throw invalid(`trustedKeys or checkpoint can't be read: ${error.message}.`);
  }
}

/** @throws StorageError `VALIDATION` for what a verification can't be held against */
export function checkVerifyInput(options: VerifyOptions): void {
  const { trustedKeys, checkpoint, maxUnanchored = 0, depth, onProgress } = options;
  const texts: readonly unknown[] = trustedKeys ?? [];
  if (!Array.isArray(texts) || texts.some((key) => typeof key !== "string"))
    throw invalid("trustedKeys must be an array of public keys, as audit.keys() gives them.");
  if (checkpoint !== undefined && typeof checkpoint !== "string")
    throw invalid("checkpoint must be the text of a signed checkpoint.");
  if (!Number.isSafeInteger(maxUnanchored) || maxUnanchored < 0)
    throw invalid("maxUnanchored must be a whole number from 0.");
  if (depth !== undefined && depth !== "full" && depth !== "hashes")
    throw invalid('depth must be "full" or "hashes".');
  if (onProgress !== undefined && typeof onProgress !== "function")
    throw invalid("onProgress must be a function.");
}

/** The stored trail as it is now. */
async function storedTrail(
  context: HandleContext,
  call: CallContext,
  bare: boolean,
): Promise<TrailSource> {
  const { backend, orgId } = context;
  const unreadable: AuditFailure[] = [];
  /** What can't be read is told at the end, unless verification meets something by itself before. */
  async function read<Result>(what: Promise<readonly Result[]>): Promise<readonly Result[]> {
    return what.catch((error: unknown) => {
      if (!StorageError.is(error, "CORRUPTION")) throw error;
      const { message } = error;
      const [expected, actual] = ["what was written", message];
      unreadable.push({ seq: 0, check: "signature", expected, actual, message });
      return [];
    });
  }
  const keys = await read(vkeysOf(context, call));
  const [turn] = await read(backend.read(orgId, [turnRef], call));
  const query = { table: "audit_checkpoints", limit: 1, reverse: true } as const;
  const [newest] = await read(backend.list(orgId, query, call));
  // Last: so the head holds all that the newest checkpoint vouches for, unless it was cut off.
  const head = await backend.auditHead(orgId, call);
  const asIs = { ...call, asIs: true };
  let asked = false;
  return {
    head,
    keys,
    keysNow: () => vkeysOf(context, { ...call, anew: true }),
    entries: () => auditPages(backend, orgId, asIs, { bare }),
    redactions: (after) => {
      // Asked again, it is for what was erased since the handle was opened.
      const anew = { ...asIs, anew: asked };
      asked = true;
      return auditPages(backend, orgId, anew, { after, filter: { action: redacted } });
    },
    checkpoints: () => checkpoints(context, newest?.key[0], call),
    signedSize: Number(turn?.columns["size"] ?? 0),
    readTiles: (tiles) => backend.treeTiles(orgId, tiles, asIs),
    intents: await intents(context, call),
    stray: async () => unreadable[0] ?? backend.strayInTrail(orgId, asIs),
  };
}

async function vkeysOf({ backend, orgId }: HandleContext, call: CallContext): Promise<string[]> {
  const vkeys: string[] = [];
  for await (const page of recordPages(backend, orgId, "audit_keys", call))
    vkeys.push(...page.map(({ columns }) => String(columns["vkey"])));
  return vkeys;
}

const intentsPerPage = 1000;

/** The stored list of open intents; `null` where there is none. */
async function intents(
  { backend, orgId }: HandleContext,
  call: CallContext,
): Promise<IntentSource | null> {
  const page = (after: number) =>
    backend.openIntents(orgId, { after, limit: intentsPerPage }, call);
  if ((await backend.openIntents(orgId, { after: -1, limit: 1 }, call)) === null) return null;
  return {
    async *stored() {
      let found = await page(-1);
      while (found !== null && found.length > 0) {
        yield found;
        found = await page(found.at(-1)?.seq ?? -1);
      }
    },
    async isResolvedBehind(seq, correlationId) {
      const filter = { correlationId };
      for await (const rows of auditPages(backend, orgId, call, { after: seq, filter })) {
        if (rows.some((row) => parseLeaf(Buffer.from(row.leaf))?.outcome !== "pending"))
          return true;
      }
      return false;
    },
  };
}

/** The stored checkpoints, up to one of this size. */
async function* checkpoints(
  { backend, orgId }: HandleContext,
  last: string | undefined,
  call: CallContext,
): AsyncGenerator<StoredCheckpoint> {
  for await (const page of recordPages(backend, orgId, "audit_checkpoints", call)) {
    for (const { key, columns } of page) {
      const size = key[0] ?? "";
      if (last === undefined || size > last) return;
      const under = /^\d{16}$/.test(size) ? Number(size) : Number.NaN;
      yield { size: under, note: String(columns["note"]) };
    }
  }
}

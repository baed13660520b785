import { redacted } from "../../audit/actions.ts";
import { NoteError } from "../../audit/signed-note.ts";
import { type TrailSource, verifyTrail } from "../../audit/verify.ts";
import type { StoredCheckpoint } from "../../audit/verify-checkpoints.ts";
import type { AuditVerification } from "../../domain/audit-proofs.ts";
import { invalid } from "../../errors/storage-error.ts";
import type { Audit } from "../audit-contract.ts";
import type { CallContext } from "../backend.ts";
import { optionNames } from "../option-names.ts";
import { auditPages, recordPages } from "../pages.ts";
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
  const { trustedKeys, checkpoint, depth, onProgress } = options;
  const texts: readonly unknown[] = trustedKeys ?? [];
  if (!Array.isArray(texts) || texts.some((key) => typeof key !== "string"))
    throw invalid("trustedKeys must be an array of public keys, as audit.keys() gives them.");
  if (checkpoint !== undefined && typeof checkpoint !== "string")
    throw invalid("checkpoint must be the text of a signed checkpoint.");
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
  const keys: string[] = [];
  for await (const page of recordPages(backend, orgId, "audit_keys", call))
    keys.push(...page.map(({ columns }) => String(columns["vkey"])));
  const query = { table: "audit_checkpoints", limit: 1, reverse: true } as const;
  const [newest] = await backend.list(orgId, query, call);
  // Last: so the head holds all that the newest checkpoint vouches for, unless it was cut off.
  const head = await backend.auditHead(orgId, call);
  return {
    head,
    keys,
    entries: () => auditPages(backend, orgId, call, { bare }),
    redactions: (after) =>
      auditPages(backend, orgId, call, { after, filter: { action: redacted } }),
    checkpoints: () => checkpoints(context, newest?.key[0], call),
    readTiles: (tiles) => backend.treeTiles(orgId, tiles, call),
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

import { Buffer } from "node:buffer";
import { leafHash } from "../../audit/leaf.ts";
import {
  consistencyProof,
  type Hash,
  inclusionProof,
  treeRoot,
  verifyInclusion,
} from "../../audit/merkle.ts";
import { formatReceipt } from "../../audit/receipt.ts";
import type { AuditCheckpoint } from "../../domain/audit-proofs.ts";
import { damagedTrail, invalid, StorageError } from "../../errors/storage-error.ts";
import type { Audit } from "../audit-contract.ts";
import { optionNames } from "../option-names.ts";
import type { CallOptions } from "../options.ts";
import { rowAt } from "./audit-reading.ts";
import { checkpointOf, newestCheckpoint, signNow } from "./audit-signing.ts";
import { treeOf } from "./audit-tree.ts";
import { beginCall, type HandleContext } from "./context.ts";

const hex = (hash: Hash) => Buffer.from(hash).toString("hex");

/** Proofs over the stored tree. */
export function auditProving(context: HandleContext): Pick<Audit, "prove" | "consistency"> {
  const { backend, orgId } = context;
  return {
    prove: async (seq, options) => {
      const call = beginCall(context, options, optionNames.prove);
      const { size, ...rest } = options ?? {};
      if (size !== undefined) checkSize(size, "size");
      const row = await rowAt(context, seq, call);
      if (row === null) throw new StorageError("NOT_FOUND", `The trail has no entry ${seq}.`);
      const checkpoint = await checkpointOver(context, seq, size, rest);
      const proof = await treeOf(context, call, (read) =>
        inclusionProof(seq, checkpoint.size, read),
      );
      // From the entry's own bytes: nothing is proven of one that was changed.
      const hash = leafHash(row.leaf);
      const leaf = { seq, hash: Buffer.from(hash, "hex") };
      const tree = { size: checkpoint.size, root: Buffer.from(checkpoint.root, "hex") };
      if (!verifyInclusion(proof, leaf, tree))
        throw damagedTrail(
          `entry ${seq} is not what the checkpoint of ${tree.size} entries vouches for`,
        );
      const receipt = formatReceipt({
        seq,
        proof,
        checkpoint: checkpoint.note,
        extra: row.leaf,
      });
      return { seq, hash, checkpoint, path: proof.map(hex), receipt };
    },
    consistency: async (from, to, options) => {
      const call = beginCall(context, options);
      checkSize(from, "from");
      if (to !== undefined) checkSize(to, "to");
      const { size } = await backend.auditHead(orgId, call);
      const end = to ?? size;
      if (from > end) throw invalid(`from must be at most to: ${from} is more than ${end}.`);
      if (end > size)
        throw new StorageError("NOT_FOUND", `The trail has ${size} entries, not ${end}.`);
      return treeOf(context, call, (read) => ({
        from: { size: from, root: hex(treeRoot(from, read)) },
        to: { size: end, root: hex(treeRoot(end, read)) },
        // Every tree begins with the empty one: nothing needs to be shown.
        proof: from === 0 ? [] : consistencyProof(from, end, read).map(hex),
      }));
    },
  };
}

/** The checkpoint to prove an entry against. @throws StorageError `NOT_FOUND` */
async function checkpointOver(
  context: HandleContext,
  seq: number,
  size: number | undefined,
  options: CallOptions,
): Promise<AuditCheckpoint> {
  const call = beginCall(context, options);
  if (size === undefined) {
    const newest = await newestCheckpoint(context, call);
    return newest !== null && newest.size > seq ? newest : signNow(context, options);
  }
  const checkpoint = size > seq ? await checkpointOf(context, size, call) : null;
  if (checkpoint !== null) return checkpoint;
  throw new StorageError(
    "NOT_FOUND",
    `There is no checkpoint of ${size} entries that holds entry ${seq}.`,
  );
}

function checkSize(size: unknown, name: string): void {
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0)
    throw invalid(`${name} must be a whole number from 0.`);
}

import { createReadStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AuditVerification } from "../../domain/audit-proofs.ts";
import { StorageError } from "../../errors/storage-error.ts";
import { throwIfAborted } from "../abort.ts";
import { checkVerifyInput, verifySource } from "../domains/audit-verification.ts";
import { optionNames } from "../option-names.ts";
import { checkOptionNames } from "../validation.ts";
import { isFolder, onDisk, openFolder, unpackBundle } from "./folder.ts";
import { BundleReader, type VerifyBundleOptions } from "./reader.ts";

/**
 * Verifies a bundle that `audit.export` made: the same checks as `audit.verify` makes, but for the searchable copies and the stored tree, which
 * a bundle doesn't have. Needs no storage. Constant memory; a tar is unpacked into the system's temporary folder first.
 *
 * A bundle that ends before the checkpoint that the caller kept is `outdated`; one that isn't whole is `incomplete`, or `tampered` when something is wrong with what there is of it; the warnings say what is missing.
 *
 * @param path - the bundle's folder, or its tar
 * @throws StorageError `NOT_FOUND` when there is no such path; `VALIDATION` for a trusted key or a checkpoint that is none, or is damaged; `UNAVAILABLE` when
 * it can't be read; `ABORTED`
 */
export async function verifyBundle(
  path: string,
  options: VerifyBundleOptions = {},
): Promise<AuditVerification> {
  checkOptionNames(options, optionNames.verify);
  checkVerifyInput(options);
  throwIfAborted(options.signal);
  if (await isFolder(path)) return verifyFolder(path, null, options);
  const folder = await onDisk(tmpdir(), () => mkdtemp(join(tmpdir(), "codespar-bundle-")));
  try {
    const damage = await unpackBundle(bytesOf(path, options.signal), folder);
    return await verifyFolder(folder, damage, options);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function* bytesOf(path: string, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      throwIfAborted(signal);
      yield chunk;
    }
  } catch (cause) {
    if (StorageError.is(cause)) throw cause;
    await onDisk(path, () => Promise.reject(cause));
  }
}

async function verifyFolder(
  folder: string,
  damage: string | null,
  options: VerifyBundleOptions,
): Promise<AuditVerification> {
  const reader = new BundleReader(await openFolder(folder), options);
  await reader.open(damage);
  const result = await verifySource(reader.source, options);
  const changed = reader.changed.map(
    (name) => `${name} is not what SHA256SUMS says. Compare it with another copy.`,
  );
  return { ...result, warnings: [...result.warnings, ...changed] };
}

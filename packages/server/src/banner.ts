import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { StorageError, StorageTarget } from "@codespar/core";
import { isOnVolume } from "./volume.ts";

/** Where data goes: `storage: files /absolute/path` or `storage: postgres host/database`, never a password. */
export function storageLine(target: StorageTarget): string {
  if (target.backend === "file") return `storage: files ${target.directory}`;
  const { host, pathname, searchParams } = new URL(target.databaseUrl);
  return `storage: postgres ${searchParams.get("host") ?? host}${pathname}`;
}

/** Why files are lost with the next deploy, or `undefined` when they aren't. */
export function durabilityWarning(
  target: StorageTarget,
  platform: string | null,
): string | undefined {
  if (target.backend !== "file" || platform === null || isOnVolume(target.directory))
    return undefined;
  return (
    `${target.directory} is not on a mounted volume, so ${platform} discards it with the next deploy or restart. ` +
    "Set DATABASE_URL, or mount a volume and set CODESPAR_STORAGE_DIR to a folder on it."
  );
}

/**
 * Who is served; where others can reach the port, also what they get.
 *
 * @param isOpen - whether there is no key yet
 */
export function accessNote(host: string, isOpen: boolean): string {
  if (!isOpen)
    return "Every request needs an API key, except for health: codespar keys create NAME";
  const reachable = !(host === "localhost" || host === "::1" || host.startsWith("127."));
  const others =
    "Without API keys, requests from elsewhere get 401, except for health. To make one: codespar keys create NAME";
  return `Only this machine can use it.${reachable ? ` ${others}` : ""}`;
}

/** That the storage can't be used yet, and why. */
export function troubleNote({ message }: StorageError): string {
  return `warning: no data can be read or written yet. ${message} The server goes on and tries again with each request; /health tells when it works.`;
}

/** What to do with records in files that a server on PostgreSQL leaves aside. */
export function moveHint(target: StorageTarget, folder: string): string | undefined {
  if (target.backend !== "postgres" || !holdsRecords(folder)) return undefined;
  return (
    `note: ${folder} holds records, which this server on PostgreSQL doesn't use. To take them along: ` +
    `codespar move --from file:${folder} --to "$DATABASE_URL". When that is done, put the folder away.`
  );
}

function holdsRecords(folder: string): boolean {
  const organisations = join(folder, "orgs");
  return existsSync(organisations) && readdirSync(organisations).length > 0;
}

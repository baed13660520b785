import { Secret } from "../../crypto/secret.ts";
import { unavailable } from "./failures.ts";
import { lockHolder } from "./lock.ts";

/** A server that holds a folder of files. */
export interface HoldingServer {
  readonly url: string;
  /** What the server takes in place of an API key, from this machine: whoever may read the files may have it. */
  readonly token: Secret;
}

/**
 * Tells which running server holds a folder of files, so that another process can go through it.
 *
 * @param directory - the storage folder
 * @returns `null` when nobody holds the folder, or a program without an HTTP API does
 * @throws StorageError `UNAVAILABLE` where the folder can't be read
 */
export async function serverHolding(directory: string): Promise<HoldingServer | null> {
  try {
    const holder = await lockHolder(directory);
    if (holder === null || holder.serverUrl === null) return null;
    return { url: holder.serverUrl, token: new Secret(holder.serverToken ?? "") };
  } catch (error) {
    throw unavailable("The files can't be used", error);
  }
}

import type { Actor, Storage, StorageOptions, StorageTarget } from "@codespar/core";
import { remoteServer } from "../config.ts";
import type { Context } from "../context.ts";
import type { Server } from "./http-client.ts";
import type { Administration, Store } from "./store.ts";

/** Reading takes no lock, so it also works beside a program that holds the files. */
export type Access = "read" | "write";

// Here and in the commands the library is imported where it is used: help and wrong command lines don't wait for it.

/** Whom the trail names for what is done on the command line. */
const actor: Actor = { type: "system", id: "cli" };
const readOnly = true;

/** A storage that the command line names. */
export type NamedStorage = { readonly directory: string } | { readonly databaseUrl: string };

/**
 * Runs `work` on the server that was named, or on a storage: through the running server where one holds the files, otherwise directly. Closes
 * it afterwards.
 *
 * @param named - the storage; by default the one that the environment names
 */
export function withStore<Result>(
  context: Pick<Context, "org" | "server">,
  access: Access,
  work: (store: Store) => Promise<Result>,
  named?: NamedStorage,
): Promise<Result> {
  const ways = { directly: work, through: (server: Server) => throughServer(server, work) };
  return reach(context, access, ways, named);
}

/** As {@link withStore}, for what concerns all organisations. */
export function withDeployment<Result>(
  { server }: Pick<Context, "server">,
  access: Access,
  work: (deployment: Administration) => Promise<Result>,
): Promise<Result> {
  return reach({ ...(server !== undefined && { server }) }, access, {
    async directly(storage) {
      const { deploymentOf } = await import("@codespar/core");
      return work(deploymentOf(storage));
    },
    async through(server) {
      const { remoteDeployment } = await import("./remote-deployment.ts");
      return work(remoteDeployment(server));
    },
  });
}

interface Ways<Result> {
  directly(storage: Storage): Promise<Result>;
  through(server: Server): Promise<Result>;
}

async function reach<Result>(
  context: Pick<Context, "org" | "server">,
  access: Access,
  ways: Ways<Result>,
  named?: NamedStorage,
): Promise<Result> {
  const { StorageError, Secret, storageTarget } = await import("@codespar/core");
  const remote = named === undefined ? remoteServer(context.server) : null;
  if (remote !== null) {
    const token = remote.apiKey === undefined ? undefined : new Secret(remote.apiKey);
    return ways.through({ url: remote.url, token, orgId: context.org });
  }
  const target = storageTarget(named);
  const server = await serverFor(target);
  if (server !== null) return ways.through({ ...server, orgId: context.org });
  const options = { ...named, ...(access === "read" && target.backend === "file" && { readOnly }) };
  try {
    return await directly(options, context.org, ways.directly);
  } catch (error) {
    // A server may have taken the lock since we looked.
    const late = StorageError.is(error, "STORAGE_LOCKED") ? await serverFor(target) : null;
    if (late === null) throw error;
    return ways.through({ ...late, orgId: context.org });
  }
}

/** Runs `work` on a server. */
export async function throughServer<Result>(
  server: Server,
  work: (store: Store) => Promise<Result>,
): Promise<Result> {
  const { remoteStore } = await import("./remote-store.ts");
  return work(remoteStore(server));
}

async function serverFor(target: StorageTarget): Promise<Server | null> {
  const { serverHolding } = await import("@codespar/core");
  return target.backend === "file" ? serverHolding(target.directory) : null;
}

async function directly<Result>(
  options: StorageOptions,
  org: string | undefined,
  work: (storage: Storage) => Promise<Result>,
): Promise<Result> {
  const { createStorage } = await import("@codespar/core");
  await using storage = createStorage(org, options);
  return await work(storage.as(actor));
}

import { join } from "node:path";
import { createTestDatabase } from "../../../../tooling/postgres.ts";
import { removeScratch, scratchFolder, testKey } from "../../../../tooling/secrets.ts";
import { createStorage, type MoveEnd, migrate, type Storage } from "../../src/index.ts";
import { openBackend } from "../../src/storage/create-storage.ts";
import { contentOf, fillOrganisation } from "../support/organisations.ts";

/** One empty storage to move from or to. */
export interface End extends AsyncDisposable {
  readonly at: MoveEnd;
}

/** The key that all ends share unless a test says otherwise. */
export const sharedKey = testKey();

/** An empty folder. */
export async function folder(): Promise<End> {
  const parent = await scratchFolder("move");
  const dispose = () => removeScratch(parent);
  return { at: { directory: join(parent, "store") }, [Symbol.asyncDispose]: dispose };
}

/** An empty, migrated database. */
export async function database(): Promise<End> {
  const prepare = async (databaseUrl: string) => void (await migrate({ databaseUrl }));
  const created = await createTestDatabase({ template: { name: "codespar migrated", prepare } });
  return { at: { databaseUrl: created.url }, [Symbol.asyncDispose]: () => created.drop() };
}

/** Works on an end through the public API and closes it again. */
export async function using<Result>(
  end: End,
  orgId: string,
  work: (storage: Storage) => Promise<Result>,
  encryptionKey = sharedKey,
): Promise<Result> {
  await using storage = createStorage(orgId, { ...end.at, encryptionKey });
  return await work(storage);
}

/** Organisations whose ids need care: prefixes of each other, separators, look-alikes. */
export const organisations = ["acme", "acme-corp", "../acme", "größe % _"];

/** Fills an end with something in every table of every organisation, values nobody expects included. */
export async function fill(end: End, encryptionKey = sharedKey): Promise<void> {
  for (const orgId of organisations) {
    await using(end, orgId, (storage) => fillOrganisation(storage, orgId), encryptionKey);
  }
}

/** Everything that an end stores, as the port below the public API gives it, to the last byte. */
export async function everything(end: End): Promise<unknown> {
  const backend = openBackend({ ...end.at, encryptionKey: sharedKey });
  try {
    const context = { now: Date.now() };
    const orgIds = await backend.organisations(context);
    const entries = orgIds.map(async (orgId) => [
      orgId,
      await contentOf(backend, orgId, context.now),
    ]);
    return Object.fromEntries(await Promise.all(entries));
  } finally {
    await backend.close();
  }
}

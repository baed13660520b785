import { createStorage, migrate, type Storage, type StorageOptions } from "@codespar/core";
import { createTestDatabase } from "../../../../tooling/postgres.ts";
import { removeScratch, scratchFolder, testKey } from "../../../../tooling/secrets.ts";

/** An empty storage of a test's own. */
export interface TestStorage {
  readonly storage: Storage;
  /** Closes it and removes what it kept. */
  remove(): Promise<void>;
}

/** A backend to test on. */
export interface TestBackend {
  readonly name: "files" | "postgres";
  open(options?: Pick<StorageOptions, "clock">): Promise<TestStorage>;
}

/** For what doesn't depend on the backend. */
export const files: TestBackend = { name: "files", open: openFiles };

/** Every backend; the tests run on each of them. */
export const backends: readonly TestBackend[] = [files, { name: "postgres", open: openPostgres }];

/** A migrated database, made once per run and copied. */
export const migratedTemplate = {
  name: "server tests: migrated",
  prepare: async (url: string) => {
    await migrate({ databaseUrl: url });
  },
};

async function openFiles(options: Pick<StorageOptions, "clock"> = {}): Promise<TestStorage> {
  const directory = await scratchFolder("server");
  const storage = createStorage(undefined, { directory, ...options });
  return {
    storage,
    remove: async () => {
      await storage.close();
      await removeScratch(directory);
    },
  };
}

async function openPostgres(options: Pick<StorageOptions, "clock"> = {}): Promise<TestStorage> {
  const database = await createTestDatabase({ template: migratedTemplate });
  const storage = createStorage(undefined, {
    databaseUrl: database.url,
    encryptionKey: testKey(),
    ...options,
  });
  return {
    storage,
    remove: async () => {
      await storage.close();
      await database.drop();
    },
  };
}

import { createStorage, type Storage } from "@codespar/core";
import { serve } from "../harness/worker.ts";

let storage: Storage | undefined;

/** Another process that reads what one wrote. */
const handlers = {
  open: ({ url, orgId }: { url: string; orgId: string }): void => {
    storage = createStorage(orgId, { databaseUrl: url });
  },
  read: ({ agentId, key }: { agentId: string; key: string }): Promise<unknown> => {
    if (storage === undefined) throw new Error("open first");
    return storage.memory.get(agentId, key);
  },
  close: () => storage?.close(),
};

/** What {@link handlers} offer. */
export type ReaderWorker = typeof handlers;

serve(handlers);

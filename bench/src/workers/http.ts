import { createStorage } from "@codespar/core";
import { startServer } from "@codespar/server";
import { agentId } from "../harness/memory-store.ts";
import { memoryValue } from "../harness/records.ts";
import { serve } from "../harness/worker.ts";
import { emptyServer } from "../http/empty-server.ts";

let close: (() => Promise<unknown>) | undefined;

/** A process with one HTTP server. Its log goes to standard output, as always; the parent throws that away. */
const handlers = {
  /** Starts the server as `npm start` would, with one entry in it, and returns the entry's URL. */
  startOurs: async (environment: Readonly<Record<string, string>>): Promise<string> => {
    for (const name of ["DATABASE_URL", "CODESPAR_STORAGE_DIR"]) delete process.env[name];
    Object.assign(process.env, environment);
    await using storage = createStorage();
    await storage.memory.set(agentId, "key", memoryValue(1));
    const server = await startServer({
      config: { host: "127.0.0.1", port: 0 },
      signals: false,
      say: () => undefined,
    });
    close = () => server.close();
    return entryUrl(server.url);
  },
  startEmpty: async (_: undefined): Promise<string> => {
    const app = emptyServer(memoryValue(1));
    close = () => app.close();
    return entryUrl(await app.listen({ host: "127.0.0.1", port: 0 }));
  },
  close: (_: undefined) => close?.(),
};

function entryUrl(base: string): string {
  return new URL(`/api/agents/${agentId}/memory/key`, base).href;
}

/** What {@link handlers} offer. */
export type HttpWorker = typeof handlers;

serve(handlers);

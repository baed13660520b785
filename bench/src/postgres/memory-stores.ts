import { createStorage } from "@codespar/core";
import { KeyvPostgres } from "@keyv/postgres";
import { PostgresStore } from "@langchain/langgraph-checkpoint-postgres/store";
import { Keyv } from "keyv";
import { type MemoryStore, oursOf } from "../harness/memory-store.ts";

/** CodeSpar itself, with a handle for each organisation. */
export function openOurs(url: string, poolSize: number): MemoryStore {
  return oursOf(createStorage("bench", { databaseUrl: url, maxConnections: poolSize }));
}

/** LangGraph's long-term memory on PostgreSQL. */
export async function openLangGraph(url: string, poolSize: number): Promise<MemoryStore> {
  const store = new PostgresStore({
    connectionOptions: { connectionString: url, max: poolSize },
    schema: "langgraph",
  });
  await store.setup();
  return {
    set: (orgId, agentId, key, value) => store.put([orgId, agentId], key, value),
    get: (orgId, agentId, key) => store.get([orgId, agentId], key),
    [Symbol.asyncDispose]: () => store.stop(),
  };
}

/** Keyv on PostgreSQL. */
export function openKeyv(url: string, poolSize: number): MemoryStore {
  const store = new Keyv({
    store: new KeyvPostgres({ uri: url, max: poolSize }),
    throwOnErrors: true,
  });
  return {
    set: (orgId, agentId, key, value) => store.set(`${orgId}/${agentId}/${key}`, value),
    get: (orgId, agentId, key) => store.get(`${orgId}/${agentId}/${key}`),
    [Symbol.asyncDispose]: () => store.disconnect(),
  };
}

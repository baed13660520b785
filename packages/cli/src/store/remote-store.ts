import type { Health, MemoryEntry, MemoryEntryMeta, MemorySetOptions, Page } from "@codespar/core";
import { StorageError } from "@codespar/core";
import { type Call, callServer, exchange, type Server } from "./http-client.ts";
import { remoteAudit } from "./remote-audit.ts";
import { remoteKeys } from "./remote-keys.ts";
import type { Store } from "./store.ts";

/** A storage behind a running server, with the same results and errors as the library's own. */
export function remoteStore(server: Server): Store {
  const call = (request: Call) => callServer(server, request);
  const entryPath = (agentId: string, key: string) => ["api", "agents", agentId, "memory", key];
  return {
    memory: {
      getEntry: (agentId, key, { signal } = {}) =>
        call({ method: "GET", path: entryPath(agentId, key), signal }).then(
          ({ body }) => body as MemoryEntry,
          nullWhenMissing,
        ),
      async set(agentId, key, value, options = {}) {
        const { ttlMs, expiresAt, record, signal } = options;
        const { status, body } = await call({
          method: "PUT",
          path: entryPath(agentId, key),
          headers: preconditions(options),
          body: { value, ttlMs, expiresAt, record },
          signal,
        });
        return { ...(body as MemoryEntryMeta), created: status === 201 };
      },
      delete: (agentId, key, options = {}) =>
        call({
          method: "DELETE",
          path: entryPath(agentId, key),
          headers: preconditions(options),
          query: { record: options.record },
          signal: options.signal,
        }).then(() => true, falseWhenMissing),
      async list(agentId, { signal, ...query } = {}) {
        const path = ["api", "agents", agentId, "memory"];
        const { body } = await call({ method: "GET", path, query, signal });
        return body as Page<MemoryEntry>;
      },
    },
    apiKeys: remoteKeys(call),
    audit: remoteAudit(server),
    async health({ timeoutMs }) {
      const { body } = await exchange(server, {
        method: "GET",
        path: ["health"],
        silenceMs: timeoutMs,
      });
      return healthOf(body);
    },
    close: async () => undefined,
  };
}

type Report = Pick<Health, "code" | "reason"> & {
  readonly status: string;
  readonly storage: Omit<Health, "ok" | "code" | "reason">;
};

/** The server's own report says the same in another shape, and something else that listens there says something else. */
function healthOf(body: unknown): Health {
  const { status, code, reason, storage } = Object(body) as Partial<Report>;
  if (status === undefined || storage === undefined) {
    throw new StorageError(
      "UNAVAILABLE",
      "What answered is not a CodeSpar server. Check the address.",
    );
  }
  return { ok: status === "ok", ...(code && { code }), ...(reason && { reason }), ...storage };
}

function preconditions(
  options: Pick<MemorySetOptions, "ifVersion" | "ifAbsent">,
): Record<string, string> {
  return {
    ...(options.ifVersion !== undefined && { "if-match": entityTag(options.ifVersion) }),
    ...(options.ifAbsent && { "if-none-match": "*" }),
  };
}

/** What no entity tag can hold is no version of ours: it becomes a tag that matches nothing. */
function entityTag(version: string): string {
  return /^[\x21\x23-\x7e]*$/.test(version) ? `"${version}"` : '"?"';
}

function nullWhenMissing(error: unknown): null {
  if (StorageError.is(error, "NOT_FOUND")) return null;
  throw error;
}

function falseWhenMissing(error: unknown): false {
  nullWhenMissing(error);
  return false;
}

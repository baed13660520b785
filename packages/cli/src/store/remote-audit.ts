import type {
  AuditCheckpoint,
  AuditEntry,
  AuditFilter,
  AuditKey,
  AuditProof,
  AuditVerification,
  Page,
} from "@codespar/core";
import { StorageError } from "@codespar/core";
import { type Call, callServer, download, type Server } from "./http-client.ts";
import { instantText } from "./remote-keys.ts";
import type { ExportedTrail, Store } from "./store.ts";

/** A trail behind a running server. */
export function remoteAudit(server: Server): Store["audit"] {
  async function call<Body>(
    method: Call["method"],
    path: readonly (string | number)[],
    more: Omit<Call, "method" | "path"> = {},
  ): Promise<Body> {
    const request = { ...more, method, path: ["api", "audit", ...path.map(String)] };
    return (await callServer(server, request)).body as Body;
  }
  return {
    list: ({ signal, ...query } = {}) =>
      call<Page<AuditEntry>>("GET", [], { query: { ...query, ...range(query) }, signal }),
    get: (seq, { signal } = {}) =>
      call<AuditEntry>("GET", [seq], { signal }).catch((error: unknown) => {
        if (StorageError.is(error, "NOT_FOUND")) return null;
        throw error;
      }),
    verify: ({ signal, trustedKeys, checkpoint, maxUnanchored, depth } = {}) =>
      call<AuditVerification>("GET", ["verify"], {
        query: {
          trustedKey: trustedKeys,
          checkpoint: checkpoint && Buffer.from(checkpoint).toString("base64url"),
          maxUnanchored,
          depth,
        },
        signal,
        silenceMs: 0,
      }),
    checkpoint: ({ signal } = {}) => call<AuditCheckpoint>("GET", ["checkpoint"], { signal }),
    prove: (seq, { signal, size } = {}) =>
      call<AuditProof>("GET", [seq, "proof"], { query: { size }, signal }),
    redact: (seq, reason, { signal } = {}) =>
      call<AuditEntry>("POST", [seq, "redact"], { body: { reason }, signal }),
    keys: async ({ signal } = {}) =>
      (await call<{ items: readonly AuditKey[] }>("GET", ["keys"], { signal })).items,
    rotateKey: ({ signal } = {}) => call<AuditKey>("POST", ["keys", "rotate"], { signal }),
    export: async ({ signal, ...query }) => {
      const path = ["api", "audit", "export"];
      const headers = { accept: "*/*" };
      return exported(
        await download(server, {
          method: "GET",
          path,
          headers,
          query: { ...query, ...range(query) },
          signal,
          silenceMs: 0,
        }),
      );
    },
  };
}

function exported({ headers, content }: Awaited<ReturnType<typeof download>>): ExportedTrail {
  const encoded = headers["x-audit-checkpoint"];
  const note = typeof encoded === "string" ? Buffer.from(encoded, "base64").toString("utf8") : null;
  return {
    content,
    checkpoint: note === null ? null : { note, size: Number(note.split("\n")[1]) },
    warnings: [headers["x-audit-warning"] ?? []].flat(),
  };
}

function range({ from, to }: AuditFilter): Pick<Record<string, string | undefined>, "from" | "to"> {
  return { from: instantText(from), to: instantText(to) };
}

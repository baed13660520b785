import type {
  ErasureReport,
  Organisation,
  OrganisationSummary,
  Page,
  RotationReport,
  SecretsStatus,
} from "@codespar/core";
import { StorageError } from "@codespar/core";
import { type Call, callServer, download, type Server } from "./http-client.ts";
import type { Administration } from "./store.ts";

/** What concerns all organisations of a running server, with the same results and errors as the library's own. */
export function remoteDeployment(server: Server): Administration {
  async function call<Body>(
    method: Call["method"],
    path: readonly string[],
    more: Omit<Call, "method" | "path"> = {},
  ): Promise<Body> {
    return (await callServer(server, { ...more, method, path: ["api", ...path] })).body as Body;
  }
  return {
    secrets: {
      status: () => call<SecretsStatus>("GET", ["secrets", "status"]),
      async rotate({ newKey, limit, onProgress, signal } = {}) {
        // Only the first request may ask for a new key: one that came after the end would begin anew.
        let first = newKey === true ? { newKey } : {};
        for (let resealed = 0; ; ) {
          const body = { ...first, ...(limit !== undefined && { limit }) };
          first = {};
          const path = ["secrets", "rotate"];
          const report = await call<RotationReport>("POST", path, { body, signal, silenceMs: 0 });
          resealed += report.resealed;
          if (report.resealed > 0)
            onProgress?.({ done: resealed, total: resealed + report.remaining });
          if (report.finished || limit !== undefined) return { ...report, resealed };
        }
      },
    },
    organisations: {
      list: ({ signal, ...query } = {}) =>
        call<Page<Organisation>>("GET", ["orgs"], { query, signal }),
      get: (orgId, { signal } = {}) =>
        call<OrganisationSummary>("GET", ["orgs", orgId], { signal, silenceMs: 0 }).catch(
          (error: unknown) => {
            if (StorageError.is(error, "NOT_FOUND")) return null;
            throw error;
          },
        ),
      async export(orgId, { signal } = {}) {
        const path = ["api", "orgs", orgId, "export"];
        const headers = { accept: "*/*" };
        return (await download(server, { method: "GET", path, headers, signal, silenceMs: 0 }))
          .content;
      },
      erase: (orgId, { confirm, signal }) =>
        call<ErasureReport>("DELETE", ["orgs", orgId], {
          query: { confirm },
          signal,
          silenceMs: 0,
        }),
    },
  };
}

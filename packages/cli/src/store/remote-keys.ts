import { type ApiKey, type IssuedApiKey, type Page, Secret } from "@codespar/core";
import type { Answer, Call } from "./http-client.ts";
import type { Store } from "./store.ts";

/** API keys behind a running server. */
export function remoteKeys(call: (request: Call) => Promise<Answer>): Store["apiKeys"] {
  const path = ["api", "keys"];
  return {
    async create({ expiresAt, ...input }, { signal } = {}) {
      const body = { ...input, expiresAt: instantText(expiresAt) };
      return issued(await call({ method: "POST", path, body, signal }));
    },
    async list({ signal, ...query } = {}) {
      const { body } = await call({ method: "GET", path, query, signal });
      return body as Page<ApiKey>;
    },
    revoke: (id, { signal } = {}) => call({ method: "DELETE", path: [...path, id], signal }),
    async rotate(id, { overlapMs, expiresAt, signal } = {}) {
      const body = { overlapMs, expiresAt: instantText(expiresAt) };
      return issued(await call({ method: "POST", path: [...path, id, "rotate"], body, signal }));
    },
  };
}

function issued({ body }: Answer): IssuedApiKey {
  const { key, token } = body as { readonly key: ApiKey; readonly token: string };
  return { key, token: new Secret(token) };
}

/** An instant as the API takes it. */
export function instantText(instant: Date | string | undefined): string | undefined {
  return instant instanceof Date ? instant.toISOString() : instant;
}

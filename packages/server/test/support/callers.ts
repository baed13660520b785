import { type ApiKeyScope, apiKeyScopes, type Storage } from "@codespar/core";

/** What makes a request one from elsewhere, though it comes over loopback. */
export const elsewhere = { via: "1.1 proxy" } as const;

/** The headers of a request from elsewhere with this token. */
export function bearer(token: string): { readonly authorization: string; readonly via: string } {
  return { ...elsewhere, authorization: `Bearer ${token}` };
}

/** Makes a key of an organisation. */
export async function makeKey(
  storage: Storage,
  orgId: string,
  scopes: readonly ApiKeyScope[] = apiKeyScopes,
  expiresAt?: string,
): Promise<{ readonly id: string; readonly token: string }> {
  const input = { name: scopes.join(" "), scopes, ...(expiresAt !== undefined && { expiresAt }) };
  const { key, token } = await storage.forOrg(orgId).apiKeys.create(input);
  return { id: key.id, token: token.reveal() };
}

import type { Actor, ApiKeyScope } from "@codespar/core";
import type { FastifyContextConfig } from "fastify";

/** Whoever sent a request, as far as that was found out. */
export type Principal =
  /** A request straight from this machine, while the deployment has no keys. */
  | { readonly kind: "local" }
  /** The command line, which may read this server's files. */
  | { readonly kind: "command-line" }
  /** `CODESPAR_ADMIN_KEY`. */
  | { readonly kind: "operator" }
  /** An organisation's API key. */
  | {
      readonly kind: "key";
      readonly orgId: string;
      readonly id: string;
      readonly scopes: readonly ApiKeyScope[];
      /** Until when it works, ISO 8601 in UTC; `null` for no end. */
      readonly expiresAt: string | null;
    }
  /** A person at this machine, in front of what tells nothing of any organisation. */
  | { readonly kind: "visitor" };

/** The organisation's own key; all others that may do anything may act for every organisation. */
export type KeyPrincipal = Extract<Principal, { readonly kind: "key" }>;

/** Whom the trail names for what a caller does. */
export function actorOf(principal: Principal): Actor {
  switch (principal.kind) {
    case "local":
    case "visitor":
      return { type: "system", id: "http" };
    case "command-line":
      return { type: "system", id: "cli" };
    case "operator":
      return { type: "system", id: "admin-key" };
    case "key":
      return keyActor(principal.id);
  }
}

/** Whom the trail names for what is done with a key. */
export function keyActor(keyId: string): Actor {
  return { type: "system", id: `key:${keyId}` };
}

/** Whether a caller holds a scope. `write` includes `read`: most writes answer with what is stored. */
export function holds(principal: Principal, scope: ApiKeyScope): boolean {
  if (principal.kind === "visitor") return false;
  if (principal.kind !== "key") return true;
  const { scopes } = principal;
  return scopes.includes(scope) || (scope === "read" && scopes.includes("write"));
}

/** Whether a caller may do what a route asks. */
export function mayUse(
  principal: Principal,
  { scope, access }: Pick<FastifyContextConfig, "scope" | "access">,
): boolean {
  if (access === "public" || access === "local") return true;
  if (scope !== undefined) return holds(principal, scope);
  return access === "operator"
    ? principal.kind !== "key" && principal.kind !== "visitor"
    : principal.kind !== "visitor";
}

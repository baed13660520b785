import type { ApiKeyScope } from "@codespar/core";
import type { FastifyInstance, RouteOptions } from "fastify";

/**
 * `public`: anyone. `local`: also whoever sits at this machine, whatever keys there are: for what tells nothing of any organisation. `caller`:
 * whoever is known, whatever the scopes. `operator`: whoever may act for every organisation.
 */
export type Access = "public" | "local" | "caller" | "operator";

declare module "fastify" {
  interface FastifyContextConfig {
    /** What the route asks of its caller. */
    readonly scope?: ApiKeyScope;
    /** In place of a scope. */
    readonly access?: Access;
    /** Whether each request that is let through is an entry, as it is where administration is read: for what needn't write one of its own. */
    readonly recordsAccess?: true;
  }
}

/**
 * Refuses, while the server is built, each route that doesn't say what it asks of its caller: one that was forgotten must not be open. Call
 * before the routes are added.
 */
export function requireDeclarations(app: FastifyInstance): void {
  app.addHook("onRoute", (route) => {
    // The reference's pages are added by a plugin, which knows nothing of this.
    if (isOf(route, "/docs")) route.config = { ...route.config, access: "local" };
    const { scope, access } = route.config ?? {};
    if ((scope === undefined) === (access === undefined)) {
      throw new TypeError(
        `${String(route.method)} ${route.url} must say in its config either which scope it asks of its caller, or which access.`,
      );
    }
  });
}

function isOf({ url }: RouteOptions, folder: string): boolean {
  return url === folder || url.startsWith(`${folder}/`);
}

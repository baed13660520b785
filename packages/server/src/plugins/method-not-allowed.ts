import type { FastifyInstance, HTTPMethods } from "fastify";
import { HttpError } from "../errors.ts";
import { pathOf } from "./errors.ts";

const methods: readonly HTTPMethods[] = [
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "PATCH",
  "DELETE",
  "OPTIONS",
];

/**
 * Answers 405 with `Allow` where the path exists and the method doesn't. Call before the routes are added; what it returns is
 * called after them.
 */
export function refuseOtherMethods(app: FastifyInstance): () => void {
  const known = new Map<string, Set<string>>();
  let adding = false;
  app.addHook("onRoute", ({ url, method }) => {
    if (adding) return;
    const allowed = known.get(url) ?? new Set();
    for (const name of [method].flat()) allowed.add(name.toUpperCase());
    known.set(url, allowed);
  });
  return () => {
    adding = true;
    for (const [url, allowed] of known) refuse(app, url, allowed);
  };
}

function refuse(app: FastifyInstance, url: string, allowed: ReadonlySet<string>): void {
  const others = methods.filter((method) => !allowed.has(method));
  if (others.length === 0) return;
  const allow = [...allowed].join(", ");
  app.route({
    method: others,
    url,
    schema: { hide: true },
    config: { access: "caller" },
    // Before the body is read: what can't be taken needs no parsing.
    onRequest: (request, _reply, done) => {
      const message = `${request.method} isn't possible on ${pathOf(request)}. Use ${allow}.`;
      done(new HttpError("METHOD_NOT_ALLOWED", message, { allow }));
    },
    handler: () => {
      throw new Error("answered by the hook");
    },
  });
}

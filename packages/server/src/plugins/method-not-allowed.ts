import type { FastifyInstance, FastifyRequest, HTTPMethods } from "fastify";
import { HttpError } from "../errors.ts";
import { noSuchRoute, pathOf } from "./errors.ts";

/** Those for which routes can be added: Fastify's own. */
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
  // Fastify has no routes for the others that Node's parser takes, such as TRACE, PROPFIND and QUERY.
  let paths: readonly KnownPath[] = [];
  app.addHook("onRequest", (request, _reply, done) => {
    if (!request.is404 || isRoutable(request.method)) return done();
    const [path = ""] = request.url.replace(/^[a-z]+:\/\/[^/]*/i, "").split("?", 1);
    const found = paths.find(({ form }) => form.test(path));
    done(found === undefined ? noSuchRoute(request) : notAllowed(request, found.allowed));
  });
  return () => {
    adding = true;
    paths = pathsOf(known);
    for (const [url, allowed] of known) refuse(app, url, allowed);
  };
}

function refuse(app: FastifyInstance, url: string, allowed: ReadonlySet<string>): void {
  const others = methods.filter((method) => !allowed.has(method));
  if (others.length === 0) return;
  app.route({
    method: others,
    url,
    schema: { hide: true },
    config: { access: "caller" },
    // Before the body is read: what can't be taken needs no parsing.
    onRequest: (request, _reply, done) => {
      done(notAllowed(request, allowed));
    },
    handler: () => {
      throw new Error("answered by the hook");
    },
  });
}

function notAllowed(request: FastifyRequest, allowed: ReadonlySet<string>): HttpError {
  const allow = [...allowed].join(", ");
  const message = `${request.method} isn't possible on ${pathOf(request)}. Use ${allow}.`;
  return new HttpError("METHOD_NOT_ALLOWED", message, { allow });
}

function isRoutable(method: string): boolean {
  return methods.some((name) => name === method);
}

interface KnownPath {
  readonly form: RegExp;
  readonly allowed: ReadonlySet<string>;
}

/** As the router finds them: what is named comes before what is a parameter. */
function pathsOf(known: ReadonlyMap<string, ReadonlySet<string>>): readonly KnownPath[] {
  const parameters = /:\w+/g;
  const count = (url: string) => url.match(parameters)?.length ?? 0;
  return [...known]
    .sort(([one], [other]) => count(one) - count(other))
    .map(([url, allowed]) => ({
      form: new RegExp(`^${url.replace(/[.*]/g, "\\$&").replace(parameters, "[^/]*")}$`),
      allowed,
    }));
}

import type { FastifyInstance } from "fastify";

/**
 * Takes the ports from the addresses that proxies add to `X-Forwarded-For`, as some do: with a port for each connection a caller would count as
 * many. Call before anything reads a request's address.
 */
export function dropForwardedPorts(app: FastifyInstance): void {
  app.addHook("onRequest", ({ raw: { headers } }, _reply, done) => {
    const sent = headers["x-forwarded-for"];
    if (typeof sent === "string") headers["x-forwarded-for"] = withoutPorts(sent);
    done();
  });
}

function withoutPorts(addresses: string): string {
  return addresses
    .split(",")
    .map((address) => withoutPort(address.trim()))
    .join(", ");
}

/** IPv6 with a port, and often without one, stands in brackets. */
function withoutPort(address: string): string {
  const [, v6, v4] = /^(?:\[([\da-f:.]+)\](?::\d+)?|([\d.]+):\d+)$/i.exec(address) ?? [];
  return v6 ?? v4 ?? address;
}

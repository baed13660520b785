import type { IncomingMessage } from "node:http";

/**
 * Whether a request comes straight from this machine: the connection is on a loopback address, so is the host that it names (a page that
 * rebinds its own name to 127.0.0.1 still names itself), no proxy has forwarded it, and no page of another origin has sent it. A reverse proxy
 * that adds none of the headers and rewrites `Host` can't be told from a local caller.
 *
 * @param origins - of pages that may ask as well
 */
export function isLocal(request: IncomingMessage, origins: readonly string[]): boolean {
  const { socket, headers } = request;
  const { remoteAddress, localAddress } = socket;
  if (!isLoopbackAddress(remoteAddress)) return false;
  // In-process injection has no local address; a real connection from loopback has one.
  if (localAddress !== undefined && !isLoopbackAddress(localAddress)) return false;
  const host = hostOf(request);
  return namesLoopback(host) && !isForwarded(headers) && !isForeign(headers, host, origins);
}

/** The host that is asked: where the request's target is a whole URL, as proxies are sent it, its own, whatever `Host` says (RFC 9112 §3.2.2). */
function hostOf({ url = "", headers }: IncomingMessage): string | undefined {
  if (url.startsWith("/") || url === "*") return headers.host;
  return /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(url)?.[1];
}

function isLoopbackAddress(address: string | undefined): boolean {
  if (address === undefined) return false;
  const plain = address.startsWith("::ffff:") ? address.slice("::ffff:".length) : address;
  return plain === "::1" || plain.startsWith("127.");
}

const loopbackHost = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

function namesLoopback(host: string | undefined): boolean {
  return host !== undefined && loopbackHost.test(host);
}

/** By which proxies say that they forward, or for whom. */
const forwarding = new Set([
  "cf-connecting-ip",
  "forwarded",
  "true-client-ip",
  "via",
  "x-client-ip",
  "x-real-ip",
]);

function isForwarded(headers: IncomingMessage["headers"]): boolean {
  for (const name in headers) {
    if (forwarding.has(name) || name.startsWith("x-forwarded-")) return true;
  }
  return false;
}

/** Browsers send what pages ask for to every address that they name, some of it without asking there first. Following a link is a person's doing. */
function isForeign(
  { origin, "sec-fetch-site": site, "sec-fetch-mode": mode }: IncomingMessage["headers"],
  host: string | undefined,
  origins: readonly string[],
): boolean {
  if (origin !== undefined) return origin !== `http://${host}` && !origins.includes(origin);
  return (site === "cross-site" || site === "same-site") && mode !== "navigate";
}

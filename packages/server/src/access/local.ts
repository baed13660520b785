import type { IncomingMessage } from "node:http";

/**
 * Whether a request comes straight from this machine: the connection is on a loopback address, so is the `Host` that it names (a page that
 * rebinds its own name to 127.0.0.1 still names itself), no proxy has forwarded it, and no page of another origin has sent it. A reverse proxy
 * that adds none of the headers and rewrites `Host` can't be told from a local caller.
 *
 * @param origins - of pages that may ask as well
 */
export function isLocal({ socket, headers }: IncomingMessage, origins: readonly string[]): boolean {
  const { remoteAddress, localAddress } = socket;
  if (!isLoopbackAddress(remoteAddress)) return false;
  // In-process injection has no local address; a real connection from loopback has one.
  if (localAddress !== undefined && !isLoopbackAddress(localAddress)) return false;
  return namesLoopback(headers.host) && !isForwarded(headers) && !isForeign(headers, origins);
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

function isForwarded(headers: IncomingMessage["headers"]): boolean {
  for (const name in headers) {
    if (name === "via" || name === "forwarded" || name.startsWith("x-forwarded-")) return true;
  }
  return false;
}

/** Browsers send what pages ask for to every address that they name, some of it without asking there first. Following a link is a person's doing. */
function isForeign(
  { origin, host, "sec-fetch-site": site, "sec-fetch-mode": mode }: IncomingMessage["headers"],
  origins: readonly string[],
): boolean {
  if (origin !== undefined) return origin !== `http://${host}` && !origins.includes(origin);
  return (site === "cross-site" || site === "same-site") && mode !== "navigate";
}

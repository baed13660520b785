import { Buffer } from "node:buffer";
import { invalid } from "../../errors/storage-error.ts";
import type { Anchor } from "./anchor.ts";
import { digestOf } from "./folder-anchor.ts";

/**
 * Posts each checkpoint as plain text. Any 2xx says that it is kept. A name and password in the address go as basic authentication.
 *
 * @throws StorageError `VALIDATION` for anything but an http or https address
 */
export function urlAnchor(address: string): Anchor {
  const url = parse(address);
  const headers: Record<string, string> = { "content-type": "text/plain; charset=utf-8" };
  if (url.username !== "" || url.password !== "") {
    const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
    headers["authorization"] = `Basic ${Buffer.from(credentials).toString("base64")}`;
    url.username = "";
    url.password = "";
  }
  return {
    id: `url:${digestOf(address)}`,
    // Paths and queries of such addresses are often secrets themselves.
    label: url.origin,
    async keep({ note }, signal) {
      const response = await fetch(url, {
        method: "POST",
        headers,
        body: note,
        redirect: "error",
        signal,
      });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`${url.origin} answered ${response.status}`);
    },
  };
}

function parse(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : null;
  if (url !== null && (url.protocol === "https:" || url.protocol === "http:")) return url;
  // Not shown: it may hold a password.
  throw invalid("The address of an anchor must begin with https:// or http://.");
}

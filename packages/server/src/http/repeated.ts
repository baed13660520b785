import type { IncomingMessage } from "node:http";

/**
 * How often a request carries a header. Node joins the values of most headers that come twice, or keeps only the first.
 *
 * @param name - in lower case
 */
export function timesSent(
  { rawHeaders }: Pick<IncomingMessage, "rawHeaders">,
  name: string,
): number {
  let times = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const sent = rawHeaders[i];
    if (sent?.length === name.length && sent.toLowerCase() === name) times += 1;
  }
  return times;
}

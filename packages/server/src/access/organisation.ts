import { isUtf8 } from "node:buffer";
import { StorageError } from "@codespar/core";
import type { FastifyRequest } from "fastify";

/**
 * The organisation that a request names in `x-org-id`, percent-encoded as an id in a path is, so that it can be any.
 *
 * @throws StorageError `VALIDATION` for a header that stands twice or isn't percent-encoded UTF-8
 */
export function namedOrganisation(request: FastifyRequest): string | undefined {
  const header = request.headers["x-org-id"];
  if (header === undefined) return undefined;
  // Node joins repeated headers with a comma, which would make one organisation's id of two.
  if (typeof header !== "string" || isRepeated(request, header)) {
    throw new StorageError("VALIDATION", "x-org-id stands more than once: name one organisation.");
  }
  try {
    return decodeURIComponent(fromUtf8(header));
  } catch (error) {
    throw new StorageError(
      "VALIDATION",
      "x-org-id must be percent-encoded UTF-8, as an id in a path is.",
      { cause: error },
    );
  }
}

/** Node reads header bytes as Latin-1. */
function fromUtf8(header: string): string {
  const bytes = Buffer.from(header, "latin1");
  if (!isUtf8(bytes)) throw new TypeError("not UTF-8");
  return bytes.toString("utf8");
}

function isRepeated(request: FastifyRequest, header: string): boolean {
  return header.includes(",") && request.raw.headersDistinct["x-org-id"]?.length !== 1;
}

import { createHash } from "node:crypto";
import { StorageError } from "@codespar/core";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { timesSent } from "./repeated.ts";

const header = "idempotency-key";
const maxKeyLength = 255;
const printableAscii = /^[\x20-\x7e]+$/;

/**
 * The id of the record that a request with an `Idempotency-Key` makes: a UUID (version 8) derived from organisation and key, so that the
 * same request again names the same record, from any instance.
 *
 * @returns `undefined` without the header
 * @throws StorageError `VALIDATION` when the key is empty, too long or not printable ASCII, or sent several times
 */
export function idempotentId(request: FastifyRequest, orgId: string): string | undefined {
  const sent = request.headers[header];
  if (sent === undefined) return undefined;
  if (timesSent(request.raw, header) > 1)
    throw new StorageError("VALIDATION", "Send one Idempotency-Key: this request has several.");
  const key = typeof sent === "string" ? unquote(sent) : "";
  if (key.length > maxKeyLength || !printableAscii.test(key)) {
    throw new StorageError(
      "VALIDATION",
      `Idempotency-Key must be 1 to ${maxKeyLength} printable ASCII characters, for example a UUID.`,
    );
  }
  return uuid8(createHash("sha256").update(`codespar idempotency key\0${orgId}\0${key}`).digest());
}

/**
 * A new record as the request names it: by an `id` of the caller's, by `Idempotency-Key`, or not at all.
 *
 * @throws StorageError `VALIDATION` as {@link idempotentId}, and when both name it
 */
export function named<Entry extends { readonly id?: string }>(
  request: FastifyRequest,
  orgId: string,
  entry: Entry,
): Entry {
  const derived = idempotentId(request, orgId);
  if (derived === undefined) return entry;
  if (entry.id === undefined) return { ...entry, id: derived };
  throw new StorageError(
    "VALIDATION",
    "Idempotency-Key and id name the entry twice: send one of them.",
  );
}

/**
 * Waits for what is written under the name that {@link named} or {@link idempotentId} gave. Of an `Idempotency-Key` the caller knows no id.
 *
 * @throws StorageError `ALREADY_EXISTS` that speaks of the key where there is one
 */
export async function underKey<Written>(
  request: FastifyRequest,
  write: Promise<Written>,
): Promise<Written> {
  try {
    return await write;
  } catch (error) {
    if (!isKeyed(request) || !StorageError.is(error, "ALREADY_EXISTS")) throw error;
    throw new StorageError(
      "ALREADY_EXISTS",
      "This Idempotency-Key was used before, for something that this request doesn't give again: use a new key.",
      { cause: error },
    );
  }
}

/** Refuses the header where nobody reads it: whoever sends it counts on it. Call before the routes are added, after callers are looked at. */
export function refuseUnreadKeys(app: FastifyInstance): void {
  const reading: string[] = [];
  app.addHook("onRoute", ({ method, url, config }) => {
    if (config?.documentedHeaders?.includes(header)) reading.push(`${String(method)} ${url}`);
  });
  app.addHook("onRequest", (request, _reply, done) => {
    const { documentedHeaders = [] } = request.routeOptions.config;
    const isRead = documentedHeaders.includes(header);
    if (request.method !== "POST" || request.is404 || isRead || !isKeyed(request)) return done();
    const message = `Nothing reads Idempotency-Key here; these do: ${reading.join(", ")}. Leave it out.`;
    done(new StorageError("VALIDATION", message));
  });
}

function isKeyed({ headers }: FastifyRequest): boolean {
  return headers[header] !== undefined;
}

/** The draft standard writes the key as a quoted string; most clients send it bare. */
function unquote(sent: string): string {
  const quoted = /^"((?:[^"\\]|\\["\\])*)"$/.exec(sent);
  return quoted?.[1] === undefined ? sent : quoted[1].replace(/\\(["\\])/g, "$1");
}

function uuid8(hash: Buffer): string {
  const bytes = hash.subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

import { createHash, timingSafeEqual } from "node:crypto";
import type { Secret } from "@codespar/core";
import type { FastifyRequest } from "fastify";

/**
 * What a request's `Authorization` holds: `undefined` without the header, `null` for anything but exactly one bearer token (RFC 6750 §2.1).
 */
export function bearerOf(request: FastifyRequest): string | null | undefined {
  const { authorization } = request.headers;
  if (authorization === undefined) return undefined;
  // Node keeps the first of several; whoever stands in front may have looked at another.
  if (request.raw.headersDistinct["authorization"]?.length !== 1) return null;
  return /^Bearer +([\x21-\x7e]+)$/i.exec(authorization)?.[1] ?? null;
}

/** Whether a text is a secret. Takes the same time whatever the text, its length aside. */
export function isSecret(text: string, secret: Secret): boolean {
  return timingSafeEqual(digest(text), digest(secret.reveal()));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

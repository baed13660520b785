import { Buffer, isUtf8 } from "node:buffer";
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { Secret } from "./secret.ts";

/** What a token says of itself, before anybody has looked whether it is one. */
export interface TokenParts {
  readonly orgId: string;
  readonly keyId: string;
}

/**
 * `csk_ORGANISATION_ID_SECRET`: base64url of the organisation's id, a UUID, base64url of 256 random bits. base64url has `_` too; id and secret
 * are of fixed length, so that only one reading is possible. Only characters of RFC 6750's `b64token`.
 */
const form =
  /^csk_([A-Za-z0-9_-]{1,171})_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})_[A-Za-z0-9_-]{43}$/;

/** A longer text is no token, and isn't looked at. */
const maxLength = 4 + 171 + 1 + 36 + 1 + 43;

/** Makes a token, and the hash of it that is kept. */
export function newToken({ orgId, keyId }: TokenParts): {
  readonly token: Secret;
  readonly hash: string;
} {
  const organisation = Buffer.from(orgId, "utf8").toString("base64url");
  const token = `csk_${organisation}_${keyId}_${randomBytes(32).toString("base64url")}`;
  return { token: new Secret(token), hash: digest(token).toString("hex") };
}

/** Reads whose a token says it is; `null` for what has another form. */
export function readToken(token: unknown): TokenParts | null {
  if (typeof token !== "string" || token.length > maxLength) return null;
  const [, organisation = "", keyId = ""] = form.exec(token) ?? [];
  const bytes = Buffer.from(organisation, "base64url");
  if (bytes.length === 0 || bytes.toString("base64url") !== organisation || !isUtf8(bytes))
    return null;
  return { orgId: bytes.toString("utf8"), keyId };
}

/** Nothing hashes to it. */
const nothing = Buffer.alloc(32);

const hashForm = /^[0-9a-f]{64}$/i;

/**
 * Whether a stored hash is this token's. Takes the same time whatever is stored, nothing (`null`) included. What can't be a hash, as by an
 * import or somebody's SQL, is no token's.
 *
 * @param hash - SHA-256 of the token as lower-case hex: 256 random bits need no slower hash
 */
export function isHashOf(hash: string | null, token: string): boolean {
  const isHash = hash !== null && hashForm.test(hash);
  const stored = isHash ? Buffer.from(hash, "hex") : nothing;
  return timingSafeEqual(stored, digest(token)) && isHash;
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

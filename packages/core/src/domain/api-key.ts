import type { RecordMeta } from "./memory.ts";

/**
 * What an API key may do. `read`: everything but the trail and secrets. `write`: change it, and append to the trail; includes `read`.
 * `audit:read`: read and verify the trail. `secrets`: read credentials. `admin`: API keys and the organisation itself.
 */
export const apiKeyScopes = ["read", "write", "audit:read", "secrets", "admin"] as const;

/** A scope of an API key. */
export type ApiKeyScope = (typeof apiKeyScopes)[number];

/** What a new API key is made of. */
export interface ApiKeyInput {
  /** A UUID. Default: a new UUIDv7. */
  readonly id?: string;
  /** For people, to tell keys apart: 1 to 1,024 UTF-8 bytes. */
  readonly name: string;
  /** At least one. */
  readonly scopes: readonly ApiKeyScope[];
  /** When it stops working: 1 s to ten years ahead. Default: never. */
  readonly expiresAt?: Date | string;
}

/** An API key as it may be shown: nothing of its token. */
export interface ApiKey extends RecordMeta {
  /** A UUID. The trail names what comes with the key as `system:key:<id>`. */
  readonly id: string;
  readonly name: string;
  /** In the order of {@link apiKeyScopes}. */
  readonly scopes: readonly ApiKeyScope[];
  /** The actor who made it, as `type:id`. */
  readonly createdBy: string;
  readonly expiresAt: string | null;
  /** To about a minute. */
  readonly lastUsedAt: string | null;
  /** Revoked keys stay in the list. */
  readonly revokedAt: string | null;
}

/**
 * A text for people and logs without any API key that stands in it, as where somebody gave a key instead of its id.
 * Each becomes `csk_[secret]`.
 */
export function withoutApiKeys(text: string): string {
  return text.includes("csk_") ? text.replace(/csk_[A-Za-z0-9_-]{40,}/g, "csk_[secret]") : text;
}

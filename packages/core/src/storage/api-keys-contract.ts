import type { Secret } from "../crypto/secret.ts";
import type { ApiKey, ApiKeyInput } from "../domain/api-key.ts";
import type { CallOptions, Listing, ListOptions } from "./options.ts";

/** An API key together with its token, which exists only here: of what is stored it can't be made again. */
export interface IssuedApiKey {
  readonly key: ApiKey;
  /** What a caller sends as `Authorization: Bearer …`. */
  readonly token: Secret;
}

/** Options of `apiKeys.rotate`. */
export interface ApiKeyRotateOptions extends CallOptions {
  /** Milliseconds for which the earlier token still works: 0 to 30 days. Default 0. */
  readonly overlapMs?: number;
  /** When the new key stops working: 1 s to ten years ahead. Default: when the one whose place it takes does. */
  readonly expiresAt?: Date | string;
}

/**
 * The organisation's API keys. Of a token only its SHA-256 is stored. Every change writes its audit entry, which holds neither; so does ending or
 * rotating what isn't there or has ended, with the outcome `failure`.
 *
 * A change works on every instance within half a second: for so long a process may rely on what it read.
 */
export interface ApiKeys {
  /** Makes a key. @throws StorageError `ALREADY_EXISTS` when its id is taken; `LIMIT_EXCEEDED` unless `expiresAt` lies 1 s to ten years ahead */
  create(input: ApiKeyInput, options?: CallOptions): Promise<IssuedApiKey>;
  get(id: string, options?: CallOptions): Promise<ApiKey | null>;
  /** Keys by id, which is the order in which they were made where nobody chose their ids; expired and revoked ones included. */
  list(options?: ListOptions): Listing<ApiKey>;
  /** Ends a key for good; again changes nothing. @throws StorageError `NOT_FOUND` */
  revoke(id: string, options?: CallOptions): Promise<ApiKey>;
  /**
   * Makes a key with the same name and scopes that takes this one's place, in one step with the end of this one. It stops working when this one
   * would have, unless another end is given: whoever may rotate a key can't keep it alive by that alone.
   *
   * @throws StorageError `NOT_FOUND` when there is no such key, or it has ended already; `LIMIT_EXCEEDED` unless `expiresAt` lies 1 s to ten years
   * ahead
   */
  rotate(id: string, options?: ApiKeyRotateOptions): Promise<IssuedApiKey>;
}

import { type ApiKey, type ApiKeyScope, withoutApiKeys } from "../../domain/api-key.ts";
import { idText } from "../../domain/schemas.ts";
import { invalid } from "../../errors/storage-error.ts";
import type { RecordRef, StoredRecord } from "../backend.ts";
import { parse } from "../validation.ts";
import { metaOf } from "./context.ts";

/**
 * Where a key is kept.
 *
 * @throws StorageError `VALIDATION` for a token in the place of its id: sent to a database as an id, it would stand in its log
 */
export function keyRef(id: string): RecordRef {
  const given = parse(idText, id, "id");
  if (withoutApiKeys(given) === given) return { table: "api_keys", key: [given] };
  throw invalid("id: this is the token of a key, not its id. codespar keys list shows ids.");
}

/** A key as it may be shown. */
export function showKey(record: StoredRecord): ApiKey {
  const { columns } = record;
  return {
    id: record.key[0] ?? "",
    name: String(columns["name"]),
    scopes: JSON.parse(String(columns["scopes"])) as ApiKeyScope[],
    createdBy: String(columns["created_by"]),
    expiresAt: columns["valid_until"] as string | null,
    lastUsedAt: columns["last_used_at"] as string | null,
    revokedAt: columns["revoked_at"] as string | null,
    ...metaOf(record),
  };
}

/** How a key has ended; `null` while it works. */
export function endOf(
  { expiresAt, revokedAt }: ApiKey,
  nowMs: number,
): "expired" | "revoked" | null {
  if (revokedAt !== null) return "revoked";
  return expiresAt !== null && Date.parse(expiresAt) <= nowMs ? "expired" : null;
}

import { isHashOf, readToken } from "../../crypto/api-token.ts";
import type { ApiKey } from "../../domain/api-key.ts";
import { limits } from "../../domain/limits.ts";
import { textProblem } from "../../domain/text.ts";
import { optionNames } from "../option-names.ts";
import type { Storage } from "../storage.ts";
import { checkOptionNames } from "../validation.ts";
import { endOf, keyRef, showKey } from "./api-key-records.ts";
import { beginCall, contextOf, type HandleContext } from "./context.ts";
import { memoryOf, nameOf, useNotedMs } from "./key-memory.ts";
import { putRecord } from "./record-verbs.ts";
import { runTransaction } from "./run-transaction.ts";

/** Whose a token is. */
export interface AuthenticatedKey {
  readonly orgId: string;
  readonly key: ApiKey;
}

/** What {@link authenticateApiKey} takes besides the token. */
export interface AuthenticateOptions {
  /**
   * Told of a token that is right but whose key has ended, for the organisation's own records. Whoever presented it must not be told: it gets the
   * answer that any other token gets.
   */
  readonly onEnded?: (caller: AuthenticatedKey, how: "expired" | "revoked") => void;
}

/**
 * Tells whose token this is. `null` for everything else alike: another form, an organisation or key that doesn't exist, a wrong secret, a key
 * that expired or was revoked; whatever has the form of a token takes one read and one comparison, in a time that doesn't depend on the
 * outcome. What other processes changed shows after half a second at most.
 *
 * The key's `lastUsedAt` follows once a minute, behind the answer.
 *
 * @param storage - a handle of any organisation: the token names its own
 * @throws StorageError when the key can't be read
 */
export async function authenticateApiKey(
  storage: Storage,
  token: string,
  options?: AuthenticateOptions,
): Promise<AuthenticatedKey | null> {
  checkOptionNames(options, optionNames.authenticate);
  const context = contextOf(storage);
  const { backend } = context;
  const call = beginCall(context, undefined);
  const named = readToken(token);
  if (named === null) return null;
  const { orgId, keyId } = named;
  // No organisation goes by it, and a database may not even take it as a text.
  if (textProblem(orgId, limits.idBytes) !== null) return null;
  const record = await memoryOf(backend).keys.get(nameOf(orgId, keyId), call.now, () =>
    backend.findApiKey(orgId, keyId, call),
  );
  const hash = record === null ? null : String(record.columns["hash"]);
  if (!isHashOf(hash, token) || record === null) return null;
  const caller = { orgId, key: showKey(record) };
  const how = endOf(caller.key, call.now);
  if (how !== null) {
    options?.onEnded?.(caller, how);
    return null;
  }
  noteUse({ ...context, orgId }, caller.key, call.now);
  return caller;
}

/**
 * Whether any organisation has an API key, one that has ended included: then the deployment is one whose callers need keys. A first key that
 * another process made shows after half a second at most; that there is one stays true for as long as the process runs.
 *
 * @param storage - a handle of any organisation
 * @throws StorageError when that can't be read
 */
export async function hasApiKeys(storage: Storage): Promise<boolean> {
  const context = contextOf(storage);
  const call = beginCall(context, undefined);
  const memory = memoryOf(context.backend);
  memory.hasKeys ||= await memory.any.get("", call.now, () => context.backend.hasApiKeys(call));
  return memory.hasKeys;
}

/** Keeps when a key was used, without an audit entry and without anybody waiting for it or for what goes wrong with it. */
function noteUse(context: HandleContext, { id, lastUsedAt }: ApiKey, nowMs: number): void {
  if (isRecent(lastUsedAt, nowMs)) return;
  void memoryOf(context.backend).notes.get(nameOf(context.orgId, id), nowMs, async () => {
    try {
      await runTransaction(context, async (unit) => {
        const before = await unit.read(keyRef(id));
        // Another process may have been first.
        if (before === null || isRecent(showKey(before).lastUsedAt, nowMs)) return;
        const used = { last_used_at: new Date(nowMs).toISOString() };
        putRecord(unit, keyRef(id), before, { ...before.columns, ...used });
      });
    } catch {
      // The next minute brings the next try.
    }
  });
}

function isRecent(lastUsedAt: string | null, nowMs: number): boolean {
  return lastUsedAt !== null && nowMs - Date.parse(lastUsedAt) < useNotedMs;
}

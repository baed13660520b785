import { newToken } from "../../crypto/api-token.ts";
import { newId } from "../../crypto/random.ts";
import type { ApiKeyScope } from "../../domain/api-key.ts";
import { limits } from "../../domain/limits.ts";
import { apiKeySchema } from "../../domain/schemas.ts";
import { invalid, StorageError } from "../../errors/storage-error.ts";
import type { ApiKeys, IssuedApiKey } from "../api-keys-contract.ts";
import type { Put, StoredRecord } from "../backend.ts";
import { optionNames } from "../option-names.ts";
import { expiryOf, parse } from "../validation.ts";
import { endOf, keyRef, showKey } from "./api-key-records.ts";
import { automaticEntry, type Fruitless, fruitlessEntry } from "./audit-entries.ts";
import { withContext } from "./context.ts";
import { memoryOf, nameOf } from "./key-memory.ts";
import { tableListing } from "./listing.ts";
import { putRecord, readShown } from "./record-verbs.ts";
import type { Runner } from "./runner.ts";
import type { UnitOfWork } from "./unit-of-work.ts";

/** API keys on a handle. */
export function apiKeysDomain(runner: Runner): ApiKeys {
  const { context } = runner;
  /** Whoever asks in this process needn't wait for what it remembers to grow old. */
  async function forgetting<Result>(id: string, change: Promise<Result>): Promise<Result> {
    const result = await change;
    memoryOf(context.backend).keys.forget(nameOf(context.orgId, id));
    return result;
  }
  const domain: ApiKeys = {
    async create(input, options) {
      const issued = await runner.run(async (unit) => {
        const { id = newId(), name, scopes, expiresAt } = parse(apiKeySchema, input, "key");
        if ((await unit.read(keyRef(id))) !== null) {
          throw new StorageError(
            "ALREADY_EXISTS",
            `There is an API key ${id} already, whose token was shown when it was made. Rotate it, or choose another id.`,
          );
        }
        const validUntil = endGiven(expiresAt, unit.call.now);
        return issue(unit, { id, name, scopes, validUntil });
      }, options);
      memoryOf(context.backend).hasKeys = true;
      return issued;
    },
    get: (id, options) => runner.run(async (unit) => readShown(unit, keyRef(id), showKey), options),
    list: (options) => tableListing(context, options, () => ({ table: "api_keys", show: showKey })),
    revoke: (id, options) =>
      forgetting(
        id,
        runner
          .run(async (unit) => {
            const said = { action: "api_key.revoked", ...subject(id) } as const;
            const { actor } = unit.context;
            const before = await unit.read(keyRef(id));
            if (before === null) {
              unit.append(fruitlessEntry(actor, said, "not_found"));
              return null;
            }
            if (before.columns["revoked_at"] !== null) {
              unit.append(fruitlessEntry(actor, said, "revoked"));
              return showKey(before);
            }
            unit.append(automaticEntry(actor, said));
            return showKey(change(unit, before, { revoked_at: iso(unit.call.now) }));
          }, options)
          .then((key) => key ?? unknown(id)),
      ),
    rotate: (id, options) =>
      forgetting(
        id,
        runner
          .run(
            async (unit) => {
              const overlapMs = checkOverlap(options?.overlapMs);
              const validUntil = endGiven(options?.expiresAt, unit.call.now);
              return replace(unit, id, overlapMs, validUntil);
            },
            options,
            optionNames.rotateKey,
          )
          .then((issued) => (typeof issued === "string" ? unusable(id, issued) : issued)),
      ),
  };
  return withContext(domain, context);
}

interface KeyFields {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly ApiKeyScope[];
  readonly validUntil: string | null;
}

function issue(unit: UnitOfWork, fields: KeyFields, rotatedFrom?: string): IssuedApiKey {
  const { id, name, scopes, validUntil } = fields;
  const { orgId, actor } = unit.context;
  const { token, hash } = newToken({ orgId, keyId: id });
  const record = putRecord(unit, keyRef(id), null, {
    name,
    hash,
    scopes: JSON.stringify(scopes),
    created_by: `${actor.type}:${actor.id}`,
    valid_until: validUntil,
    last_used_at: null,
    revoked_at: null,
  });
  const details = { name, scopes, expiresAt: validUntil, ...(rotatedFrom && { rotatedFrom }) };
  unit.append(automaticEntry(actor, { action: "api_key.created", ...subject(id) }, details));
  return { key: showKey(record), token };
}

/** `null` where none is. */
function endGiven(expiresAt: Date | string | undefined, now: number): string | null {
  return expiryOf(expiresAt === undefined ? {} : { expiresAt }, now);
}

/**
 * @param validUntil - the new key's end; `null` for that of the one before
 * @returns why there is no key to replace, where there is none: its entry is to be sealed, so nothing may be thrown before that
 */
async function replace(
  unit: UnitOfWork,
  id: string,
  overlapMs: number,
  validUntil: string | null,
): Promise<IssuedApiKey | Fruitless> {
  const { now } = unit.call;
  const { actor } = unit.context;
  const said = { action: "api_key.rotated", ...subject(id) } as const;
  const nothing = (why: Fruitless): Fruitless => {
    unit.append(fruitlessEntry(actor, said, why));
    return why;
  };
  const before = await unit.read(keyRef(id));
  if (before === null) return nothing("not_found");
  const key = showKey(before);
  const ended = endOf(key, now);
  if (ended !== null) return nothing(ended);
  const { name, scopes, expiresAt } = key;
  const fields = { id: newId(), name, scopes, validUntil: validUntil ?? expiresAt };
  const issued = issue(unit, fields, id);
  const end = iso(now + overlapMs);
  const ending =
    overlapMs === 0
      ? { revoked_at: end }
      : { valid_until: expiresAt !== null && expiresAt < end ? expiresAt : end };
  change(unit, before, ending);
  const details = { replacedBy: issued.key.id, overlapMs };
  unit.append(automaticEntry(actor, said, details));
  return issued;
}

/** Buffers a change of some columns. */
function change(unit: UnitOfWork, before: StoredRecord, columns: Put["columns"]): StoredRecord {
  const ref = { table: "api_keys", key: before.key } as const;
  return putRecord(unit, ref, before, { ...before.columns, ...columns });
}

/** @throws StorageError `NOT_FOUND`, once the entry that says so is sealed */
function unknown(id: string): never {
  throw new StorageError("NOT_FOUND", `There is no API key ${JSON.stringify(id)}.`);
}

/** As {@link unknown}, and of a key that has ended. */
function unusable(id: string, why: Fruitless): never {
  if (why === "not_found") return unknown(id);
  throw new StorageError("NOT_FOUND", `The API key ${id} has ended already. Make a new one.`);
}

function subject(id: string) {
  return { target: { type: "api_key", id } };
}

function checkOverlap(overlapMs: unknown): number {
  if (overlapMs === undefined) return 0;
  if (typeof overlapMs !== "number" || !Number.isInteger(overlapMs) || overlapMs < 0)
    throw invalid("overlapMs must be a whole number of milliseconds from 0.");
  if (overlapMs <= limits.keyOverlapMaxMs) return overlapMs;
  throw new StorageError(
    "LIMIT_EXCEEDED",
    `overlapMs must be at most ${limits.keyOverlapMaxMs}, not ${overlapMs}.`,
  );
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

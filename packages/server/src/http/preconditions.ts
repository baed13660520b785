import { type DeleteOptions, PreconditionFailedError, StorageError } from "@codespar/core";
import type { FastifyReply, FastifyRequest } from "fastify";
import {
  type EntityTags,
  entityTag,
  matchesStrongly,
  matchesWeakly,
  parseEntityTags,
} from "./entity-tags.ts";

interface Conditions {
  readonly ifMatch: EntityTags | null;
  readonly ifNoneMatch: EntityTags | null;
}

/** Times a write is tried whose conditions the storage can't check in one step, before it is `CONFLICT`. */
const attempts = 5;

/** What a conditional write needs besides the request. */
export interface ConditionalWrite<Result> {
  /** Names the record in the error. */
  readonly what: string;
  /** Reads the record's version; `null` for none. */
  current(): Promise<string | null>;
  /** Writes under these preconditions. */
  write(preconditions: DeleteOptions): Promise<Result>;
  /** Writes where there is no record, and only then. */
  writeAbsent(): Promise<Result>;
  /** Says that `writeAbsent` fails with `PRECONDITION_FAILED` where there is a record, so that nothing need be read before. */
  readonly checksAbsence?: true;
}

/**
 * Runs a write under the request's `If-Match` and `If-None-Match`. One version is checked by the write itself; a list, a weak
 * tag, `*` or both headers are checked against the current version, to which the write is then tied, so that nothing can come between.
 *
 * @throws StorageError `PRECONDITION_FAILED`; `CONFLICT` when others were faster five times; `VALIDATION` for a malformed header
 */
export async function conditionally<Result>(
  request: FastifyRequest,
  { what, current, write, writeAbsent, checksAbsence }: ConditionalWrite<Result>,
): Promise<Result> {
  const conditions = conditionsOf(request);
  if (conditions === null) return await write({});
  const only = onlyVersion(conditions);
  if (only !== null) return await write({ ifVersion: only });
  const { ifMatch, ifNoneMatch } = conditions;
  if (checksAbsence && ifMatch === null && ifNoneMatch === "*") return await writeAbsent();
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const version = await current();
    check(conditions, what, version);
    try {
      return version === null ? await writeAbsent() : await write({ ifVersion: version });
    } catch (error) {
      if (!StorageError.is(error, "PRECONDITION_FAILED")) throw error;
    }
  }
  throw new StorageError("CONFLICT", `${what}: others changed it on every attempt. Try again.`);
}

/**
 * Sets a record's `ETag` and evaluates the conditions of a read.
 *
 * @returns whether the caller has this version already: the answer is then 304 without a body
 * @throws StorageError `PRECONDITION_FAILED` when `If-Match` doesn't name this version
 */
export function isNotModified(
  request: FastifyRequest,
  reply: FastifyReply,
  what: string,
  version: string | null,
): boolean {
  // First: what isn't understood is answered without a word of the record.
  const conditions = conditionsOf(request);
  if (version !== null) void reply.header("etag", entityTag(version));
  if (conditions === null) return false;
  const { ifMatch, ifNoneMatch } = conditions;
  check({ ifMatch, ifNoneMatch: null }, what, version);
  return ifNoneMatch !== null && matchesWeakly(ifNoneMatch, version);
}

function conditionsOf(request: FastifyRequest): Conditions | null {
  const { "if-match": ifMatch, "if-none-match": ifNoneMatch } = request.headers;
  if (ifMatch === undefined && ifNoneMatch === undefined) return null;
  return {
    ifMatch: ifMatch === undefined ? null : parseEntityTags("If-Match", ifMatch),
    ifNoneMatch: ifNoneMatch === undefined ? null : parseEntityTags("If-None-Match", ifNoneMatch),
  };
}

/** The version, where the conditions say no more than that the record must have it. */
function onlyVersion({ ifMatch, ifNoneMatch }: Conditions): string | null {
  if (ifMatch === null || ifMatch === "*" || ifNoneMatch !== null) return null;
  const [tag, ...others] = ifMatch;
  return tag === undefined || tag.weak || others.length > 0 ? null : tag.version;
}

function check({ ifMatch, ifNoneMatch }: Conditions, what: string, version: string | null): void {
  const holds =
    (ifMatch === null || matchesStrongly(ifMatch, version)) &&
    (ifNoneMatch === null || !matchesWeakly(ifNoneMatch, version));
  if (!holds) throw new PreconditionFailedError(what, version);
}

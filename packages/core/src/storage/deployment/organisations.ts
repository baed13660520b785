import { Buffer } from "node:buffer";
import { limits } from "../../domain/limits.ts";
import { StorageError } from "../../errors/storage-error.ts";
import type { Backend, CallContext } from "../backend.ts";
import { decodeCursor, encodeCursor } from "../cursor.ts";
import { ownAuditDomain } from "../domains/audit.ts";
import { beginCall, type HandleContext } from "../domains/context.ts";
import { listing, pageOf } from "../domains/listing.ts";
import { holdings, type MovableTable } from "../move/content.ts";
import { type OptionNames, optionNames } from "../option-names.ts";
import type { CallOptions, Listing, ListOptions } from "../options.ts";
import { tableNames } from "../tables.ts";
import { checkText, pageLimit } from "../validation.ts";
import {
  type EraseOrganisationOptions,
  type ErasureReport,
  eraseOrganisation,
  noOrganisation,
} from "./erase-organisation.ts";
import { archiveOf } from "./export-organisation.ts";
import { type ImportReport, importArchive } from "./import-organisation.ts";
import { isOwnOrganisation, refuseOwn } from "./own-trail.ts";

/** An organisation that holds something. */
export interface Organisation {
  readonly orgId: string;
}

/** What an organisation holds. */
export interface OrganisationSummary extends Organisation {
  /** Rows by table, empty ones left out. */
  readonly tables: Readonly<Partial<Record<MovableTable, number>>>;
  /** Rows in all. */
  readonly rows: number;
}

/** The organisations of a deployment. */
export interface Organisations {
  /** The organisations that hold anything, by id. What is the deployment's own (`codespar/deployment`) is left out. */
  list(options?: ListOptions): Listing<Organisation>;
  /** What an organisation holds, or `null` when it holds nothing. Counts its rows, which takes its time with millions. */
  get(orgId: string, options?: CallOptions): Promise<OrganisationSummary | null>;
  /**
   * Everything that an organisation holds as one JSON Lines archive, a piece at a time, in constant memory. Secrets stay sealed. Its trail gets
   * an entry `organisation.exported` before. Whoever writes meanwhile is not held up: each record is in the archive as it was at some moment of the
   * export. Only an archive that ends in its closing line is whole.
   *
   * @returns the archive's text; what fails while it is read is thrown there
   * @throws StorageError `NOT_FOUND` when it holds nothing
   */
  export(orgId: string, options?: CallOptions): Promise<AsyncIterable<string>>;
  /**
   * Takes over an archive as it is, into a deployment where the organisation holds nothing: versions, instants and ciphertext, the trail's bytes
   * and parts, and at its end an entry `organisation.imported`. The archive is read several times, in constant memory: first as a whole, when structure and every value are
   * checked before anything is written. What was checked is stored, and nothing else. An import that is broken off leaves a part, in which no API key works: erase that, then import again.
   *
   * @param orgId - the archive's own: secrets open nowhere else
   * @param read - opens the archive from its beginning
   * @throws StorageError `VALIDATION`, with line number and reason, for an archive that is cut off, changed, another organisation's, or holds what can't be stored; `ALREADY_EXISTS` when the organisation holds
   * anything; `KEY_MISMATCH`, `ENCRYPTION_KEY_MISSING` when it holds secrets that wouldn't open, of which nothing is left behind; `UNSUPPORTED` for another version's archive, and for the deployment's own: `move` takes that over
   */
  import(
    orgId: string,
    read: () => AsyncIterable<string | Uint8Array>,
    options?: CallOptions,
  ): Promise<ImportReport>;
  /**
   * Erases an organisation for good, in steps: its records, trail, keys, routes and, on files, its folder. Other organisations' data, trails and
   * proofs don't change. Broken off, the same call goes on. That it happened stands in the trail of `codespar/deployment`: as an intent
   * before, and with what was removed after. Stop whatever writes to it before; what is written meanwhile may stay. Files that are damaged are removed
   * as well, their rows uncounted.
   *
   * @param options - `confirm`: the organisation's id once more
   * @throws StorageError `VALIDATION` unless `confirm` is the id; `NOT_FOUND` when it holds nothing; `UNSUPPORTED` for the deployment's own, and
   * when the database login may not erase
   */
  erase(orgId: string, options: EraseOrganisationOptions): Promise<ErasureReport>;
}

/** The organisations, for the actor of a handle. */
export function organisationsOf(context: HandleContext): Organisations {
  const { backend } = context;
  const begin = (orgId: string, options: CallOptions | undefined, names?: OptionNames) => {
    const call = beginCall(context, options, names);
    checkText(orgId, "orgId", limits.orgIdBytes);
    return call;
  };
  return {
    list: (options) =>
      listing(options?.cursor, async (cursor) => {
        const call = beginCall(context, options, optionNames.list);
        const limit = pageLimit(options?.limit);
        const reverse = options?.reverse ?? false;
        const scope = ["organisations", reverse];
        const [after] = cursor === undefined ? [] : decodeCursor(scope, cursor, 1);
        // One more tells whether there is another page, and two are the deployment's own.
        const page = { after: after ?? "", limit: limit + 3 };
        const all = await backend.organisations(call, reverse ? undefined : page);
        const ids = (reverse ? all.toReversed() : all).filter(
          (orgId) =>
            !isOwnOrganisation(orgId) && (after === undefined || isBehind(orgId, after, reverse)),
        );
        const show = (orgId: string) => ({ orgId });
        return pageOf(ids, limit, show, (orgId) => encodeCursor(scope, [orgId]));
      }),
    async get(orgId, options) {
      const held = await holdings(backend, [orgId], begin(orgId, options));
      if (held.length === 0) return null;
      const tables = Object.fromEntries(held.map(({ table, count }) => [table, count]));
      return { orgId, tables, rows: held.reduce((sum, { count }) => sum + count, 0) };
    },
    async export(orgId, options) {
      const call = begin(orgId, options);
      if (!(await holdsAnything(backend, orgId, call))) throw noOrganisation(orgId);
      await ownAuditDomain({ ...context, orgId }).append({ action: "organisation.exported" });
      return archiveOf(backend, orgId, call);
    },
    async import(orgId, read, options) {
      const call = begin(orgId, options);
      refuseOwn(orgId);
      if (await holdsAnything(backend, orgId, call)) throw holdsSomething(orgId);
      const report = await importArchive(backend, orgId, read, call);
      await ownAuditDomain({ ...context, orgId }).append({
        action: "organisation.imported",
        details: { sha256: report.sha256 },
      });
      return report;
    },
    async erase(orgId, options) {
      const call = begin(orgId, options, optionNames.erase);
      return eraseOrganisation(context, orgId, call, options ?? {});
    },
  };
}

/** By UTF-8 bytes. */
function isBehind(orgId: string, after: string, reverse: boolean): boolean {
  const order = Buffer.compare(Buffer.from(orgId), Buffer.from(after));
  return reverse ? order < 0 : order > 0;
}

/** Without counting: whether there is a record or an entry. */
async function holdsAnything(backend: Backend, orgId: string, call: CallContext): Promise<boolean> {
  const { size } = await backend.auditHead(orgId, call);
  if (size > 0) return true;
  for (const table of tableNames) {
    if ((await backend.list(orgId, { table, limit: 1 }, call)).length > 0) return true;
  }
  return false;
}

function holdsSomething(orgId: string): StorageError {
  return new StorageError(
    "ALREADY_EXISTS",
    `The organisation "${orgId}" holds something here already. Erase it first, or import into another deployment.`,
  );
}

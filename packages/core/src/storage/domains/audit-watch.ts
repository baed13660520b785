import type { AuditEntry } from "../../domain/audit.ts";
import { kindOf } from "../../domain/text.ts";
import { damagedTrail, invalid } from "../../errors/storage-error.ts";
import { aborted, unlessAborted } from "../abort.ts";
import type { Audit } from "../audit-contract.ts";
import type { AuditRow } from "../backend.ts";
import { optionNames } from "../option-names.ts";
import { showRow } from "./audit-reading.ts";
import { beginCall, type HandleContext } from "./context.ts";
import { type Followed, trailSignal } from "./trail-signal.ts";

/** Entries read at a time: what a slow reader has in memory at most. */
const pageRows = 100;

/** The live view of a trail. */
export function auditWatch(context: HandleContext): Pick<Audit, "watch"> {
  return {
    watch: (options) => {
      // Where it begins is settled now, not when somebody begins to read.
      const beginning = beginningOf(context, options);
      beginning.catch(() => undefined);
      // One that isn't there is what its beginning says is wrong.
      const { signal } = Object(options) as Parameters<Audit["watch"]>[0];
      return {
        [Symbol.asyncIterator]: () => entriesBehind(context, beginning, signal),
      };
    },
  };
}

async function beginningOf(
  context: HandleContext,
  options: Parameters<Audit["watch"]>[0],
): Promise<number> {
  const { after, signal } = options ?? {};
  if (!(signal instanceof AbortSignal))
    throw invalid(`signal must be an AbortSignal, not ${kindOf(signal)}.`);
  if (after !== undefined && (!Number.isSafeInteger(after) || after < -1))
    throw invalid("after must be a sequence number, or -1 for the beginning.");
  // One that has fired already ends the iteration, and is no error.
  const call = beginCall(context, signal.aborted ? {} : options, optionNames.watch);
  return after ?? (await context.backend.auditHead(context.orgId, call)).size - 1;
}

async function* entriesBehind(
  context: HandleContext,
  beginning: Promise<number>,
  signal: AbortSignal,
): AsyncGenerator<AuditEntry, void> {
  const followed = trailSignal(context.backend).follow(context.orgId);
  try {
    let after = await beginning;
    while (!signal.aborted) {
      const rows = await rowsBehind(context, followed, after, signal);
      for (const row of rows) {
        const entry = showRow(row);
        followed.meet(entry.log);
        yield entry;
        if (signal.aborted) return;
        after = row.seq;
      }
      if (rows.length < pageRows) await followed.waitBehind(after, () => isOpen(context), signal);
    }
  } catch (error) {
    // Asked as it is: what was given instead of a signal is one of the errors.
    if (!(signal instanceof AbortSignal && signal.aborted)) throw error;
  } finally {
    followed.release();
  }
}

async function rowsBehind(
  context: HandleContext,
  followed: Followed,
  after: number,
  signal: AbortSignal,
): Promise<AuditRow[]> {
  const { now } = beginCall(context, { signal });
  const query = { filter: {}, after, limit: pageRows, order: "asc" } as const;
  // Others may wait for the same reading: this one's signal must not end it.
  const reading = followed.shareReading(after, () =>
    context.backend.listAudit(context.orgId, query, { now }),
  );
  const rows = await unlessAborted(reading, signal, (fired) => aborted(fired, "while it read"));
  const gap = rows.findIndex((row, i) => row.seq !== after + 1 + i);
  if (gap !== -1) throw damagedTrail(`entry ${after + 1 + gap} is missing`);
  return rows;
}

function isOpen(context: HandleContext): boolean {
  try {
    context.assertOpen();
    return true;
  } catch {
    return false;
  }
}

import { createHash, type Hash } from "node:crypto";
import type { Backend, CallContext } from "../backend.ts";
import type { MovableTable } from "../move/content.ts";
import { auditPages, recordPages } from "../pages.ts";
import { tableNames } from "../tables.ts";
import {
  type ArchiveClosing,
  encodeClosing,
  encodeEntry,
  encodeHeader,
  encodeRecord,
} from "./archive.ts";
import { throwIfInterrupted } from "./secrets.ts";

/**
 * An organisation's archive, a few lines at a time. The trail comes last and ends where it ended once all else was read: what the checkpoints
 * vouch for is in it.
 */
export async function* archiveOf(
  backend: Backend,
  orgId: string,
  context: CallContext,
): AsyncGenerator<string, void> {
  const sum = createHash("sha256");
  const counts: Partial<Record<MovableTable, number>> = {};
  const counted = (table: MovableTable, lines: readonly string[]): string => {
    throwIfInterrupted(context, "the archive is cut off.");
    counts[table] = (counts[table] ?? 0) + lines.length;
    return summedUp(sum, lines.join(""));
  };
  yield summedUp(
    sum,
    encodeHeader({ organisation: orgId, exportedAt: new Date(context.now).toISOString() }),
  );
  for (const table of tableNames) {
    for await (const page of recordPages(backend, orgId, table, context))
      yield counted(
        table,
        page.map((record) => encodeRecord(table, record)),
      );
  }
  const { log, size, hash: head } = await backend.auditHead(orgId, context);
  for await (const page of auditPages(backend, orgId, context)) {
    const rows = page.filter(({ seq }) => seq < size);
    if (rows.length > 0) yield counted("audit_log", rows.map(encodeEntry));
    if (rows.length < page.length) break;
  }
  const closing: ArchiveClosing = { counts, trail: { log, size, head }, sha256: sum.digest("hex") };
  yield encodeClosing(closing);
}

function summedUp(sum: Hash, text: string): string {
  sum.update(text);
  return text;
}

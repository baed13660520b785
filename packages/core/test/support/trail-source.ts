import type { TrailHead, TrailSource } from "../../src/audit/verify.ts";
import type { StoredEntry } from "../../src/audit/verify-entry.ts";

/** A trail to verify that is no more than some rows, without checkpoints and stored tree unless given. */
export function sourceOf(
  head: TrailHead,
  rows: readonly StoredEntry[],
  more: Partial<TrailSource> = {},
): TrailSource {
  return {
    head,
    keys: [],
    entries: () => batches(rows),
    redactions: (after) => batches(rows.filter((row) => row.seq > after && saysErased(row))),
    checkpoints: none,
    readTiles: null,
    ...more,
  };
}

function saysErased({ leaf }: StoredEntry): boolean {
  return Buffer.from(leaf).includes('"action":"audit.redacted"');
}

/** In batches of a few, so that their edges fall everywhere. */
async function* batches(rows: readonly StoredEntry[]): AsyncGenerator<readonly StoredEntry[]> {
  for (let at = 0; at < rows.length; at += 3) yield rows.slice(at, at + 3);
}

async function* none(): AsyncGenerator<never> {
  // No checkpoints.
}

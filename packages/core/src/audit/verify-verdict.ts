import type { AuditFailure, AuditVerification, AuditVerifyInput } from "../domain/audit-proofs.ts";

/** What a verification found, as far as its verdict depends on it. */
export interface Found {
  readonly firstFailure: AuditFailure | null;
  readonly size: number;
  /** Entries from 0 on that an anchor vouches for. */
  readonly anchoredSize: number;
  /** For how many entries the kept checkpoint vouches, when that is more than a copy of the trail has. */
  readonly keptBeyond: number | null;
  /** What the source lacks, in sentences. */
  readonly missing: readonly string[];
  /** The last entry that was read in whole. */
  readonly last: { readonly seq: number; readonly ts: string };
}

/** Clocks of two machines that are set by the network differ by less, in milliseconds. */
const clockSkewMs = 60_000;

/** What a verification comes to. */
export function verdictOf(found: Found, input: AuditVerifyInput): AuditVerification["verdict"] {
  const { firstFailure, missing, keptBeyond, anchoredSize } = found;
  if (firstFailure !== null) return "tampered";
  if (missing.length > 0) return "incomplete";
  if (keptBeyond !== null) return "outdated";
  return anchoredSize === 0 || isTooMuchUnanchored(found, input) ? "unanchored" : "ok";
}

/** What limits what a verification can say, in sentences. */
export function warningsOf(found: Found, input: AuditVerifyInput): string[] {
  const { firstFailure, missing, keptBeyond, size } = found;
  const warnings = [...missing];
  if (keptBeyond !== null)
    warnings.push(
      `The checkpoint that you kept is newer than this copy of the trail: it vouches for ${keptBeyond} entries, and the copy ends at ${size}, so the two can't be compared. Take a copy that was made since, or a checkpoint of at most ${size} entries. A copy whose end was cut off looks the same.`,
    );
  if (input.depth === "hashes")
    warnings.push(
      "Only bytes, links, tree and signatures were checked: neither times, searchable copies nor details.",
    );
  const { seq, ts } = found.last;
  // A trail's time never goes back: what its newest entry doesn't tell, none does.
  if (Date.parse(ts) > Date.now() + clockSkewMs)
    warnings.push(
      `Entry ${seq} was sealed at ${ts}, which by this machine's clock is still to come: one of the two clocks was wrong. A trail's time never goes back, so until then each further entry gets that time too.`,
    );
  const unanchored = firstFailure === null ? unanchoredWords(found, input) : null;
  return unanchored === null ? warnings : [...warnings, unanchored];
}

function isTooMuchUnanchored(
  { size, anchoredSize }: Found,
  { maxUnanchored = Number.POSITIVE_INFINITY }: AuditVerifyInput,
): boolean {
  return size - anchoredSize > maxUnanchored;
}

function unanchoredWords(found: Found, input: AuditVerifyInput): string | null {
  const { size, anchoredSize } = found;
  if (anchoredSize === 0)
    return "Nothing outside of the trail vouches for it: were its end cut off, or all of it replaced, it would look the same. Verify with a public key or a checkpoint that was kept elsewhere.";
  if (anchoredSize === size) return null;
  const allowed = isTooMuchUnanchored(found, input)
    ? `: ${size - anchoredSize}, and ${input.maxUnanchored} were allowed`
    : "";
  return `Entries from ${anchoredSize} on are chained, and nothing outside of the trail vouches for them yet${allowed}.`;
}

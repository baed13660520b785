const iso = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2})$/;

/**
 * Brings an instant into the one form: ISO 8601 UTC with milliseconds, years 0001 to 9999 (PostgreSQL has no
 * year 0).
 *
 * @returns `null` when it isn't an instant
 */
export function toInstant(value: unknown): string | null {
  if (typeof value === "string" && !iso.test(value)) return null;
  if (typeof value !== "string" && !(value instanceof Date)) return null;
  const time = new Date(value).getTime();
  if (Number.isNaN(time)) return null;
  // Date.parse turns 30 February into 1 March; a date that isn't one is refused instead.
  if (typeof value === "string" && !sameDay(value)) return null;
  const text = new Date(time).toISOString();
  return text.length === 24 && !text.startsWith("0000") ? text : null;
}

function sameDay(value: string): boolean {
  const day = value.slice(0, 10);
  return new Date(`${day}T00:00:00Z`).toISOString().slice(0, 10) === day;
}

let lastMs = Number.NaN;
let lastIso = "";

/** The one form of a time in milliseconds since the epoch. Calls come in bursts of one instant, and making its text costs more than a look. */
export function isoOf(ms: number): string {
  if (ms !== lastMs) {
    lastIso = new Date(ms).toISOString();
    lastMs = ms;
  }
  return lastIso;
}

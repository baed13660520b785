/** The parts of a key never hold control characters, so this joins them without ambiguity and sorts before everything else. */
const separator = "\0";
const outOfOrder = /[\ud800-\uffff]/;
const outOfOrderAll = /[\ud800-\uffff]/g;

/**
 * A record's key as one text, unique in its table, whose order by UTF-16 code units (JavaScript's) is the order of the parts
 * by code points (that of their UTF-8 bytes): surrogates move behind U+E000 to U+FFFF. Prefixes stay prefixes.
 */
export function sortKey(parts: readonly string[]): string {
  const joined = parts.length === 1 ? (parts[0] ?? "") : parts.join(separator);
  return outOfOrder.test(joined) ? joined.replace(outOfOrderAll, moveUnit) : joined;
}

/** What every key below `within` begins with. */
export function sortPrefix(within: readonly string[], prefix: string): string {
  return sortKey([...within, prefix]);
}

/** Orders keys made by {@link sortKey}. */
export function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function moveUnit(unit: string): string {
  const code = unit.charCodeAt(0);
  return String.fromCharCode(code >= 0xe000 ? code - 0x800 : code + 0x2000);
}

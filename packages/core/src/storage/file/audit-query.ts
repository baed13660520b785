import { Buffer } from "node:buffer";
import type { Leaf } from "../../audit/leaf.ts";
import { StorageError } from "../../errors/storage-error.ts";
import { throwIfAborted } from "../abort.ts";
import type { AuditQuery, AuditRow, CallContext } from "../backend.ts";
import { bodyBytes } from "./audit-parts.ts";
import type { AuditTrail } from "./audit-trail.ts";
import { parseLeaf } from "./sealed-elsewhere.ts";

/** Entries looked at at once where a filter may leave most of them out. */
const chunkEntries = 256;

type Order = AuditQuery["order"];

type Filter = AuditQuery["filter"];

/** What a filter asks of an entry by itself. */
type Wanted = Omit<Filter, "from" | "to" | "unresolved">;

/** Entries from `first` up to, not including, `end`. */
interface Range {
  readonly first: number;
  readonly end: number;
}

/**
 * A page of the trail. A time range is found in O(log n) reads, unresolved intents are known once they were asked for, and what another
 * filter leaves out costs a look at its bytes.
 *
 * @throws StorageError `CORRUPTION` for what isn't as it was written, unless it is asked for as it is
 */
export async function listAudit(
  trail: AuditTrail,
  query: AuditQuery,
  context: CallContext,
): Promise<AuditRow[]> {
  await trail.index();
  const asIs = context.asIs === true;
  if (!asIs && trail.damage !== null) throw trail.damage.error;
  const rows = await page(trail, query, asIs, context.signal);
  const damage = rows.find((row) => row.damage !== undefined)?.damage;
  if (!asIs && damage !== undefined) throw new StorageError("CORRUPTION", damage);
  return rows;
}

async function page(
  trail: AuditTrail,
  { filter, after, limit, order, bare, maxBytes = Number.POSITIVE_INFINITY }: AuditQuery,
  asIs: boolean,
  signal: AbortSignal | undefined,
): Promise<AuditRow[]> {
  const { from, to, unresolved, ...wanted } = filter;
  const range = await rangeOf(trail, { from, to, after, order });
  const isWanted = matcherOf(wanted, asIs);
  if (unresolved !== true && isWanted === null)
    return wholePage(trail, range, { limit, order, bare, maxBytes }, asIs);
  const candidates =
    unresolved === true ? openIntents(trail, range, order) : everyEntry(trail, range, order, asIs);
  const found: number[] = [];
  for await (const entries of candidates) {
    throwIfAborted(signal);
    for (const { seq, leaf } of entries) {
      if (isWanted !== null && !isWanted(leaf)) continue;
      if (found.push(seq) === limit) return rowsAt(trail, found, maxBytes, asIs);
    }
  }
  return rowsAt(trail, found, maxBytes, asIs);
}

/** Where what a listing may show begins and ends. */
async function rangeOf(
  trail: AuditTrail,
  { from, to, after, order }: Pick<AuditQuery, "after" | "order"> & Pick<Filter, "from" | "to">,
): Promise<Range> {
  const first = from === undefined ? 0 : await firstAt(trail, from);
  const end = to === undefined ? trail.head.size : await firstAt(trail, to);
  if (after === undefined) return { first, end };
  return order === "asc"
    ? { first: Math.max(first, after + 1), end }
    : { first, end: Math.min(end, after) };
}

/** The first entry sealed at an instant or later. Entries stand in the order of their sealing times. */
async function firstAt(trail: AuditTrail, instant: string): Promise<number> {
  const bound = sixDecimals(instant);
  let [low, high] = [0, trail.head.size];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [leaf] = await trail.leaves(middle, middle + 1);
    if (leaf !== undefined && leafOf(leaf).ts < bound) low = middle + 1;
    else high = middle;
  }
  return low;
}

async function wholePage(
  trail: AuditTrail,
  { first, end }: Range,
  {
    limit,
    order,
    bare,
    maxBytes,
  }: Pick<AuditQuery, "limit" | "order" | "bare"> & { readonly maxBytes: number },
  asIs: boolean,
): Promise<AuditRow[]> {
  if (order === "asc" && bare !== true)
    return rowsUpTo(trail, maxBytes, { first, end: Math.min(end, first + limit) }, asIs);
  if (order === "asc") return trail.rows(first, Math.min(end, first + limit), bare, asIs);
  return (await trail.rows(Math.max(first, end - limit), end, bare, asIs)).reverse();
}

/** A range's entries, up to the one by which the bodies of their parts reach so many bytes. Erased ones take room in the file, and don't count. */
async function rowsUpTo(
  trail: AuditTrail,
  maxBytes: number,
  { first, end }: Range,
  asIs: boolean,
): Promise<AuditRow[]> {
  if (maxBytes === Number.POSITIVE_INFINITY) return trail.rows(first, end, false, asIs);
  const rows: AuditRow[] = [];
  let left = maxBytes;
  for (let next = first; next < end && left > 0; ) {
    const stop = trail.within(left, next, end);
    const read = await trail.rows(next, stop, false, asIs);
    for (const row of read) left -= bodyBytes(row);
    rows.push(...read);
    if (read.length < stop - next) break;
    next = stop;
  }
  return rows;
}

/** A range's entries in the listing's direction, some at a time. */
async function* everyEntry(
  trail: AuditTrail,
  { first, end }: Range,
  order: Order,
  asIs: boolean,
): AsyncGenerator<Candidate[], void> {
  for (let done = first; done < end; done += chunkEntries) {
    const count = Math.min(chunkEntries, end - done);
    const start = order === "asc" ? done : end - (done - first) - count;
    const leaves = await trail.leaves(start, start + count, asIs);
    const entries = leaves.map((leaf, i) => ({ seq: start + i, leaf }));
    yield order === "asc" ? entries : entries.reverse();
  }
}

/** A range's unresolved intents in the listing's direction. */
async function* openIntents(
  trail: AuditTrail,
  { first, end }: Range,
  order: Order,
): AsyncGenerator<Candidate[], void> {
  const seqs = (await trail.intents.seqs()).filter((seq) => seq >= first && seq < end);
  for (const seq of order === "asc" ? seqs : seqs.reverse()) {
    yield (await trail.leaves(seq, seq + 1)).map((leaf) => ({ seq, leaf }));
  }
}

interface Candidate {
  readonly seq: number;
  readonly leaf: Buffer;
}

/** Entries by their sequence numbers, neighbours read at once. */
async function rowsAt(
  trail: AuditTrail,
  seqs: readonly number[],
  maxBytes: number,
  asIs: boolean,
): Promise<AuditRow[]> {
  const rows: AuditRow[] = [];
  let left = maxBytes;
  for (let i = 0; i < seqs.length && left > 0; ) {
    const [from = 0, step = 0] = [seqs[i], (seqs[i + 1] ?? 0) - (seqs[i] ?? 0)];
    let next = i + 1;
    while (Math.abs(step) === 1 && seqs[next] === from + step * (next - i)) next++;
    const to = seqs[next - 1] ?? from;
    const run = await rowsUpTo(
      trail,
      left,
      { first: Math.min(from, to), end: Math.max(from, to) + 1 },
      asIs,
    );
    for (const row of run) left -= bodyBytes(row);
    rows.push(...(to < from ? run.reverse() : run));
    i = next;
  }
  return rows;
}

/** Tells which entries a filter lets through; `null` when it lets all through. */
function matcherOf(wanted: Wanted, asIs: boolean): ((leaf: Buffer) => boolean) | null {
  if (Object.values(wanted).every((value) => value === undefined)) return null;
  const needles = needlesOf(wanted);
  return (bytes) => {
    if (!needles.every((needle) => bytes.includes(needle))) return false;
    const leaf = asIs ? parsed(bytes) : leafOf(bytes);
    return leaf !== null && matches(leaf, wanted);
  };
}

/** What a matching entry's bytes must contain: quicker to look for than to parse them all. */
function needlesOf(wanted: Wanted): Buffer[] {
  const { action, ...whole } = wanted;
  const needles = Object.values(whole)
    .filter((value) => value !== undefined)
    .map((value) => JSON.stringify(value));
  if (action !== undefined) {
    needles.push(action.endsWith("*") ? `"${action.slice(0, -1)}` : `"${action}"`);
  }
  return needles.map((needle) => Buffer.from(needle));
}

function matches(leaf: Leaf, wanted: Wanted): boolean {
  const { action, actorId, actorType, agentId, outcome, project, risk, correlationId } = wanted;
  return (
    (action === undefined || matchesAction(leaf.action, action)) &&
    (actorId === undefined || leaf.actor.id === actorId) &&
    (actorType === undefined || leaf.actor.type === actorType) &&
    (agentId === undefined || leaf.agent?.id === agentId) &&
    (outcome === undefined || leaf.outcome === outcome) &&
    (project === undefined || leaf.project === project) &&
    (risk === undefined || leaf.risk === risk) &&
    (correlationId === undefined || leaf.corr === correlationId)
  );
}

function matchesAction(action: string, wanted: string): boolean {
  return wanted.endsWith("*") ? action.startsWith(wanted.slice(0, -1)) : action === wanted;
}

/** @throws StorageError `CORRUPTION` */
function leafOf(bytes: Buffer): Leaf {
  const leaf = parsed(bytes);
  if (leaf !== null) return leaf;
  throw new StorageError(
    "CORRUPTION",
    "An entry of the trail is not what was sealed. To see which one, run: codespar audit verify",
  );
}

function parsed(bytes: Buffer): Leaf | null {
  return parseLeaf(bytes.toString("utf8"));
}

/** Sealing times have six decimals; instants of a filter have three. */
function sixDecimals(instant: string): string {
  return `${instant.slice(0, -1).padEnd(26, "0")}Z`;
}

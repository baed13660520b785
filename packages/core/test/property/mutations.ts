import fc from "fast-check";
import { leafHash } from "../../src/audit/leaf.ts";
import type { StoredEntry } from "../../src/audit/verify-entry.ts";
import { MadeTrail } from "../support/made-trail.ts";

/** Changes a stored trail in one place, which `at`, taken modulo what there is, names. */
type Mutation = (trail: MadeTrail, at: number, more: number) => void;

const pick = <Item>(items: readonly Item[], at: number): Item | undefined =>
  items[at % Math.max(items.length, 1)];

/** The bytes with one bit of one of them turned. */
function flipped(bytes: Uint8Array, at: number): Buffer {
  const copy = Buffer.from(bytes);
  const where = Math.floor(at / 8) % copy.length;
  copy[where] = (copy[where] ?? 0) ^ (1 << (at % 8));
  return copy;
}

/** The text with another character somewhere: never one that stands for the same when it is read. */
function misspelt(text: string, at: number): string {
  const where = at % Math.max(text.length, 1);
  return `${text.slice(0, where)}${text[where] === "x" ? "y" : "x"}${text.slice(where + 1)}`;
}

const onRow =
  (change: (row: StoredEntry, more: number) => StoredEntry): Mutation =>
  (trail, at, more) => {
    const chosen = pick(trail.rows, at);
    trail.rows = trail.rows.map((row) => (row === chosen ? change(row, more) : row));
  };

/** Of other content, and consistent in itself. */
function resealed(row: StoredEntry): StoredEntry {
  const leaf = Buffer.from(Buffer.from(row.leaf).toString().replace('"success"', '"failure"'));
  const projection = row.projection && { ...row.projection, outcome: "failure" as const };
  return { ...row, leaf, hash: leafHash(leaf), projection };
}

const onPart =
  (change: (part: StoredEntry["parts"][number], more: number) => StoredEntry["parts"]): Mutation =>
  (trail, at, more) => {
    const rows = trail.rows.filter(({ parts }) => parts.length > 0);
    const chosen = pick(rows, at);
    if (chosen === undefined) return;
    const part = pick(chosen.parts, more);
    const parts = chosen.parts.flatMap((each) => (each === part ? change(each, more) : [each]));
    trail.rows = trail.rows.map((row) => (row === chosen ? { ...row, parts } : row));
  };

function swapped<Item>(items: readonly Item[], a: number, b: number): Item[] {
  const copy = [...items];
  const [i, j] = [a % copy.length, b % copy.length];
  const [one, other] = [copy[i], copy[j]];
  if (one !== undefined && other !== undefined) [copy[i], copy[j]] = [other, one];
  return copy;
}

const mutations: Readonly<Record<string, Mutation>> = {
  "flips a bit of an entry": onRow((row, more) => ({ ...row, leaf: flipped(row.leaf, more) })),
  "flips a bit of an entry and stores its hash": onRow((row, more) => {
    const leaf = flipped(row.leaf, more);
    return { ...row, leaf, hash: leafHash(leaf) };
  }),
  "seals an entry of other content": onRow(resealed),
  "changes a stored hash": onRow((row, more) => ({ ...row, hash: misspelt(row.hash, more) })),
  "renumbers an entry": onRow((row, more) => ({ ...row, seq: row.seq + 1 + (more % 3) })),
  "changes the searchable copy": onRow((row, more) => {
    const column = pick(Object.keys(row.projection ?? {}), more) ?? "id";
    const value = (row.projection as Record<string, unknown> | null)?.[column];
    const changed = value === null ? "x" : pick([null, `${value}x`], more);
    return { ...row, projection: { ...row.projection, [column]: changed } as never };
  }),
  "deletes an entry": (trail, at) => {
    const chosen = pick(trail.rows, at);
    trail.rows = trail.rows.filter((row) => row !== chosen);
  },
  "inserts a copy of an entry": (trail, at, more) => {
    const copy = pick(trail.rows, more);
    // What stands behind the head isn't looked at.
    if (copy !== undefined)
      trail.rows = trail.rows.toSpliced(at % trail.rows.length, 0, { ...copy });
  },
  "swaps two entries": (trail, at, more) => {
    trail.rows = swapped(trail.rows, at, more);
  },
  "cuts the end off": (trail, at) => {
    trail.rows = trail.rows.slice(0, at % trail.rows.length);
  },
  "changes a part": onPart((part, more) => [{ ...part, body: misspelt(part.body, more) }]),
  "changes a part's salt": onPart((part, more) => [{ ...part, salt: flipped(part.salt, more) }]),
  "renames a part": onPart((part) => [{ ...part, name: `${part.name}x` }]),
  "removes a part": onPart(() => []),
  "doubles a part": onPart((part) => [part, part]),
  "adds a part": onRow((row) => ({
    ...row,
    parts: [...row.parts, { name: "added", salt: Buffer.alloc(32), body: "1" }],
  })),
  "puts an erased part back": (trail, at) => {
    const erased = trail.rows.filter(({ parts }) => parts.length === 0);
    const chosen = pick(erased, at);
    const part = { name: "details", salt: Buffer.alloc(32), body: '{"n":1}' };
    trail.rows = trail.rows.map((row) => (row === chosen ? { ...row, parts: [part] } : row));
  },
  "changes a hash of the stored tree": (trail, at, more) => {
    const index = at % trail.rows.length;
    const width = (index % 256) + 1;
    const tile = trail.tile({ level: 0, index: Math.floor(index / 256), width });
    trail.plant(0, index, flipped(tile.subarray(-32), more));
  },
  "changes a checkpoint": (trail, at, more) => {
    const chosen = pick(trail.checkpoints, at);
    trail.checkpoints = trail.checkpoints.map((stored) =>
      stored === chosen ? { ...stored, note: misspelt(stored.note, more) } : stored,
    );
  },
  "stores a checkpoint under another size": (trail, at, more) => {
    const chosen = pick(trail.checkpoints, at);
    trail.checkpoints = trail.checkpoints.map((stored) =>
      stored === chosen ? { ...stored, size: stored.size + 1 + (more % 3) } : stored,
    );
  },
  "deletes a checkpoint": (trail, at) => {
    const chosen = pick(trail.checkpoints, at);
    trail.checkpoints = trail.checkpoints.filter((stored) => stored !== chosen);
  },
  "swaps two checkpoints": (trail, at, more) => {
    if (trail.checkpoints.length > 0) trail.checkpoints = swapped(trail.checkpoints, at, more);
  },
  "stores another key": (trail) => {
    trail.keys = [...trail.keys, new MadeTrail(trail.log).createKey("planted").keys[0] ?? ""];
  },
};

/** A mutation by name, and where. */
export interface Change {
  readonly name: string;
  readonly at: number;
  readonly more: number;
}

/** What `depth: "hashes"` doesn't look at. */
const deepOnly = /part|searchable copy/;

/** One to three changes. */
export const anyMutations = (depth: "full" | "hashes"): fc.Arbitrary<Change[]> =>
  fc.array(
    fc.record({
      name: fc.constantFrom(
        ...Object.keys(mutations).filter((name) => depth === "full" || !deepOnly.test(name)),
      ),
      at: fc.nat(),
      more: fc.nat(),
    }),
    { minLength: 1, maxLength: 3 },
  );

/** Carries a mutation out. */
export function mutate(trail: MadeTrail, { name, at, more }: Change): void {
  if (trail.rows.length > 0) mutations[name]?.(trail, at, more);
}

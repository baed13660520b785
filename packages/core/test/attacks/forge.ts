import { signCheckpoint } from "../../src/audit/checkpoint.ts";
import { genesisHash, type Leaf, leafHash } from "../../src/audit/leaf.ts";
import { joinSegments, leafSegments } from "../../src/audit/leaf-text.ts";
import { CompactRange } from "../../src/audit/merkle.ts";
import type { NoteSigner } from "../../src/audit/signed-note.ts";
import type { AuditPart, AuditRow } from "../../src/storage/backend.ts";

/** An entry in an attacker's hands. */
export interface Entry {
  readonly leaf: Leaf;
  readonly parts: readonly AuditPart[];
}

/** A trail in an attacker's hands. */
export interface Loot {
  readonly entries: readonly Entry[];
  readonly checkpoints: readonly { readonly size: number; readonly note: string }[];
  readonly keys: readonly string[];
}

/** An entry's bytes. */
export function bytesOf(leaf: Leaf): Buffer {
  const content = { ...leaf, correlationId: leaf.corr, occurredAt: leaf.occurred };
  return Buffer.from(joinSegments(leafSegments(content, leaf.parts), leaf));
}

/** Makes numbers, links and times fit from an entry on, as if all of it had been sealed like that. */
export function reseal(entries: readonly Entry[], from: number, log?: string): Entry[] {
  const sealed: Entry[] = [];
  let [prev, ts] = [genesisHash, ""];
  for (const [seq, entry] of entries.entries()) {
    const placed = { seq, prev, ts: [entry.leaf.ts, ts].sort()[1] ?? ts };
    const leaf =
      seq < from
        ? entry.leaf
        : { ...entry.leaf, ...placed, log: log ?? sealed[0]?.leaf.log ?? entry.leaf.log };
    sealed.push({ ...entry, leaf });
    [prev, ts] = [leafHash(bytesOf(leaf)), leaf.ts];
  }
  return sealed;
}

/** The entries as a backend stores them. */
export function rowsOf(entries: readonly Entry[]): AuditRow[] {
  return entries.map(({ leaf, parts }, seq) => {
    const bytes = bytesOf(leaf);
    return { seq, leaf: bytes, hash: leafHash(bytes), parts, projection: null };
  });
}

/** Signs what the first entries are. */
export function sign(entries: readonly Entry[], size: number, signer: NoteSigner) {
  const range = new CompactRange();
  for (const { hash } of rowsOf(entries.slice(0, size))) range.add(Buffer.from(hash, "hex"));
  const origin = entries[0]?.leaf.log ?? "";
  return { size, note: signCheckpoint({ origin, size, root: range.root() }, [signer]) };
}

/** Changes entries around one: of the trail, and of another one that may be spliced in. */
export type Change = (entries: readonly Entry[], at: number, foreign: readonly Entry[]) => Entry[];

const withLeaf = (entry: Entry | undefined, more: Partial<Leaf>): Entry[] =>
  entry === undefined ? [] : [{ ...entry, leaf: { ...entry.leaf, ...more } }];

const around = (entries: readonly Entry[], at: number, count: number, middle: readonly Entry[]) => [
  ...entries.slice(0, at),
  ...middle,
  ...entries.slice(at + count),
];

/** What attackers do to entries. */
export const changes: Readonly<Record<string, Change>> = {
  "edit an entry": (entries, at) =>
    around(entries, at, 1, withLeaf(entries[at], { outcome: "approved" })),
  "delete an entry": (entries, at) => around(entries, at, 1, []),
  "insert an entry": (entries, at) =>
    around(entries, at, 0, withLeaf(entries[at], { id: "0190163d-8694-739b-aea5-966c26f8ad9f" })),
  "swap two entries": (entries, at) => around(entries, at, 2, entries.slice(at, at + 2).reverse()),
  "reorder entries": (entries, at) => around(entries, at, 4, entries.slice(at, at + 4).reverse()),
  "splice another organisation's entry": (entries, at, foreign) =>
    around(entries, at, 1, foreign.slice(at, at + 1)),
  "backdate an entry": (entries, at) =>
    around(
      entries,
      at,
      1,
      withLeaf(entries[at], {
        ts: entries[0]?.leaf.ts ?? "",
        occurred: "2001-01-01T00:00:00.000Z",
      }),
    ),
};

import type { Leaf } from "../../src/audit/leaf.ts";
import type { StorageOptions } from "../../src/index.ts";
import type { AuditPart, StoredRecord } from "../../src/storage/backend.ts";
import { openBackend } from "../../src/storage/create-storage.ts";
import { sizeKey } from "../../src/storage/domains/audit-keys.ts";
import { auditPages, recordPages } from "../../src/storage/pages.ts";
import { type Entry, type Loot, rowsOf } from "./forge.ts";

/** An entry where it is stored: what an attacker may change of it, one by one. */
export interface Stored {
  readonly leaf: Buffer;
  /** Whatever else is stored with it. */
  readonly rest: unknown;
}

/** Somebody with all rights on the storage, and no handle open on it. */
export interface Attacker {
  readonly kind: "file" | "postgres";
  readonly options: StorageOptions;
  /** Changes the stored entries, and nothing that has to fit them. They are numbered anew in the order in which they come back. */
  rearrange(orgId: string, change: (rows: readonly Stored[]) => readonly Stored[]): Promise<void>;
  /** Takes an entry's part away, or puts one there. */
  setPart(orgId: string, seq: number, part: AuditPart | null): Promise<void>;
  /** Takes a checkpoint away, and no more. */
  removeCheckpoint(orgId: string, size: number): Promise<void>;
  /** Removes all that is stored of a trail. */
  wipe(orgId: string): Promise<void>;
  /** Remembers what is stored. @returns puts it back */
  save(orgId: string): Promise<() => Promise<void>>;
}

const context = { now: Date.now() };

/** Takes a whole trail. */
export async function take({ options }: Attacker, orgId: string): Promise<Loot> {
  const port = openBackend(options);
  try {
    const entries: Entry[] = [];
    for await (const page of auditPages(port, orgId, context))
      for (const { leaf, parts } of page)
        entries.push({ leaf: JSON.parse(Buffer.from(leaf).toString()) as Leaf, parts });
    const records = async (table: "audit_checkpoints" | "audit_keys") => {
      const found: StoredRecord[] = [];
      for await (const page of recordPages(port, orgId, table, context)) found.push(...page);
      return found;
    };
    return {
      entries,
      checkpoints: (await records("audit_checkpoints")).map(({ key, columns }) => ({
        size: Number(key[0]),
        note: String(columns["note"]),
      })),
      keys: (await records("audit_keys")).map(({ columns }) => String(columns["vkey"])),
    };
  } finally {
    await port.close();
  }
}

/** Puts another trail in a trail's place, with all that has to fit it: hashes, searchable copies, tree, heads, open intents. */
export async function replace(attacker: Attacker, orgId: string, loot: Loot): Promise<void> {
  await attacker.wipe(orgId);
  const port = openBackend(attacker.options);
  try {
    const rows = rowsOf(loot.entries);
    if (rows.length > 0) await port.importAudit(orgId, rows, context);
    const records = (entries: readonly [key: string, columns: StoredRecord["columns"]][]) =>
      entries.map(([key, columns], i) => ({ ...meta, key: [key], columns, version: `v${i}` }));
    await port.importRecords(
      orgId,
      "audit_keys",
      records(
        loot.keys.map((vkey, i) => [
          String(i + 1).padStart(8, "0"),
          { vkey, seed: null, retired_at: null },
        ]),
      ),
      context,
    );
    await port.importRecords(
      orgId,
      "audit_checkpoints",
      records(loot.checkpoints.map(({ size, note }) => [sizeKey(size), { note }])),
      context,
    );
  } finally {
    await port.close();
  }
}

const now = new Date(0).toISOString();
const meta = { createdAt: now, updatedAt: now, expiresAt: null };

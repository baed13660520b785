import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { redactionOf } from "../../src/audit/actions.ts";
import { prepareEntry } from "../../src/audit/entry.ts";
import { type Leaf, leafHash } from "../../src/audit/leaf.ts";
import { CompactRange } from "../../src/audit/merkle.ts";
import type { AuditRow, Erasure } from "../../src/storage/backend.ts";
import { FileBackend } from "../../src/storage/file/file-backend.ts";
import type { FileSystem } from "../../src/storage/file/file-system.ts";
import { currentProcess } from "../../src/storage/file/process-identity.ts";
import { commitOf, entry, now, put, storedValue } from "./support.ts";

const idOf = (step: number) => `00000000-0000-7000-8000-${String(step).padStart(12, "0")}`;

/** What the erasable part of a step's entry says. */
const personal = (n: number) => JSON.stringify(`somebody's data of step ${n}.`);

/** A step's entry. It tells of the part that the step erases, if it erases one. */
function entryOf(n: number, erases: Erasure | undefined) {
  const said =
    erases === undefined ? { action: "step.done" } : redactionOf(erases.seq, erases.name);
  return prepareEntry(
    { ...said, id: idOf(n), actor: { type: "user", id: "u1" }, outcome: "success" },
    { details: JSON.stringify({ n }), personal: personal(n) },
  );
}

/**
 * Steps that build on each other: each changes a counter, a key of its own and the trail in one commit, and every other deletes
 * what the one before made. Whatever happens to the files, they hold the state after some number of steps.
 *
 * @param options - `erases`: whether it erases a part of the entry of the step before
 */
export async function step(
  backend: FileBackend,
  n: number,
  { erases = false }: { readonly erases?: boolean } = {},
): Promise<void> {
  const writes = [put("a", "counter", n), put("a", `step ${n}`, "é🎈".repeat(n))];
  const gone = { kind: "delete", table: "agent_memory", key: ["a", `step ${n - 1}`] } as const;
  const { size } = await backend.auditHead("acme", now());
  const erasure = erases ? { seq: size - 1, name: "personal" } : undefined;
  await backend.commit(
    "acme",
    commitOf({
      writes: n % 2 === 0 ? [...writes, gone] : writes,
      appends: [entryOf(n, erasure)],
      erasures: erasure && [erasure],
    }),
    now(),
  );
}

/** How many steps the stored state is the result of; fails when it isn't the result of any number. */
export async function stepsStored(backend: FileBackend): Promise<number> {
  const steps = Number((await storedValue(backend, "acme", "counter")) ?? 0);
  const keys = await backend.list(
    "acme",
    { table: "agent_memory", within: ["a"], prefix: "step ", limit: 1000 },
    now(),
  );
  const wanted = Array.from({ length: steps }, (_, i) => i + 1).filter(
    (n) => n % 2 === 0 || n === steps,
  );
  expect(keys.map((record) => record.key[1])).toEqual(wanted.map((n) => `step ${n}`).sort());
  const head = await backend.auditHead("acme", now());
  const rows = await backend.listAudit("acme", { filter: {}, limit: 1000, order: "asc" }, now());
  const leaves = rows.map((row) => JSON.parse(Buffer.from(row.leaf).toString()) as Leaf);
  const before = leaves.filter(({ action }) => action === "before").length;
  expect(head.size).toBe(before + steps);
  expect(rows).toHaveLength(before + steps);
  let prev = "0".repeat(64);
  for (const [seq, row] of rows.entries()) {
    const leaf = leaves[seq];
    // Not an expectation each: thousands of states are looked at.
    if (
      row.seq !== seq ||
      leaf?.seq !== seq ||
      leaf.prev !== prev ||
      row.hash !== leafHash(row.leaf)
    )
      expect.fail(`entry ${seq} is not what it was`);
    prev = row.hash;
    if (seq < before) continue;
    const n = seq - before + 1;
    const isErased = leaves[seq + 1]?.action === "audit.redacted";
    expect(leaf.id).toBe(idOf(n));
    expect(row.parts.map((part) => part.body)).toEqual(
      isErased ? [JSON.stringify({ n })] : [JSON.stringify({ n }), personal(n)],
    );
  }
  expect(head.hash).toBe(prev);
  await expectTiles(backend, rows);
  return steps;
}

/** The tiles must hold what the entries come to. */
async function expectTiles(backend: FileBackend, rows: readonly AuditRow[]): Promise<void> {
  const roots: Buffer[] = [];
  for (let index = 0; index * 256 < rows.length; index++) {
    const hashes = rows.slice(index * 256, (index + 1) * 256).map(({ hash }) => hash);
    const asked = { level: 0, index, width: hashes.length };
    const [tile] = await backend.treeTiles("acme", [asked], now());
    expect(Buffer.from(tile ?? []).toString("hex")).toBe(hashes.join(""));
    if (hashes.length < 256) continue;
    const range = new CompactRange();
    for (const hash of hashes) range.add(Buffer.from(hash, "hex"));
    roots.push(Buffer.from(range.root()));
  }
  if (roots.length === 0) return;
  const asked = { level: 1, index: 0, width: roots.length };
  expect(await backend.treeTiles("acme", [asked], now())).toEqual([Buffer.concat(roots)]);
}

/** Which steps' parts these files still hold though they were erased. */
export async function erasedIn(
  backend: FileBackend,
  { files }: { readonly files: ReadonlyMap<string, Buffer> },
): Promise<number[]> {
  const filter = { action: "audit.redacted" };
  const rows = await backend.listAudit("acme", { filter, limit: 1000, order: "asc" }, now());
  // Each erases a part of the step before its own.
  const erased = rows.map(({ leaf }) => {
    const { id } = JSON.parse(Buffer.from(leaf).toString()) as Leaf;
    return Number(id.slice(-12)) - 1;
  });
  const contents = [...files.values()];
  return erased.filter((n) =>
    contents.some((content) => content.includes(personal(n).slice(1, -1))),
  );
}

/** What a run of the scenario was told. */
export interface Told {
  /** Steps that were acknowledged. */
  acknowledged: number;
  /** Steps that were begun: some of these may have happened too. */
  begun: number;
}

/** Leaves the lock of a process of this machine that is gone. */
export async function leaveDeadLock(directory: string): Promise<void> {
  const { bootId } = currentProcess();
  const holder = { bootId, pid: 2 ** 22 + 1, startTime: "1", token: "dead", serverUrl: null };
  await writeFile(join(directory, "codespar.lock"), JSON.stringify(holder));
}

/** Takes the step after those that were acknowledged. */
export async function nextStep(
  backend: FileBackend,
  told: Told,
  options?: Parameters<typeof step>[2],
): Promise<void> {
  told.begun = told.acknowledged + 1;
  await step(backend, told.begun, options);
  told.acknowledged = told.begun;
}

/** Begins a trail whose first tile is full with the third step. */
export async function begin(directory: string, fs?: FileSystem): Promise<void> {
  const backend = new FileBackend({ directory, readOnly: false, clock: Date.now, fs });
  const appends = Array.from({ length: 253 }, (_, i) => entry(idOf(10_000 + i), "before"));
  await backend.commit("acme", commitOf({ appends }), now());
  await backend.close();
}

/** Opens, takes two steps, closes (which writes a snapshot), and does so again: until something fails. */
export async function scenario(
  directory: string,
  fs: FileSystem,
  told: Told,
  rounds = 2,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const backend = new FileBackend({
      directory,
      readOnly: false,
      clock: Date.now,
      fs,
      lockWaitMs: 0,
    });
    try {
      for (let i = 0; i < 2; i++) await nextStep(backend, told, { erases: told.acknowledged > 0 });
    } finally {
      await backend.close();
    }
  }
}

import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { removeScratch, scratchFolder } from "../../../../tooling/secrets.ts";
import { creationOf, redactionOf, rotationOf } from "../../src/audit/actions.ts";
import type { BundleFile } from "../../src/audit/bundle/layout.ts";
import { type BundleEntry, bundleFiles } from "../../src/audit/bundle/write.ts";
import { signCheckpoint } from "../../src/audit/checkpoint.ts";
import { type PreparedEntry, prepareEntry, sealEntry } from "../../src/audit/entry.ts";
import { genesisHash, leafHash } from "../../src/audit/leaf.ts";
import { CompactRange, inclusionProof } from "../../src/audit/merkle.ts";
import { formatReceipt } from "../../src/audit/receipt.ts";
import { formatVerifier, type NoteSigner, noteSigner } from "../../src/audit/signed-note.ts";
import type { AuditCheckpoint } from "../../src/index.ts";
import type { AutomaticContent } from "../../src/storage/domains/audit-entries.ts";

/** A trail made without a storage. */
export interface SampleTrail {
  readonly log: string;
  readonly signers: readonly NoteSigner[];
  readonly entries: readonly BundleEntry[];
  readonly checkpoints: readonly AuditCheckpoint[];
}

/** What a sample holds besides plain entries. */
export interface SampleOptions {
  readonly size: number;
  /** Sizes at which a checkpoint is signed, besides the last. */
  readonly signedAt?: readonly number[];
  /** From this size on a second key signs too. */
  readonly rotatedAt?: number;
  /** The entry whose details are erased by the last one. */
  readonly erased?: number;
  /** Whether the erased details are there all the same. */
  readonly revived?: boolean;
  /** Bytes that each entry has besides: more than the library allows, so that a short trail makes several pieces. */
  readonly heavy?: number;
}

const odd = ['plain "text"', "\u0000\u2028\ud800 é 😀\n\\", { "a b": [1, null, "x".repeat(300)] }];

const log = "codespar/log/0123456789abcdef0123456789abcdef";
const keys = ["first", "second"].map((name) =>
  noteSigner(log, createHash("sha256").update(name).digest()),
);

/** Makes a trail, with details of every kind on two entries of three. */
export function sampleTrail(options: SampleOptions): SampleTrail {
  const { size, signedAt = [], rotatedAt = Infinity, erased, revived = false } = options;
  const range = new CompactRange();
  const entries: BundleEntry[] = [];
  const checkpoints: AuditCheckpoint[] = [];
  let prev = genesisHash;
  for (let seq = 0; seq < size; seq += 1) {
    const prepared = contentOf(seq, options);
    const ts = new Date(Date.UTC(2026, 0, 1) + seq).toISOString().replace("Z", "000Z");
    const sealed = sealEntry(prepared, { log, prev, seq, ts });
    prev = sealed.hash;
    range.add(Buffer.from(sealed.hash, "hex"));
    const parts = seq === erased && !revived ? [] : prepared.parts;
    entries.push({ seq, leaf: Buffer.from(sealed.leaf), parts });
    if (seq + 1 === size || signedAt.includes(seq + 1))
      checkpoints.push(sign(range, seq + 1 < rotatedAt ? keys.slice(0, 1) : keys));
  }
  return { log, signers: size < rotatedAt ? keys.slice(0, 1) : keys, entries, checkpoints };
}

function contentOf(
  seq: number,
  { size, rotatedAt, erased, heavy = 0 }: SampleOptions,
): PreparedEntry {
  const [first, second] = keys.map(formatVerifier);
  if (seq === 0) return own(seq, creationOf(first ?? ""));
  if (seq + 1 === rotatedAt) return own(seq, rotationOf(keys[0]?.keyId ?? "", second ?? ""));
  if (seq === size - 1 && erased !== undefined) return own(seq, redactionOf(erased, "details"));
  return plain(seq, heavy);
}

/** An entry by which the trail speaks of itself. */
function own(seq: number, said: AutomaticContent): PreparedEntry {
  const id = `00000000-0000-7000-9000-${String(seq).padStart(12, "0")}`;
  return prepareEntry(
    { id, actor: { type: "system", id: "test" }, outcome: "success", ...said },
    {},
  );
}

function plain(seq: number, heavy: number): PreparedEntry {
  return prepareEntry(
    {
      id: `00000000-0000-7000-8000-${String(seq).padStart(12, "0")}`,
      actor: { type: "agent", id: "b\u00e9la\\" },
      action: "deploy.started",
      outcome: seq % 2 === 0 ? "denied" : "success",
      ...(heavy > 0 && { correlationId: "x".repeat(heavy) }),
    },
    seq % 3 === 0 ? {} : { details: JSON.stringify(odd[seq % odd.length]) },
  );
}

function sign(range: CompactRange, signers: readonly NoteSigner[]): AuditCheckpoint {
  const root = range.root();
  return {
    origin: log,
    size: range.size,
    root: Buffer.from(root).toString("hex"),
    note: signCheckpoint({ origin: log, size: range.size, root }, signers),
    signedAt: "2026-01-02T00:00:00.000Z",
  };
}

/** The files of its bundle. */
export async function sampleFiles(trail: SampleTrail): Promise<BundleFile[]> {
  const newest = trail.checkpoints.at(-1);
  if (newest === undefined) throw new Error("a sample has at least one checkpoint");
  const files = bundleFiles({
    organisation: "acme",
    exportedAt: "2026-01-02T00:00:00.000Z",
    checkpoint: newest,
    entries: (from, to) => each([trail.entries.slice(from, to)]),
    checkpointNow: async () => newest,
    checkpoints: () => each(trail.checkpoints),
    keys: async () =>
      trail.signers.map((signer) => ({
        keyId: signer.keyId,
        vkey: formatVerifier(signer),
        createdAt: "2026-01-01T00:00:00.000Z",
        retiredAt: null,
      })),
  });
  const found: BundleFile[] = [];
  for await (const file of files) found.push(file);
  return found;
}

/** A receipt of an entry, by the newest checkpoint. */
export function receiptOf({ entries, checkpoints }: SampleTrail, seq: number): string {
  const nodes = new Map<string, Uint8Array>();
  const range = new CompactRange();
  for (const [index, { leaf }] of entries.entries()) {
    const hash = Buffer.from(leafHash(leaf), "hex");
    nodes.set(`0 ${index}`, hash);
    range.add(hash, (level, at, node) => nodes.set(`${level} ${at}`, node));
  }
  const read = (level: number, index: number) => nodes.get(`${level} ${index}`) ?? Buffer.alloc(32);
  return formatReceipt({
    seq,
    proof: inclusionProof(seq, entries.length, read),
    checkpoint: checkpoints.at(-1)?.note ?? "",
    extra: entries[seq]?.leaf,
  });
}

/** Writes files below a new folder, which goes with the test. */
export async function folderOf(files: readonly BundleFile[]): Promise<string> {
  const folder = await scratchFolder("bundle");
  onTestFinished(() => removeScratch(folder));
  for (const { name, content } of files) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}

async function* each<Item>(items: readonly Item[]): AsyncGenerator<Item> {
  yield* items;
}

import { hash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type AuditVerification,
  createStorage,
  type Storage,
  unpackBundle,
  verifyBundle,
} from "@codespar/core";
import { drain } from "../harness/drain.ts";
import { auditInput } from "../harness/records.ts";
import { serve } from "../harness/worker.ts";

/** Where a trail is: in a storage, or in the folder of an exported bundle. */
export type TrailPlace =
  | { readonly directory: string; readonly encryptionKey: string }
  | { readonly databaseUrl: string; readonly encryptionKey: string }
  | { readonly bundle: string };

type Stored = Exclude<TrailPlace, { readonly bundle: string }>;

/** Work on many entries, in milliseconds: by the clock, and what this process had of the processors. */
export interface Effort {
  readonly entries: number;
  readonly wallMs: number;
  readonly cpuMs: number;
}

const orgId = "bench-trail";
const text = "The deployment failed; rolled back and opened an issue.";
let storage: Storage | undefined;
let bundle: string | undefined;
let leaves: readonly Buffer[] = [];

/** A process that makes a trail, verifies it, or proves entries of it. */
const handlers = {
  /** Appends so many entries with details, and signs a checkpoint over them. */
  fill: async ({ place, entries }: { place: Stored; entries: number }): Promise<void> => {
    await using filling = createStorage(orgId, place);
    const { audit } = filling;
    let next = 0;
    await drain(256, () => {
      if (next >= entries) return undefined;
      const turn = next++;
      return audit.append({ ...auditInput(turn), details: { turn, text } });
    });
    await audit.checkpoint();
  },
  /** Exports the trail, which takes an entry of its own, as the folder of a bundle. */
  bundle: async ({ place, folder }: { place: Stored; folder: string }): Promise<void> => {
    await using exporting = createStorage(orgId, place);
    const { content } = await exporting.audit.export({ format: "bundle" });
    const damage = await unpackBundle(content, folder);
    if (damage !== null) throw new Error(damage);
  },
  open: async (place: TrailPlace): Promise<void> => {
    await storage?.close();
    [storage, bundle] =
      "bundle" in place ? [undefined, place.bundle] : [createStorage(orgId, place), undefined];
    await storage?.audit.get(0);
  },
  /** Verifies the opened trail; whatever keeps it from being sound is an error. */
  verify: ({ depth }: { depth: "full" | "hashes" }): Promise<Effort> =>
    effort(async () => {
      const { verdict, firstFailure, checks } = await verified(depth);
      if (firstFailure !== null || verdict !== "unanchored")
        throw new Error(`${verdict}: ${firstFailure?.message}`);
      return checks.link;
    }),
  /** The most memory that this process has had so far, in MiB. */
  peak: (): number => process.resourceUsage().maxRSS / 1024,
  /** Reads a bundle's entries, which {@link handlers.hash} then hashes. */
  load: async ({ folder: whole }: { folder: string }): Promise<void> => {
    const folder = join(whole, "entries");
    const files = await Promise.all(
      (await readdir(folder)).map((name) => readFile(join(folder, name))),
    );
    leaves = files.flatMap((file) => linesOf(file));
  },
  /** The least that verification can cost: SHA-256 over each entry's bytes. */
  hash: (): Promise<Effort> =>
    effort(async () => {
      for (const leaf of leaves) hash("sha256", leaf);
      return leaves.length;
    }),
  /** Milliseconds of one inclusion proof, over `turns` of them about entries from everywhere. */
  prove: async ({ entries, turns }: { entries: number; turns: number }): Promise<number> => {
    const { audit } = opened();
    const start = performance.now();
    for (let turn = 1; turn <= turns; turn += 1) await audit.prove((turn * 7_919_317) % entries);
    return (performance.now() - start) / turns;
  },
  close: () => storage?.close(),
};

function verified(depth: "full" | "hashes"): Promise<AuditVerification> {
  if (bundle !== undefined) return verifyBundle(bundle, { depth });
  return opened().audit.verify({ depth });
}

function opened(): Storage {
  if (storage === undefined) throw new Error("open first");
  return storage;
}

async function effort(work: () => Promise<number>): Promise<Effort> {
  const [start, before] = [performance.now(), process.cpuUsage()];
  const entries = await work();
  const { user, system } = process.cpuUsage(before);
  return { entries, wallMs: performance.now() - start, cpuMs: (user + system) / 1000 };
}

function linesOf(file: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let start = 0; start < file.length; ) {
    const end = file.indexOf(10, start);
    lines.push(file.subarray(start, end));
    start = end + 1;
  }
  return lines;
}

/** What {@link handlers} offer. */
export type TrailWorker = typeof handlers;

serve(handlers);

import { z } from "zod";

/** What `manifest.json` calls this layout. */
export const bundleFormat = "codespar-audit-bundle/1";

/** A file of a bundle. */
export interface BundleFile {
  /** Its path in the bundle, with `/`. */
  readonly name: string;
  readonly content: Uint8Array;
}

/**
 * Where things are in a bundle. Entries and parts come in pieces of a few MiB, so that each file of the tar has a known size before it is
 * written, and none has to be held as a whole by whoever reads it. The names sort as the entries do.
 */
export const bundleNames = {
  readme: "README.md",
  manifest: "manifest.json",
  /** SHA-256 of every other file, for `sha256sum --check`; the last file of the tar. */
  sums: "SHA256SUMS",
  /** The entries from `first` on: the exact bytes that were hashed, a line each. */
  entries: (first: number) => `entries/${digits(first)}.jsonl`,
  /** The parts of the entries in the file of the same name: a line each, `seq`, `name`, `salt` (hex) and `body`. */
  parts: (first: number) => `parts/${digits(first)}.jsonl`,
  /** The signed checkpoint over so many entries. */
  checkpoint: (size: number) => `checkpoints/${digits(size)}.txt`,
  /** A public key as C2SP signed-note writes it. */
  vkey: (keyId: string) => `keys/${keyId}.vkey`,
  /** The same key for OpenSSL. */
  pem: (keyId: string) => `keys/${keyId}.pem`,
} as const;

/** Every name that a bundle can have. */
export const bundleName =
  /^(?:README\.md|manifest\.json|SHA256SUMS|(?:entries|parts)\/\d{16}\.jsonl|checkpoints\/\d{16}\.txt|keys\/[0-9a-f]{8}\.(?:vkey|pem))$/;

/** The number in a file's name: the first entry of a piece, the size of a checkpoint. */
export function numberIn(name: string): number {
  return Number(/\/(\d{16})\./.exec(name)?.[1] ?? Number.NaN);
}

/** As many digits as the largest sequence number has. */
function digits(value: number): string {
  return String(value).padStart(16, "0");
}

/** A piece is complete once its entries, or their parts, have this many bytes. */
export const pieceBytes = 4 * 1024 * 1024;

/** No file of a bundle is larger: a piece, and one entry of 64 KiB whose part is written with every character escaped. */
export const maxFileBytes = pieceBytes + 1024 * 1024;

const hash = z.string().regex(/^[0-9a-f]{64}$/);

/** `manifest.json`: what the bundle holds. Every claim in it is checked against the entries and the signed checkpoint. */
export const manifestSchema = z.object({
  format: z.literal(bundleFormat),
  organisation: z.string(),
  exportedAt: z.string(),
  log: z.string(),
  size: z.int().min(0),
  head: hash,
  root: hash,
  checkpoint: z.string(),
});

/** What a bundle says of itself. */
export type BundleManifest = z.infer<typeof manifestSchema>;

import { type Dirent, existsSync } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { apiKeyIn } from "./api-keys.ts";
import { formsOf, type Needle } from "./forms.ts";
import { marker } from "./marker.ts";

/** A secret of a test in a place where anybody can read it. The message doesn't repeat it. */
export class SecretFound extends Error {
  override readonly name = "SecretFound";
}

/** What belongs in a place after all. */
export interface Allowed {
  /** By contract this shows secrets that were stored. */
  readonly secrets?: boolean;
  /** By contract this shows an API key. */
  readonly apiKeys?: boolean;
}

/** The longest that we look for, an API key in hex or UTF-16, fits into what two pieces of a file have in common. */
const pieceBytes = 8 << 20;
const overlapBytes = 4096;

let made: { readonly marker: string; readonly needles: readonly Needle[] } | undefined;

/** The forms of the marker, and of the text of a key that holds it. */
function needles(): readonly Needle[] {
  if (made?.marker !== marker()) {
    const inKey = Buffer.from(marker()).toString("base64").slice(0, 26);
    const forms = [...formsOf(Buffer.from(marker())), ...formsOf(Buffer.from(inKey))];
    made = { marker: marker(), needles: forms };
  }
  return made.needles;
}

/** Whether there is something to look for: in benchmarks there isn't. */
export function secretsAreMarked(): boolean {
  return process.env["CODESPAR_TEST_MARKER"] !== undefined;
}

/** Looks in what was written in one place. @throws SecretFound naming it */
export function assertNoSecret(
  where: string,
  content: string | Buffer,
  allowed: Allowed = {},
): void {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  const found = allowed.secrets === true ? undefined : secretIn(bytes);
  const form = found ?? (allowed.apiKeys === true ? undefined : apiKeyIn(bytes));
  if (form !== undefined) throw new SecretFound(`${where} shows a secret (${form})`);
}

/** Where the key that seals the files beside it is kept, and those before it. */
const keyFile = /(^|[\\/])keys[\\/](encryption|retired-[0-9a-f]{12})\.key$/;

/** As {@link assertNoSecret}, in every file of a folder and in the names of these. A folder that is gone holds nothing. */
export async function assertNoSecretInFolder(folder: string): Promise<void> {
  for (const entry of await entriesOf(folder)) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(folder, path);
    assertNoSecret(`the name of a file in ${dirname(name)}`, name);
    if (entry.isFile() && !keyFile.test(name)) await assertNoSecretInFile(path, name);
  }
}

/** Anew where something went away while it was listed: the rest must not go unseen. */
async function entriesOf(folder: string): Promise<Dirent[]> {
  while (existsSync(folder)) {
    try {
      return await readdir(folder, { recursive: true, withFileTypes: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
  return [];
}

async function assertNoSecretInFile(path: string, name: string): Promise<void> {
  await using file = await open(path).catch(unreadable);
  if (file === null) return;
  const buffer = Buffer.allocUnsafe(Math.min(pieceBytes, (await file.stat()).size) + overlapBytes);
  let kept = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, kept, buffer.length - kept);
    if (bytesRead === 0) return;
    const end = kept + bytesRead;
    assertNoSecret(name, buffer.subarray(0, end));
    kept = Math.min(overlapBytes, end);
    buffer.copyWithin(0, end - kept, end);
  }
}

/** What a running program has just removed, and what a test has made unreadable. */
function unreadable(error: NodeJS.ErrnoException): null {
  if (error.code === "ENOENT" || error.code === "EACCES") return null;
  throw error;
}

function secretIn(bytes: Buffer): string | undefined {
  return needles().find((needle) => bytes.includes(needle.bytes))?.form;
}

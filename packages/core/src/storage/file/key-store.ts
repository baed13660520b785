import { KeyRing } from "../../crypto/key-ring.ts";
import { StorageError } from "../../errors/storage-error.ts";
import type { Health } from "../health.ts";
import type { KeyState } from "../secrets-port.ts";
import { checkRing, keyIdOf } from "../stored-keys.ts";
import { isMissing } from "./failures.ts";
import type { FileSystem } from "./file-system.ts";
import { names, retiredKeyFile } from "./layout.ts";
import { writeDurably } from "./manifest.ts";

export interface KeyStoreOptions {
  readonly fs: FileSystem;
  readonly directory: string;
  /** `CODESPAR_ENCRYPTION_KEY`. */
  readonly encryptionKey: string | undefined;
  readonly writable: boolean;
  /** Ids of the keys that sealed the secrets of all organisations. */
  storedKeyIds(): Promise<ReadonlySet<string>>;
}

/**
 * Finds the ring that seals a folder's secrets: from the configuration, else the key kept in the folder, which is made on first use.
 * A canary sealed with the first ring tells a wrong one afterwards.
 *
 * @throws StorageError `KEY_MISMATCH`, `ENCRYPTION_KEY_MISSING`, `VALIDATION`
 */
export async function openKeyRing(options: KeyStoreOptions): Promise<KeyRing> {
  const { fs, writable } = options;
  const { ring, canary } = await readKeyState(options);
  const folder = keysFolder(options);
  if (ring === null) {
    if (canary !== null || (await options.storedKeyIds()).size > 0) throw keyLost(folder);
    if (!writable) throw noKeyYet;
    return generate(fs, options.directory, folder);
  }
  const known = await checkRing(ring, canary, () => options.storedKeyIds());
  if (!known && writable) {
    await makeFolder(fs, options.directory, folder);
    await writeCanary(options, ring);
  }
  return ring;
}

/** The keys and the canary as they are. @throws StorageError `VALIDATION` for a configured key that isn't one, `KEY_MISMATCH` for the folder's */
export async function readKeyState(options: KeyStoreOptions): Promise<KeyState> {
  const { fs, encryptionKey } = options;
  const stored = await readText(fs, `${keysFolder(options)}/${names.key}`);
  const canary = await readText(fs, `${keysFolder(options)}/${names.canary}`);
  const kept = () => (stored === null ? null : parseKept(stored, keysFolder(options)));
  return {
    ring: encryptionKey === undefined ? kept() : KeyRing.parse(encryptionKey.trim()),
    canary: canary?.trim() ?? null,
    source: encryptionKey !== undefined ? "configured" : stored === null ? null : "folder",
  };
}

/**
 * Puts a new key before the one that the folder keeps, which stays in the list; a list that is there already is of a rotation that hasn't
 * ended, and stays as it is.
 */
export async function putNewKeyFirst(options: KeyStoreOptions): Promise<KeyRing> {
  const folder = keysFolder(options);
  const stored = (await readText(options.fs, `${folder}/${names.key}`))?.trim() ?? "";
  if (stored.includes(",")) return parseKept(stored, folder);
  const keys = `${KeyRing.generate()},${stored}`;
  const ring = parseKept(keys, folder);
  await writeDurably(options.fs, folder, names.key, `${keys}\n`);
  return ring;
}

/** Keeps only the first key in the folder's list; each earlier one goes to a file of its own, since backups and archives made so far need it. */
export async function keepFirstKey(options: KeyStoreOptions): Promise<void> {
  const folder = keysFolder(options);
  const [first, ...earlier] =
    (await readText(options.fs, `${folder}/${names.key}`))?.split(",") ?? [];
  if (first === undefined || earlier.length === 0) return;
  for (const key of earlier.map((text) => text.trim())) {
    const retired = retiredKeyFile(KeyRing.parse(key).activeKeyId);
    await writeDurably(options.fs, folder, retired, `${key}\n`);
  }
  await writeDurably(options.fs, folder, names.key, `${first.trim()}\n`);
}

/** Keeps a canary of the ring's first key, unless that is the one there is. */
export async function keepCanaryOf(options: KeyStoreOptions, ring: KeyRing): Promise<void> {
  const { canary } = await readKeyState(options);
  if (canary === null || keyIdOf(canary) !== ring.activeKeyId) await writeCanary(options, ring);
}

async function writeCanary(options: KeyStoreOptions, ring: KeyRing): Promise<void> {
  await writeDurably(options.fs, keysFolder(options), names.canary, `${ring.canary()}\n`);
}

function keysFolder({ directory }: KeyStoreOptions): string {
  return `${directory}/${names.keys}`;
}

/** What health says of the ring, without making one; `null` when what it depends on can't be read. */
export async function encryptionState(options: KeyStoreOptions): Promise<Health["encryption"]> {
  try {
    await openKeyRing({ ...options, writable: false });
    return "ready";
  } catch (error) {
    if (StorageError.is(error, "KEY_MISMATCH")) return "mismatch";
    // Where no key is needed yet, the first use makes one.
    if (error === noKeyYet) return options.writable ? "ready" : "missing";
    return null;
  }
}

const noKeyYet = new StorageError(
  "ENCRYPTION_KEY_MISSING",
  "No secret was ever stored in these files, and read-only no key can be made for them.",
);

async function generate(fs: FileSystem, directory: string, folder: string): Promise<KeyRing> {
  const key = KeyRing.generate();
  const ring = KeyRing.parse(key);
  await makeFolder(fs, directory, folder);
  // The key first: a canary without its key would be a lost key.
  await writeDurably(fs, folder, names.key, `${key}\n`);
  await writeDurably(fs, folder, names.canary, `${ring.canary()}\n`);
  return ring;
}

async function makeFolder(fs: FileSystem, directory: string, folder: string): Promise<void> {
  await fs.makeFolder(folder);
  await fs.syncFolder(directory);
}

async function readText(fs: FileSystem, path: string): Promise<string | null> {
  try {
    return (await fs.read(path)).toString("utf8");
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** Reads the folder's own list of keys. Damaged, it is no fault of whoever asks for a secret. */
function parseKept(text: string, folder: string): KeyRing {
  try {
    return KeyRing.parse(text.trim());
  } catch (error) {
    throw new StorageError(
      "KEY_MISMATCH",
      `${folder}/${names.key} is damaged: it holds no encryption key. Restore it from a backup, or set CODESPAR_ENCRYPTION_KEY to it.`,
      { cause: error },
    );
  }
}

function keyLost(folder: string): StorageError {
  return new StorageError(
    "KEY_MISMATCH",
    `The stored secrets were sealed with a key that is gone: ${folder}/${names.key} is missing. Restore it from a backup, or set CODESPAR_ENCRYPTION_KEY to it.`,
  );
}

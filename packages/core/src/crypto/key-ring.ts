import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { invalid, StorageError } from "../errors/storage-error.ts";

/** Where a secret belongs. It is authenticated with the ciphertext, so an envelope opens nowhere else. */
export interface SecretPlace {
  readonly orgId: string;
  readonly table: string;
  readonly record: string;
  readonly field: string;
}

interface Key {
  readonly id: string;
  readonly bytes: Buffer;
}

const version = "v1";
const ivBytes = 12;
const tagBytes = 16;
const canaryPlace: SecretPlace = { orgId: "", table: "", record: "", field: "canary" };
const canaryText = "codespar";

/**
 * Seals and opens secrets with AES-256-GCM (NIST SP 800-38D, random 96-bit nonces). Several keys can be held; the first seals,
 * all open. An envelope is `v1.keyId.base64url(nonce ‖ ciphertext ‖ tag)`.
 */
export class KeyRing {
  readonly #active: Key;
  readonly #keys: ReadonlyMap<string, Key>;

  private constructor(keys: readonly [Key, ...Key[]]) {
    this.#active = keys[0];
    this.#keys = new Map(keys.map((key) => [key.id, key]));
  }

  /**
   * Reads a ring from configuration: keys of 32 bytes in base64, base64url or hex, the active one first, separated by commas.
   *
   * @throws StorageError `VALIDATION` when a key isn't 32 bytes. The message never holds the key.
   */
  static parse(text: string): KeyRing {
    if (typeof text !== "string") throw invalid("The encryption key must be a string.");
    const keys = text
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== "")
      .map(parseKey);
    const [first, ...rest] = keys;
    if (first === undefined) {
      throw invalid("The encryption key is empty. Make one with: openssl rand -base64 32");
    }
    return new KeyRing([first, ...rest]);
  }

  /** A new random key in the form that {@link KeyRing.parse} reads. */
  static generate(): string {
    return randomBytes(32).toString("base64");
  }

  /** Ids of the keys, the active one first. An id says nothing about its key. */
  get keyIds(): readonly string[] {
    return [...this.#keys.keys()];
  }

  /** Id of the key that seals. */
  get activeKeyId(): string {
    return this.#active.id;
  }

  /** Seals UTF-8 text for one place. */
  seal(plaintext: string, place: SecretPlace): string {
    const key = this.#active;
    const iv = randomBytes(ivBytes);
    const cipher = createCipheriv("aes-256-gcm", key.bytes, iv, { authTagLength: tagBytes });
    cipher.setAAD(associatedData(key.id, place));
    const sealed = Buffer.concat([
      iv,
      cipher.update(plaintext, "utf8"),
      cipher.final(),
      cipher.getAuthTag(),
    ]);
    return `${version}.${key.id}.${sealed.toString("base64url")}`;
  }

  /**
   * Opens an envelope sealed for this place.
   *
   * @throws StorageError `DECRYPTION_FAILED` when its key is missing, or it was changed or moved.
   */
  open(envelope: string, place: SecretPlace): string {
    const [format, keyId, body] = envelope.split(".");
    const where = `${place.table} ${place.record} ${place.field}`;
    const key = this.#keys.get(keyId ?? "");
    if (format !== version || body === undefined)
      throw undecryptable(where, "its format is unknown");
    if (key === undefined)
      throw undecryptable(where, `its key "${keyId}" is not in CODESPAR_ENCRYPTION_KEY`);
    const bytes = Buffer.from(body, "base64url");
    if (bytes.length < ivBytes + tagBytes) throw undecryptable(where, "it is cut short");
    const decipher = createDecipheriv("aes-256-gcm", key.bytes, bytes.subarray(0, ivBytes), {
      authTagLength: tagBytes,
    });
    decipher.setAAD(associatedData(key.id, place));
    decipher.setAuthTag(bytes.subarray(-tagBytes));
    try {
      const opened = decipher.update(bytes.subarray(ivBytes, -tagBytes));
      return Buffer.concat([opened, decipher.final()]).toString("utf8");
    } catch (error) {
      throw undecryptable(where, "it was changed, or belongs elsewhere", error);
    }
  }

  /** A known text sealed with the active key, to be stored beside the first secret: {@link KeyRing.verifyCanary}. */
  canary(): string {
    return this.seal(canaryText, canaryPlace);
  }

  /**
   * Tells at start that this ring isn't the one that sealed what is stored.
   *
   * @throws StorageError `KEY_MISMATCH`
   */
  verifyCanary(canary: string): void {
    try {
      if (this.open(canary, canaryPlace) === canaryText) return;
    } catch (error) {
      if (!StorageError.is(error)) throw error;
    }
    throw new StorageError(
      "KEY_MISMATCH",
      `The encryption key (${this.keyIds.join(", ")}) is not the one that seals the stored secrets (${canary.split(".")[1]}). Set CODESPAR_ENCRYPTION_KEY to what has that id (after a rotation the new key, otherwise the one before), or list it after a newer one: NEW,OLD`,
    );
  }
}

function parseKey(text: string): Key {
  const bytes = /^[0-9a-fA-F]{64}$/.test(text)
    ? Buffer.from(text, "hex")
    : Buffer.from(text, "base64");
  if (bytes.length !== 32 || !/^[A-Za-z0-9+/_=-]+$/.test(text)) {
    throw invalid(
      "An encryption key must be 32 bytes in base64 or hex. Make one with: openssl rand -base64 32",
    );
  }
  const id = createHash("sha256")
    .update("codespar key id\0")
    .update(bytes)
    .digest("hex")
    .slice(0, 12);
  return { id, bytes };
}

function associatedData(keyId: string, place: SecretPlace): Buffer {
  // JSON of an array is injective: no choice of ids makes two places the same bytes.
  return Buffer.from(
    JSON.stringify([version, keyId, place.orgId, place.table, place.record, place.field]),
  );
}

function undecryptable(where: string, why: string, cause?: unknown): StorageError {
  return new StorageError(
    "DECRYPTION_FAILED",
    `The secret of ${where} doesn't open: ${why}. Restore the key or store the secret again.`,
    { cause },
  );
}

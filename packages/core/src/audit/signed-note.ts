import { createHash, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";

/** The algorithm byte of Ed25519 in keys and key ids. */
const ed25519 = 0x01;
const keyBytes = 32;
const idBytes = 4;
const signatureBytes = 64;
const maxSignatures = 100;
// RFC 8410: what DER puts before the 32 bytes of a private and of a public key.
const pkcs8Prefix = Buffer.from("302e020100300506032b657004220420", "hex");
const spkiPrefix = Buffer.from("302a300506032b6570032100", "hex");

/** A public key that signs notes under a name. */
export interface NoteVerifier {
  readonly name: string;
  /** The first four bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key), as eight hexadecimal digits. */
  readonly keyId: string;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
}

/** A private key that signs notes under a name. */
export interface NoteSigner extends NoteVerifier {
  /** The Ed25519 seed, 32 bytes. */
  readonly seed: Uint8Array;
}

/** A note whose text was signed by keys that the reader trusts. */
export interface OpenedNote {
  /** Ends in a newline. */
  readonly text: string;
  /** Those of the given keys that signed it; at least one. */
  readonly signedBy: readonly NoteVerifier[];
}

/** Why a note can't be trusted. Its message says what is wrong with it. */
export class NoteError extends Error {
  override readonly name = "NoteError";
}

/**
 * A signer from its Ed25519 seed.
 *
 * @param name - without spaces and `+`: usually the origin of a log
 * @param seed - 32 bytes
 * @throws NoteError when the name or the seed is unusable
 */
export function noteSigner(name: string, seed: Uint8Array): NoteSigner {
  if (seed.length !== keyBytes) throw new NoteError(`a seed has ${keyBytes} bytes`);
  const der = createPublicKey(privateKeyOf(seed)).export({ format: "der", type: "spki" });
  return { ...noteVerifier(name, der.subarray(spkiPrefix.length)), seed };
}

/** A verifier from its Ed25519 public key. @throws NoteError when the name or the key is unusable */
export function noteVerifier(name: string, publicKey: Uint8Array): NoteVerifier {
  if (!isName(name)) throw new NoteError(`${JSON.stringify(name)} can't name a key`);
  if (publicKey.length !== keyBytes) throw new NoteError(`a public key has ${keyBytes} bytes`);
  const id = createHash("sha256")
    .update(`${name}\n`)
    .update(Uint8Array.of(ed25519))
    .update(publicKey)
    .digest("hex");
  return { name, keyId: id.slice(0, 2 * idBytes), publicKey };
}

/** A verifier as text: `name+key id+base64(0x01 ‖ public key)`, the vkey of C2SP signed-note. */
export function formatVerifier({ name, keyId, publicKey }: NoteVerifier): string {
  return `${name}+${keyId}+${Buffer.from([ed25519, ...publicKey]).toString("base64")}`;
}

/** Reads a vkey. @throws NoteError when it isn't one, is of another algorithm, or its key id belongs to another key */
export function parseVerifier(text: string): NoteVerifier {
  const [, name = "", keyId = "", encoded = ""] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text) ?? [];
  const key = base64(encoded);
  if (name === "" || key === null) throw new NoteError("not a verifier key: name+id+base64");
  if (key[0] !== ed25519) throw new NoteError("the verifier key isn't one of Ed25519");
  const verifier = noteVerifier(name, key.subarray(1));
  if (verifier.keyId !== keyId)
    throw new NoteError(`the verifier key's id is ${verifier.keyId}, not ${keyId}`);
  return verifier;
}

/** Whether {@link parseVerifier} reads a text. */
export function isVerifier(text: string): boolean {
  try {
    parseVerifier(text);
    return true;
  } catch {
    return false;
  }
}

/** The public key as OpenSSL reads it: PEM of RFC 8410. */
export function publicKeyPem({ publicKey }: NoteVerifier): string {
  return String(keyOf(publicKey).export({ format: "pem", type: "spki" }));
}

/**
 * Signs a text: C2SP signed-note. Ed25519 has one signature per key and text, so the note is always the same.
 *
 * @param text - ends in a newline, and has no control characters besides
 * @throws NoteError when the text can't be signed, or nobody signs it
 */
export function signNote(text: string, signers: readonly NoteSigner[]): string {
  if (!isText(text))
    throw new NoteError("a note's text ends in a newline and has no other control characters");
  if (signers.length === 0) throw new NoteError("nobody signs the note");
  const bytes = Buffer.from(text);
  const lines = signers.map(({ name, keyId, seed }) => {
    const signature = sign(null, bytes, privateKeyOf(seed));
    return `— ${name} ${Buffer.concat([Buffer.from(keyId, "hex"), signature]).toString("base64")}\n`;
  });
  return `${text}\n${lines.join("")}`;
}

/**
 * Reads a note and checks who signed it. Signatures by keys that aren't among the verifiers are passed over; one by a verifier's
 * name and key id that doesn't hold spoils the note.
 *
 * @throws NoteError when it isn't a note, when a signature doesn't hold, or when none of the verifiers signed it
 */
export function openNote(note: string, verifiers: readonly NoteVerifier[]): OpenedNote {
  const { text, signatures } = parseNote(note);
  const bytes = Buffer.from(text);
  const signedBy = new Set<NoteVerifier>();
  for (const { name, keyId, signature } of signatures) {
    const verifier = verifiers.find((known) => known.name === name && known.keyId === keyId);
    if (verifier === undefined || signedBy.has(verifier)) continue;
    if (!holds(bytes, signature, verifier.publicKey))
      throw new NoteError(`the signature of ${name} (${keyId}) doesn't hold`);
    signedBy.add(verifier);
  }
  if (signedBy.size === 0) throw new NoteError("none of the trusted keys signed the note");
  return { text, signedBy: [...signedBy] };
}

/**
 * Finds a signature by one of the verifiers' name and key id that doesn't hold: the note's text or that line isn't what was signed.
 *
 * @returns whose it says that it is; `null` where there is none
 * @throws NoteError when it isn't a note
 */
export function failingSignature(
  note: string,
  verifiers: readonly NoteVerifier[],
): Pick<NoteVerifier, "name" | "keyId"> | null {
  const { text, signatures } = parseNote(note);
  const bytes = Buffer.from(text);
  const failing = signatures.find(({ name, keyId, signature }) => {
    // Four bytes of an id can be made to fit: where one of several keys signed it, nothing is wrong.
    const named = verifiers.filter((known) => known.name === name && known.keyId === keyId);
    return named.length > 0 && !named.some(({ publicKey }) => holds(bytes, signature, publicKey));
  });
  return failing ?? null;
}

interface NoteSignature {
  readonly name: string;
  readonly keyId: string;
  readonly signature: Uint8Array;
}

/** Takes a note apart, without a look at whether its signatures hold. @throws NoteError when it isn't a note */
export function parseNote(note: string): { text: string; signatures: readonly NoteSignature[] } {
  const end = note.lastIndexOf("\n\n");
  const text = note.slice(0, end + 1);
  if (end === -1 || !isText(text)) throw new NoteError("not a signed note");
  const lines = note.slice(end + 2).split("\n");
  if (lines.pop() !== "" || lines.length === 0 || lines.length > maxSignatures)
    throw new NoteError(`a note has 1 to ${maxSignatures} signature lines, and ends in a newline`);
  return { text, signatures: lines.map(parseSignature) };
}

function parseSignature(line: string): NoteSignature {
  const [, name = "", encoded = ""] = /^— (\S+) (\S+)$/u.exec(line) ?? [];
  const bytes = base64(encoded);
  if (!isName(name) || bytes === null || bytes.length <= idBytes)
    throw new NoteError(`not a signature line: ${JSON.stringify(line.slice(0, 100))}`);
  return {
    name,
    keyId: bytes.subarray(0, idBytes).toString("hex"),
    signature: bytes.subarray(idBytes),
  };
}

function holds(bytes: Uint8Array, signature: Uint8Array, publicKey: Uint8Array): boolean {
  return signature.length === signatureBytes && verify(null, bytes, keyOf(publicKey), signature);
}

function keyOf(publicKey: Uint8Array) {
  return createPublicKey({
    key: Buffer.concat([spkiPrefix, publicKey]),
    format: "der",
    type: "spki",
  });
}

function privateKeyOf(seed: Uint8Array) {
  return createPrivateKey({
    key: Buffer.concat([pkcs8Prefix, seed]),
    format: "der",
    type: "pkcs8",
  });
}

function isName(name: string): boolean {
  return name !== "" && name.isWellFormed() && !/[\s+\p{Cc}]/u.test(name);
}

function isText(text: string): boolean {
  const lines = text.split("\n");
  return text.endsWith("\n") && text.isWellFormed() && !lines.some((line) => /\p{Cc}/u.test(line));
}

/** Bytes of strict base64, or `null`: Buffer skips what it doesn't know. */
function base64(text: string): Buffer | null {
  const bytes = Buffer.from(text, "base64");
  return text !== "" && bytes.toString("base64") === text ? bytes : null;
}

import { sql } from "drizzle-orm";
import { KeyRing } from "../../crypto/key-ring.ts";
import { StorageError } from "../../errors/storage-error.ts";
import type { KeyState } from "../secrets-port.ts";
import { checkRing } from "../stored-keys.ts";
import type { Reader } from "./reader.ts";
import type { Statements } from "./statements.ts";

/** The deployment's own matters belong to no organisation; transactions name one all the same. */
const nobody = "";

/** Holds the configured key ring against what the database's secrets were sealed with. */
export class KeyStore {
  readonly #reader: Reader;
  readonly #statements: Statements;
  readonly #encryptionKey: string | undefined;
  #ring: KeyRing | null = null;

  constructor(reader: Reader, statements: Statements, encryptionKey: string | undefined) {
    this.#reader = reader;
    this.#statements = statements;
    this.#encryptionKey = encryptionKey;
  }

  get isConfigured(): boolean {
    return this.#encryptionKey !== undefined;
  }

  /** As `SecretsPort.keyRing`. */
  async ring(use: "open" | "seal" = "open"): Promise<KeyRing> {
    if (this.#ring && use === "open") return this.#ring;
    const ring = this.#ring ?? this.#configured();
    if (!(await this.#check(ring))) ring.verifyCanary(await this.#keepCanary(ring.canary()));
    this.#ring = ring;
    return ring;
  }

  /** As `SecretsPort.keyState`. */
  async keyState(): Promise<KeyState> {
    const { canary } = await this.#stored();
    const ring = this.#encryptionKey === undefined ? null : this.#configured();
    return { ring, canary, source: ring === null ? null : "configured" };
  }

  /** For health: changes nothing. */
  async state(): Promise<"ready" | "missing" | "mismatch"> {
    if (!this.isConfigured) return "missing";
    try {
      await this.#check(this.#configured());
      return "ready";
    } catch (error) {
      if (StorageError.is(error, "KEY_MISMATCH")) return "mismatch";
      throw error;
    }
  }

  #configured(): KeyRing {
    if (this.#encryptionKey === undefined) {
      throw new StorageError(
        "ENCRYPTION_KEY_MISSING",
        "Secrets can't be stored without a key. Set CODESPAR_ENCRYPTION_KEY (make one with: openssl rand -base64 32) and restart.",
      );
    }
    return KeyRing.parse(this.#encryptionKey);
  }

  /** @returns whether there is a canary, which `ring` then opens @throws StorageError `KEY_MISMATCH` */
  async #check(ring: KeyRing): Promise<boolean> {
    const { canary, keyIds } = await this.#stored();
    return checkRing(ring, canary, () => keyIds);
  }

  async #stored(): Promise<{ readonly canary: string | null; readonly keyIds: readonly string[] }> {
    const call = this.#statements.call(
      "key_state",
      () => sql`SELECT k.canary, to_json(k.key_ids) FROM codespar.key_state() AS k`,
      {},
    );
    const [rows] = await this.#reader.query(nobody, [call]);
    const [canary, keyIds] = rows?.[0] ?? [];
    return { canary: canary ?? null, keyIds: JSON.parse(keyIds ?? "[]") as string[] };
  }

  async #keepCanary(canary: string): Promise<string> {
    const call = this.#statements.call(
      "keep_key_canary",
      () => sql`SELECT codespar.keep_key_canary(${sql.placeholder("canary")}::text)`,
      { canary },
    );
    const [rows] = await this.#reader.query(nobody, [call]);
    return rows?.[0]?.[0] ?? "";
  }
}

import { hash, randomBytes } from "node:crypto";
import type { Actor } from "../domain/actor.ts";
import type { AuditAgent, AuditOutcome, AuditRisk, AuditTarget } from "../domain/audit.ts";

/** The closed schema of the hashed bytes, as parsed from their RFC 8785 canonical JSON. */
export interface Leaf {
  readonly v: 1;
  /** The trail's identity. */
  readonly log: string;
  readonly seq: number;
  /** Sealing time: ISO 8601 UTC with exactly six decimals. */
  readonly ts: string;
  readonly id: string;
  readonly prev: string;
  readonly actor: Actor;
  readonly action: string;
  readonly outcome: AuditOutcome;
  readonly target?: AuditTarget;
  readonly agent?: AuditAgent;
  readonly project?: string;
  readonly risk?: AuditRisk;
  readonly corr?: string;
  readonly occurred?: string;
  /** Commitments of the parts by name, lower-case hex. */
  readonly parts: Readonly<Record<string, string>>;
}

/** The bytes of a leaf as a buffer, without a copy of them. */
export function bufferOf(leaf: Uint8Array): Buffer {
  if (Buffer.isBuffer(leaf)) return leaf;
  return Buffer.from(leaf.buffer, leaf.byteOffset, leaf.byteLength);
}

/** `prev` of the first entry, and the head of an empty trail. */
export const genesisHash = "0".repeat(64);

/** A zero byte, and room behind it for what is hashed: nothing has to be made for an entry of ordinary size. */
const prefixed = Buffer.alloc(8192);

/** SHA-256(0x00 ‖ leaf bytes) in lower-case hex: the leaf hash of RFC 6962 §2.1, and the next entry's `prev`. */
export function leafHash(bytes: Uint8Array | string): string {
  if (typeof bytes === "string") return hash("sha256", `\0${bytes}`, "hex");
  const end = bytes.length + 1;
  if (end > prefixed.length) return hash("sha256", Buffer.concat([Buffer.of(0), bytes]), "hex");
  prefixed.set(bytes, 1);
  return hash("sha256", prefixed.subarray(0, end), "hex");
}

/** A fresh, opaque identity for an organisation's trail. */
export function newLogOrigin(): string {
  return `codespar/log/${randomBytes(16).toString("hex")}`;
}

/** The sealing time for a clock reading in milliseconds: six decimals, and never before the entry it follows. */
export function sealingTime(nowMs: number, previous: string | null): string {
  const ts = `${new Date(nowMs).toISOString().slice(0, -1)}000Z`;
  return previous !== null && previous > ts ? previous : ts;
}

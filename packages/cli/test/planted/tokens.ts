import { randomBytes } from "node:crypto";
import { KeyRing } from "@codespar/core";

/** A secret that was planted, and what of it must be nowhere. */
export interface Token {
  readonly name: string;
  /** As it is used. */
  readonly text: string;
  /** The parts that nobody may see: half of a secret is already too much. */
  readonly parts: readonly Buffer[];
}

/** A token whose `secret` part is what matters; the rest, such as the id in an API key, may be seen. */
export function token(name: string, text: string, secret = text): Token {
  const half = Math.floor(secret.length / 2);
  return { name, text, parts: [secret.slice(0, half), secret.slice(half)].map(utf8) };
}

/** A key that seals: what a program holds of it are its bytes. */
export function sealingKey(name: string, text: string): Token {
  const bytes = Buffer.from(text, "base64");
  return {
    name,
    text,
    parts: [...token(name, text).parts, bytes.subarray(0, 16), bytes.subarray(16)],
  };
}

/** An API key, of which the last 43 characters are secret. */
export function apiKey(name: string, text: string): Token {
  return token(name, text, text.slice(-43));
}

/** Something random with characters that each encoding writes in another way. */
export function awkward(): string {
  const part = () => randomBytes(12).toString("hex");
  return `${part()}"é/+ \\${part()}`;
}

/** What an operator and agents bring along. */
export function plantedTokens() {
  return {
    credential: token("a credential", awkward()),
    viaHttp: token("a credential over HTTP", awkward()),
    slack: token("a Slack bot token", `xoxb-${randomBytes(24).toString("hex")}`),
    admin: token("CODESPAR_ADMIN_KEY", randomBytes(32).toString("base64")),
    password: token("the database's password", randomBytes(24).toString("hex")),
    key: sealingKey("CODESPAR_ENCRYPTION_KEY", KeyRing.generate()),
    nextKey: sealingKey("the next CODESPAR_ENCRYPTION_KEY", KeyRing.generate()),
    /** Not a secret: stored and used in clear, so that each place proves that it is looked at. */
    canary: token("the canary", `canary${randomBytes(24).toString("hex")}`),
  };
}

export type Tokens = ReturnType<typeof plantedTokens>;

function utf8(text: string): Buffer {
  return Buffer.from(text, "utf8");
}
